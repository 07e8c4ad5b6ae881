"""A database on a Ray cluster of several nodes: the same answers, and what is lost when one is killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="Ray, of the extra `scale`, is not installed")

from core.engine import generate  # noqa: E402
from core.patches.database import PatchDatabase  # noqa: E402
from core.patches.protocol import Database  # noqa: E402
from core.patches.remote.actors.cluster import Plan, members, start, stop  # noqa: E402
from core.patches.remote.actors.link import RayLink, merged  # noqa: E402
from core.patches.remote.actors.part import Part, Share, overlap, shares_of  # noqa: E402
from core.patches.remote.database import RemoteDatabase, open_remote  # noqa: E402
from core.patches.segments.database import SegmentedDatabase  # noqa: E402
from core.patches.segments.images import ImageRow  # noqa: E402
from core.patches.segments.manifest import Header  # noqa: E402
from core.patches.segments.segment import Batch  # noqa: E402
from core.patches.segments.writer import DatabaseWriter  # noqa: E402
from core.types import ConfigError, DatabaseError, DecodeSettings, IntArray, Neighbours  # noqa: E402
from tests.clusters import cluster_of, described, process_of, wait_until  # noqa: E402
from tests.tiny import tiny_backend, tiny_database  # noqa: E402
from tests.unit.test_remote_http import assert_same, queries_of, views  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of files that it leaves open


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with cluster_of(2) as made:
        yield made


@pytest.fixture(scope="module")
def local() -> PatchDatabase:
    return tiny_database(tiny_backend(), 24)


@pytest.fixture(scope="module")
def folder(local: PatchDatabase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images in six segments."""
    where, captions = tmp_path_factory.mktemp("segments") / "database", local.caption_vectors(local.images)
    assert captions is not None
    header = Header(local.codebook.fingerprint, local.grid, local.context, captions.shape[1], local.caption_encoder)
    per_image = len(local) // len(local.images)
    with DatabaseWriter(where, local.codebook, header, entries_of_segment=4 * per_image) as writer:
        writer.add(Batch(local.grids, [ImageRow(info) for info in local.metadata], captions))
    return where


@pytest.fixture(scope="module")
def pair(cluster: Any, folder: Path) -> str:
    """Name of that database in two parts, each on one actor."""
    assert start(cluster.address, Plan(folder, "pair", 2, 1), None) == (2, 2)
    return "pair"


def opened(local: PatchDatabase, name: str, seconds: float = 20) -> RemoteDatabase:
    return open_remote(RayLink(name, seconds=seconds), local.codebook, local.grid)


# -- what needs no cluster --------------------------------------------------------------------------------------------


def test_parts_hold_every_image_once(local: PatchDatabase, folder: Path, tmp_path: Path) -> None:
    local.save(tmp_path / "plain")
    for where in (folder, tmp_path / "plain"):
        for parts in (1, 2, 3, 5, 6, 40):
            shares = shares_of(where, parts)
            numbers = [n for share in shares for first, end in share.ranges for n in range(first, end)]
            assert numbers == list(range(24))
            assert len(shares) == min(parts, 6 if where == folder else 24)
            assert max(share.images for share in shares) - min(share.images for share in shares) <= 4
    assert [len(share.segments) for share in shares_of(folder, 2)] == [3, 3]
    assert overlap(((0, 4), (8, 9)), ((2, 9),)) == 3
    assert overlap((), ((2, 9),)) == 0
    with pytest.raises(DatabaseError, match="got no database of token grids"):
        shares_of(tmp_path, 2)
    assert Share(((0, 4), (6, 7))).images == 5


def test_merged_answers_are_in_the_order_of_one_database(local: PatchDatabase) -> None:
    parts = [local.subset(np.arange(first, 24, 3)) for first in range(3)]
    queries = queries_of(local)
    for k in (1, 7, 0):
        found = merged([part.search(queries, k) for part in parts], k, len(queries))
        for mine, theirs in zip(found, local.search(queries, k), strict=True):
            assert mine.entries.tolist() == theirs.entries.tolist()
            assert mine.distances.tobytes() == theirs.distances.tobytes()
            assert mine.codes.tolist() == theirs.codes.tolist()
    assert [near.lost for near in merged([], 3, 2, 1.0)] == [1.0, 1.0]


# -- on a cluster -----------------------------------------------------------------------------------------------------


def same_in_all_views(here: Database, there: RemoteDatabase, queries: IntArray) -> None:
    """Whether two databases answer alike, whatever is asked."""
    for one, other in zip([here, *views(here)], [there, *views(there)], strict=True):
        assert other.images.tolist() == one.images.tolist()
        for k, position, weight in ((1, None, 0.0), (9, None, 0.0), (4, 20, 0.3), (0, None, 0.0)):
            assert_same(other.search(queries, k, position, weight), one.search(queries, k, position, weight))
    vectors = here.caption_vectors(here.images)
    assert vectors is not None
    assert there.nearest_captions(vectors[3], 5).tolist() == here.nearest_captions(vectors[3], 5).tolist()
    assert there.image_info(17) == here.image_info(17)
    assert np.array_equal(there.image_codes(17), here.image_codes(17))
    assert there.picture(17) is None


def test_answers_are_those_of_one_database(pair: str, local: PatchDatabase, folder: Path) -> None:
    there = opened(local, pair)
    assert (there.fingerprint, there.styles) == (SegmentedDatabase.open(folder).fingerprint, local.styles)
    same_in_all_views(local, there, queries_of(local)[::20])
    with pytest.raises(ConfigError, match="queries: got"):
        there.search(queries_of(local)[:1] + 1000, 1)


def test_some_of_many_parts_are_asked_first(cluster: Any, local: PatchDatabase, folder: Path) -> None:
    """And their k-th distance is handed on to the others."""
    assert start(cluster.address, Plan(folder, "many", 5, 1), None) == (5, 5)
    there, queries = opened(local, "many"), queries_of(local)[::3]
    for k, position, weight in ((1, None, 0.0), (9, None, 0.0), (4, 20, 0.3), (0, None, 0.0)):
        assert_same(there.search(queries, k, position, weight), local.search(queries, k, position, weight))
    with pytest.raises(ConfigError, match="served already"):
        start(cluster.address, Plan(folder, "many", 5, 1), None)
    assert stop(cluster.address, "many") == 5
    wait_until(lambda: not members("many"))
    with pytest.raises(DatabaseError, match="got no actors of that name"):
        RayLink("many")
    with pytest.raises(ConfigError, match="--name: got 'many'"):
        stop(cluster.address, "many")


def test_a_database_of_version_1_and_a_picture(cluster: Any, local: PatchDatabase, tmp_path: Path) -> None:
    local.save(tmp_path / "plain")
    start(cluster.address, Plan(tmp_path / "plain", "plain", 2, 1), local.codebook)
    backend, settings = tiny_backend(), DecodeSettings(n_neighbours=8, caption_filter=6, seed=5)
    here, there = (generate(backend, one, "pizza", settings) for one in (local, opened(local, "plain")))
    assert there.codes_sha256 == here.codes_sha256
    assert there.origin == here.origin
    assert there.incomplete == ()
    stop(cluster.address, "plain")


def test_an_actor_tells_what_it_cannot_open_and_tries_again(local: PatchDatabase, folder: Path, tmp_path: Path) -> None:
    local.save(tmp_path / "old")
    assert "needs; give the model" in Part(str(tmp_path / "old"), None, 0, 2).hello().failed
    late = Part(str(tmp_path / "late"), None, 1, 2)
    assert "got no database" in late.hello().failed
    assert late.answer("describe", b"", "").status == 503
    shutil.copytree(folder, tmp_path / "late")
    assert (late.hello().failed, len(late.hello().shares)) == ("", 2)
    assert late.answer("search", b"", "another").status == 410
    with pytest.raises(ConfigError, match="--name: got"):
        Plan(folder, "a/b", 1, 1)


def test_a_killed_actor_is_missed_told_and_comes_back(pair: str, local: PatchDatabase) -> None:
    there, queries = opened(local, pair, seconds=1.0), np.unique(queries_of(local), axis=0)
    assert there.search(queries[:1], 5)[0].lost == 0
    os.kill(process_of(f"{pair}:0:0"), signal.SIGKILL)
    begin = time.monotonic()
    partial = there.search(queries[1:2], 5)[0]
    assert time.monotonic() - begin < 6  # the limit, on a busy machine
    assert partial.lost == 0.5
    assert partial.entries.tolist() == local.subset(np.arange(12, 24)).search(queries[1:2], 5)[0].entries.tolist()
    begin = time.monotonic()
    assert there.subset([15, 20]).search(queries[1:2], 5)[0].lost == 0  # nothing of these was there
    wait_until(lambda: there.search(queries[1:2], 5)[0].lost == 0)  # it was not remembered
    assert_same(there.search(queries[:40], 5), local.search(queries[:40], 5))
    for member in members(pair):
        os.kill(process_of(member), signal.SIGKILL)
    with pytest.raises(DatabaseError, match="got no answer of any of 2 actors") as error:
        there.search(queries[50:51], 5)
    assert "\n" not in str(error.value)
    wait_until(lambda: answers(there, queries[50:51]))


def answers(there: RemoteDatabase, query: IntArray) -> bool:
    """Whether all of a database answers."""
    try:
        return there.search(query, 6)[0].lost == 0
    except DatabaseError:
        return False


def test_a_node_is_killed_and_its_replicas_answer(cluster: Any, local: PatchDatabase, folder: Path) -> None:
    node = cluster.add_node(**described())
    cluster.wait_for_nodes()
    start(cluster.address, Plan(folder, "twice", 2, 2), None)
    there, queries = opened(local, "twice", seconds=3.0), np.unique(queries_of(local), axis=0)
    assert_same(there.search(queries[:20], 5), local.search(queries[:20], 5))
    cluster.remove_node(node, allow_graceful=False)
    found = [there.search(queries[n : n + 1], 5)[0] for n in range(20, 50)]
    assert [near.lost for near in found] == [0.0] * 30
    assert_same(found, local.search(queries[20:50], 5))
    stop(cluster.address, "twice")


def test_an_actor_that_hangs_is_left_out_in_time(pair: str, local: PatchDatabase) -> None:
    there, queries = opened(local, pair, seconds=0.5), np.unique(queries_of(local), axis=0)
    assert there.search(queries[:1], 5)[0].lost == 0
    process = process_of(f"{pair}:1:0")
    os.kill(process, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        lost = [there.search(queries[n : n + 1], 5)[0].lost for n in range(1, 9)]
        assert lost == [0.5] * 8
        assert time.monotonic() - begin < 5  # only the first one waits
    finally:
        os.kill(process, signal.SIGCONT)
    wait_until(lambda: there.search(queries[1:2], 5)[0].lost == 0)


def test_shares_of_answers_are_floats_of_one_query_each() -> None:
    near = Neighbours(np.array([1]), np.array([0.5], np.float32), np.array([7]), lost=0.25)
    assert merged([[near]], 1, 1, 0.5)[0].lost == 0.5
