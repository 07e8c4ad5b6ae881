"""Databases of segments answer as those in memory do, however they are cut."""

from __future__ import annotations

import pickle
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.codebook import Codebook
from core.context import Context
from core.engine import generate
from core.patches.database import PatchDatabase
from core.patches.index import distance_tables, tie_rank, transposed_vectors
from core.patches.protocol import ImageInfo
from core.patches.segments import view
from core.patches.segments.ask import Ask, Ground
from core.patches.segments.database import MOST_AT_ONCE, SegmentedDatabase
from core.patches.segments.images import ImageRow
from core.patches.segments.manifest import Header, read_manifest, write_manifest
from core.patches.segments.scan import ScanIndex, build_scan, columns_of
from core.patches.segments.segment import Batch
from core.patches.segments.ties import ordered
from core.patches.segments.writer import DatabaseWriter
from core.trace import neighbours
from core.types import ConfigError, DatabaseError, DecodeSettings, Grid, IntArray
from tests.databases import CODEBOOK, build, same
from tests.segmented import written
from tests.tiny import tiny_backend, tiny_database

RNG = np.random.default_rng(5)
CODES = Codebook.from_vectors(np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32))
"""Whose distances are 0, 2 and 4 only: ties everywhere."""


def small(grids: IntArray, border: Any = "skip") -> PatchDatabase:
    """Of token grids, in three styles, one of them none, and with captions and pictures."""
    count = len(grids)
    infos = [ImageInfo(f"c{i}", ["a", "", "b"][i % 3], "k", "s") for i in range(count)]
    captions = RNG.standard_normal((count, 5))
    captions /= np.linalg.norm(captions, axis=1, keepdims=True)
    captions[1::4] = captions[0]  # ties among captions, too
    return PatchDatabase.build(
        CODES, grids, infos, Context(1, border), captions, [b"p" * (i % 4) for i in range(count)], caption_encoder="it"
    )


KINDS_OF_DATA: dict[str, IntArray] = {
    "random": RNG.integers(0, 4, (24, 4, 5)),
    "correlated": np.repeat(np.repeat(RNG.integers(0, 4, (24, 2, 3)), 2, axis=1), 2, axis=2)[:, :, :5],
    "all equal": np.ones((24, 4, 5), np.int64),
}


def check_equal(one: PatchDatabase, two: SegmentedDatabase, queries: IntArray) -> None:
    """Whether both answer alike, with and without a position, for some and for all."""
    assert np.array_equal(one.images, two.images)
    assert (len(one), one.styles) == (len(two), two.styles)
    for k in (2, 40, 0):
        assert same(one.search(queries, k), two.search(queries, k))
        assert same(one.search(queries, k, 14, 0.4), two.search(queries, k, 14, 0.4))
    places = np.arange(len(queries)) * 7 % 20
    asked = zip(queries, places.tolist(), strict=True)
    one_by_one = [one.search(query[None], 2, place, 0.3)[0] for query, place in asked]
    assert same(two.search(queries, 2, places, 0.3), one_by_one)


@pytest.mark.parametrize("narrow", [0, 65_536], ids=["marked", "by themselves"])
@pytest.mark.parametrize("name", KINDS_OF_DATA)
def test_views_answer_as_in_memory(name: str, narrow: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "NARROW", narrow)
    one, queries = small(KINDS_OF_DATA[name]), RNG.integers(0, 4, (2, 4))
    for most in (10**9, 50):
        two = written(tmp_path / str(most), one, most, size=7)
        check_equal(one, two, queries)
        check_equal(one.with_styles(["a"]), two.with_styles(["a"]), queries)
        check_equal(one.with_styles(["", "b"]), two.with_styles(["", "b"]), queries)
        check_equal(one.subset([3, 4, 20]), two.subset([20, 3, 4, 4]), queries)
        check_equal(one.with_styles(["b"]).subset([2, 5]), two.with_styles(["b"]).subset([2, 5]), queries)


@settings(max_examples=20)
@given(data=st.data())
def test_any_cut_answers_as_in_memory(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 7)), data.draw(st.integers(2, 4)), data.draw(st.integers(3, 4)))
    cells = data.draw(st.lists(st.integers(0, 2), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    border = data.draw(st.sampled_from(["skip", "zero"]))
    one = small(np.array(cells).reshape(shape), border)
    lowest = -1 if border == "zero" else 0
    queries = np.array(data.draw(st.lists(st.lists(st.integers(lowest, 3), min_size=4, max_size=4), min_size=1)))
    k, weight = data.draw(st.integers(0, 30)), data.draw(st.sampled_from([0.0, 0.5, 2.0]))
    with tempfile.TemporaryDirectory() as folder:
        two = written(Path(folder) / "made", one, data.draw(st.integers(4, 40)), size=data.draw(st.integers(1, 8)))
        assert same(one.search(queries, k, 5, weight), two.search(queries, k, 5, weight))
        found = one.search(queries[:1], k, 5, weight)[0]
        entries = np.concatenate([found.entries, found.entries[:3], [0]])
        near = two.nearest_of(queries[0], entries, max(len(found), 1), 5, weight)
        assert set(near.entries.tolist()) <= {*entries.tolist()}
        if k:
            assert np.array_equal(near.distances[: len(found)], found.distances)


def test_a_bound_leaves_out_what_is_farther(tmp_path: Path) -> None:
    one = small(KINDS_OF_DATA["random"])
    two = written(tmp_path / "made", one, 100)
    queries = RNG.integers(0, 4, (4, 4))
    bounds = np.array([0, 2, 3.5, np.inf], np.float32)
    for whole, near, bound in zip(
        one.search(queries, 50), two.search_within(queries, 50, None, 0.0, bounds), bounds, strict=True
    ):
        kept = whole.distances <= bound
        assert np.array_equal(near.entries, whole.entries[kept])


def test_cutting_changes_no_fingerprint_and_each_image_does(tmp_path: Path) -> None:
    one = small(KINDS_OF_DATA["random"])
    whole, cut = written(tmp_path / "whole", one), written(tmp_path / "cut", one, 50, size=5)
    assert len(cut.segments) > 4
    assert whole.fingerprint == cut.fingerprint
    assert whole.subset(whole.images).fingerprint == whole.fingerprint
    assert whole.with_styles(["a"]).fingerprint == cut.with_styles(["a"]).fingerprint != whole.fingerprint
    swapped = written(tmp_path / "swapped", small(KINDS_OF_DATA["random"][::-1]))
    named = [ImageInfo(info.caption + "!", info.style) for info in one.metadata]
    other = written(tmp_path / "named", PatchDatabase.build(CODES, one.grids, named))
    assert len({whole.fingerprint, swapped.fingerprint, other.fingerprint}) == 3


def test_the_same_images_give_the_same_bytes_however_they_come(tmp_path: Path) -> None:
    one = small(KINDS_OF_DATA["correlated"])
    written(tmp_path / "one", one, 100, size=3)
    written(tmp_path / "two", one, 100, size=24)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) > 20
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.parametrize("first", [0, 1, 2**31, 2**32 - 5, 3 * 2**32 + 12_345])
def test_ties_stand_in_the_same_order_wherever_a_segment_stands(first: int, tmp_path: Path) -> None:
    grids = np.ones((9, 4, 5), np.uint16)  # one context, 81 entries
    build_scan(tmp_path, grids, CODES, Context())
    index = ScanIndex(Ground(tmp_path, grids, CODES, Context(), first))
    query = np.ones(4, np.int64)
    tables = distance_tables(transposed_vectors(CODES), query)
    numbers = [first + i for i in range(81)]
    wanted = sorted(numbers, key=lambda n: (n * 2654435761 % 2**32, n >> 32))
    for k in (1, 5, 80, 81, 100):
        near = index.near(query, tables, Ask(k))
        found = near.entries[ordered(near.distances, near.entries, k)]
        assert found.tolist() == wanted[:k]


def test_ties_of_two_entries_2_to_the_32_apart_go_to_the_lower() -> None:
    entries = np.array([7 + 2**32, 7, 8 + 2**33, 7 + 2**34])
    order = ordered(np.zeros(4, np.float32), entries, 4)
    assert entries[order][tie_rank(entries[order]) == tie_rank(np.int64(7))].tolist() == [7, 7 + 2**32, 7 + 2**34]


def test_contexts_are_those_of_each_position() -> None:
    grids = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    assert columns_of(Context(), grids, 99).T.tolist() == [[0, 1, 2, 4], [1, 2, 3, 5], [4, 5, 6, 8], [5, 6, 7, 9]]


# -- what it holds ----------------------------------------------------------------------------------------------------


def test_everything_of_an_image_comes_back(tmp_path: Path) -> None:
    one = small(KINDS_OF_DATA["random"])
    two = written(tmp_path / "made", one, 50)
    for image in range(24):
        assert two.image_info(image) == one.image_info(image)
        assert np.array_equal(two.image_codes(image), one.image_codes(image))
        assert two.picture(image) == one.picture(image)
    entries = RNG.integers(0, len(one), 9)
    assert all(map(np.array_equal, two.provenance(entries), one.provenance(entries)))
    wanted = np.array([20, 3, 3, 11])
    vectors, known = two.caption_vectors(wanted), one.caption_vectors(wanted)
    assert vectors is not None
    assert known is not None
    assert np.array_equal(vectors, known)
    assert np.array_equal(two.grids_of(wanted), one.grids[wanted])
    assert two.style_counts == {"": 8, "a": 8, "b": 8}
    assert (two.caption_encoder, two.knows_images, two.notice) == ("it", True, "")


@pytest.mark.parametrize("wrong", [-1, 24])
def test_numbers_that_there_are_not_are_refused(wrong: int, tmp_path: Path) -> None:
    two = written(tmp_path / "made", small(KINDS_OF_DATA["random"]), 50)
    for call in (two.picture, two.image_info, two.image_codes, lambda image: two.subset([image])):
        with pytest.raises(ConfigError, match=f"got {wrong}"):
            call(wrong)
    with pytest.raises(ConfigError, match="entries"):
        two.provenance(np.array([wrong * 9]))
    with pytest.raises(ConfigError, match="expected some of , a, b"):
        two.with_styles(["c"])


def test_nearest_captions_are_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.patches.segments.database.CAPTIONS_AT_ONCE", 15)  # three images at a time
    one = small(KINDS_OF_DATA["random"])
    two = written(tmp_path / "made", one, 80)
    vectors = one.caption_vectors(one.images)
    assert vectors is not None
    for vector in (vectors[0], vectors[7], np.zeros(5, np.float32)):
        for n in (1, 2, 5, 7, 100):
            assert two.nearest_captions(vector, n).tolist() == one.nearest_captions(vector, n).tolist()
            of_style = two.with_styles(["b"]).nearest_captions(vector, n)
            assert of_style.tolist() == one.with_styles(["b"]).nearest_captions(vector, n).tolist()
    with pytest.raises(ConfigError, match="caption vector"):
        two.nearest_captions(np.ones(4, np.float32), 3)


def test_without_captions_they_cannot_be_asked_for(tmp_path: Path) -> None:
    two = written(tmp_path / "made", PatchDatabase.build(CODES, KINDS_OF_DATA["random"], [ImageInfo("")] * 24))
    assert "caption_filter" in two.unsupported_settings
    assert two.caption_vectors(np.arange(3)) is None
    assert two.picture(0) is None
    with pytest.raises(DatabaseError, match="without caption vectors"):
        two.nearest_captions(np.ones(5, np.float32), 3)


def test_all_of_a_large_view_are_not_returned_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = written(tmp_path / "made", small(KINDS_OF_DATA["random"]))
    assert two.can_return_all
    assert len(two) < MOST_AT_ONCE
    monkeypatch.setattr("core.patches.segments.database.MOST_AT_ONCE", 50)
    assert not two.can_return_all
    with pytest.raises(ConfigError, match="k: got 0 for all"):
        two.search(np.zeros((1, 4), np.int64), 0)


def test_what_is_read_can_be_written_again(tmp_path: Path) -> None:
    two = written(tmp_path / "made", small(KINDS_OF_DATA["random"]), 50)
    with DatabaseWriter(tmp_path / "again", CODES, two.manifest.header) as writer:
        for batch in two.read(size=5):
            writer.add(batch)
    again = SegmentedDatabase.open(tmp_path / "again")
    assert again.fingerprint == two.fingerprint
    assert [again.picture(i) for i in range(24)] == [two.picture(i) for i in range(24)]
    part = two.subset([2, 5, 17, 23])
    rows = [row for batch in part.read(size=6) for row in batch.rows]
    assert [row.info.caption for row in rows] == ["c2", "c5", "c17", "c23"]


def test_all_that_is_said_of_an_image_is_kept(tmp_path: Path) -> None:
    columns = {"url": "text", "score": "number", "id": "whole", "safe": "truth"}
    rows = [
        ImageRow(
            ImageInfo("ein Käfer 🐞", "x"), "CC0", "ab" * 32, 123, 40, 30, {"url": "http://a", "score": 0.5, "id": 7}
        ),
        ImageRow(ImageInfo("")),
    ]
    header = Header(CODES.fingerprint, Grid(4, 5), columns=columns)
    with DatabaseWriter(tmp_path / "made", CODES, header) as writer:
        writer.add(Batch(np.zeros((2, 4, 5), np.int64), rows))
    table = SegmentedDatabase.open(tmp_path / "made").segments[0].table
    assert table.row(0) == ImageRow(
        rows[0].info, "CC0", "ab" * 32, 123, 40, 30, {"url": "http://a", "score": 0.5, "id": 7, "safe": None}
    )
    assert table.row(1).extra == dict.fromkeys(columns)
    assert table.column("score", 0).to_pylist() == [0.5, None]


# -- other processes and threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("narrow", [0, 65_536])
def test_a_view_is_sent_as_its_folder(narrow: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "NARROW", narrow)
    two = written(tmp_path / "made", small(KINDS_OF_DATA["random"]), 50)
    queries = RNG.integers(0, 4, (3, 4))
    for one in (two, two.with_styles(["b"]), SegmentedDatabase.open(tmp_path / "made", segments=["000001"])):
        sent = pickle.dumps(one)
        assert len(sent) < 2000
        there = pickle.loads(sent)
        assert there.fingerprint == one.fingerprint
        assert same(there.search(queries, 9), one.search(queries, 9))
    sent = pickle.dumps(two)
    write_manifest(tmp_path / "made", read_manifest(tmp_path / "made"))
    assert pickle.loads(sent).fingerprint == two.fingerprint
    (tmp_path / "made").rename(tmp_path / "old")
    written(tmp_path / "made", small(KINDS_OF_DATA["all equal"]))
    with pytest.raises(DatabaseError, match="another database than was opened"):
        pickle.loads(sent)


def test_some_segments_are_a_view_that_needs_no_other_files(tmp_path: Path) -> None:
    one = small(KINDS_OF_DATA["random"])
    written(tmp_path / "made", one, 60)
    for path in (tmp_path / "made" / "segments" / "000000").rglob("*.*"):
        path.unlink()
    part = SegmentedDatabase.open(tmp_path / "made", segments=["000001", "000003"])
    images = part.images
    assert images.tolist() == [6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23]
    check_equal(one.subset(images), part, RNG.integers(0, 4, (4, 4)))
    assert part.image_info(20).caption == "c20"
    with pytest.raises(ConfigError, match="in a segment that is not open"):
        part.image_info(12)
    with pytest.raises(ConfigError, match="segments: got 'x'"):
        SegmentedDatabase.open(tmp_path / "made", segments=["x"])


def test_threads_share_it(tmp_path: Path) -> None:
    two = written(tmp_path / "made", small(KINDS_OF_DATA["random"]), 50)
    queries, found = RNG.integers(0, 4, (8, 4)), list[Any]()
    alone = SegmentedDatabase.open(tmp_path / "made").search(queries, 7)

    def ask() -> None:
        found.append((two.search(queries, 7), [two.image_info(i).caption for i in range(24)]))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(same(near, alone) and captions[9] == "c9" for near, captions in found)


# -- drawing ----------------------------------------------------------------------------------------------------------


def test_a_picture_is_the_same_from_either(tmp_path: Path) -> None:
    backend = tiny_backend()
    one = tiny_database(backend)
    settings = DecodeSettings(
        seed=3, retrieval_weight=0.5, n_neighbours=9, styles=one.styles[:1], caption_filter=4, position_weight=0.01
    )
    each = len(one) // len(one.images)
    two = written(tmp_path / "made", one, 2 * each)
    assert len(two.segments) > 1
    drawn, again = (generate(backend, database, "red", settings) for database in (one, two))
    assert np.array_equal(drawn.codes, again.codes)
    assert len(drawn.steps) == len(again.steps)
    found, found_again = ([near for step in trace.steps if (near := neighbours(step))] for trace in (drawn, again))
    assert len(found) == drawn.retrieving_positions
    assert same(found, found_again)


def test_it_is_of_the_codebook_that_it_keeps(tmp_path: Path) -> None:
    written(tmp_path / "made", build())
    assert np.array_equal(SegmentedDatabase.open(tmp_path / "made").codebook.vectors, CODEBOOK.vectors)
    with pytest.raises(DatabaseError, match="build it with the tokenizer of this model"):
        SegmentedDatabase.open(tmp_path / "made", CODES)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (Batch(np.full((1, 4, 5), 4), [ImageRow(ImageInfo(""))]), "codes 4..4, expected 0..3"),
        (Batch(np.zeros((1, 4, 5)), [ImageRow(ImageInfo(""))]), "whole numbers"),
        (Batch(np.zeros((1, 5, 4), int), [ImageRow(ImageInfo(""))]), r"expected \(1, 4, 5\)"),
        (Batch(np.zeros((2, 4, 5), int), [ImageRow(ImageInfo(""))]), "expected 1: one for each row"),
        (Batch(np.zeros((1, 4, 5), int), [ImageRow(ImageInfo(""))], np.ones((1, 3))), "captions: got vectors for some"),
        (Batch(np.zeros((1, 4, 5), int), [ImageRow(ImageInfo(""))], None, []), "pictures: got 0, expected 1"),
        (Batch(np.zeros((1, 4, 5), int), [ImageRow(ImageInfo("\ud800"))]), "does not fit its column"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left(batch: Batch, message: str, tmp_path: Path) -> None:
    header = Header(CODES.fingerprint, Grid(4, 5))
    with pytest.raises(DatabaseError, match=message), DatabaseWriter(tmp_path / "made", CODES, header) as writer:
        writer.add(batch)
    assert list((tmp_path / "made").iterdir()) == []
