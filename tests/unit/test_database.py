"""Building, viewing and sharing of patch databases; test_search_oracle checks what they find."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.codebook import Codebook
from core.context import Context
from core.patches import database as patches
from core.patches.cache import Cache
from core.patches.database import PatchDatabase
from core.patches.index import choose_kind, entry_of_rank, tie_rank
from core.patches.protocol import ImageInfo
from core.types import ConfigError, DatabaseError, Neighbours
from tests.databases import CAPTIONS, CODEBOOK, GRIDS, METADATA, PICTURES, QUERIES, build, same


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build().save(tmp_path / "database")
    return tmp_path / "database"


# -- building ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grids": GRIDS + 1}, "codes 1..32, expected 0..31"),
        ({"grids": GRIDS - 1}, "codes -1..30"),
        ({"grids": GRIDS[0]}, "grids: got"),
        ({"grids": GRIDS.astype(float)}, "whole numbers"),
        ({"grids": GRIDS[:0]}, "grids: got"),
        ({"grids": GRIDS[:5]}, "metadata: got 6 images, expected 5"),
        ({"grids": GRIDS[:, :1]}, "no position with a context"),
        ({"captions": CAPTIONS[:5]}, "captions"),
        ({"captions": CAPTIONS[0]}, "captions"),
        ({"captions": CAPTIONS * np.nan}, "captions"),
        ({"pictures": PICTURES[:5]}, "pictures: got 5, expected 6"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        build(**changes)


def test_unknown_index_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="index: got 'hnsw'"):
        build(index="hnsw")


def test_index_kind_follows_size() -> None:
    assert choose_kind(1000) == build().index_kind == "scan"
    assert choose_kind(1_000_000) == "quantizer"


@pytest.mark.parametrize("context", [Context(), Context(1, "zero"), Context(2, "zero")])
def test_entry_numbers_give_their_provenance(context: Context) -> None:
    database = build(context=context)
    images, rows, cols = database.provenance(np.arange(len(database)))
    assert len(set(zip(images.tolist(), rows.tolist(), cols.tolist(), strict=True))) == len(database)
    queries = np.zeros((1, context.size), int)
    found = database.search(queries, 0)[0]
    images, rows, cols = database.provenance(found.entries)
    np.testing.assert_array_equal(database.grids[images, rows, cols], found.codes)


@pytest.mark.parametrize("entry", [-1, 10**6])
def test_provenance_of_nothing_is_refused(entry: int) -> None:
    with pytest.raises(ConfigError, match="entries: got"):
        build().provenance(np.array([entry]))


# -- views ------------------------------------------------------------------------------------------------------------


def test_views_keep_the_numbers_of_the_full_database() -> None:
    full = build()
    view = full.subset([4, 1])
    assert list(view.images) == [1, 4]
    found = view.search(QUERIES, 0)[0]
    images, rows, cols = full.provenance(found.entries)
    assert set(images.tolist()) == {1, 4}
    np.testing.assert_array_equal(GRIDS[images, rows, cols], found.codes)
    everything = full.search(QUERIES, 0)[0]
    kept = np.isin(full.provenance(everything.entries)[0], [1, 4])
    np.testing.assert_array_equal(everything.entries[kept], found.entries)


def test_view_of_everything_is_everything() -> None:
    full = build()
    assert same(full.subset(np.arange(6)).search(QUERIES, 9), full.search(QUERIES, 9))
    assert full.with_styles([]) is full
    assert full.fingerprint == full.subset(np.arange(6)).fingerprint != full.subset([1]).fingerprint


def test_styles() -> None:
    full = build()
    assert full.styles == ("a", "b")
    assert list(full.with_styles(["b"]).images) == [1, 3, 5]
    assert full.with_styles(["b"]).styles == ("b",)
    with pytest.raises(ConfigError, match="styles: got z; expected some of a, b"):
        full.with_styles(["a", "z"])


def test_view_cannot_hold_what_its_parent_lacks() -> None:
    view = build().with_styles(["b"])
    for image in (0, 6, -1):
        with pytest.raises(ConfigError, match=f"got {image}, which this view"):
            view.subset([1, image])


def test_empty_view_finds_nothing() -> None:
    view = build().subset([])
    assert len(view) == 0
    for k in (0, 3):
        for position, weight in ((None, 0.0), (7, 1.0)):
            assert [len(found) for found in view.search(QUERIES, k, position, weight)] == [0] * 5


def test_nearest_captions_within_the_view() -> None:
    full = build()
    toward_y = np.array([0.6, 0.8, 0], np.float32)
    assert full.nearest_captions(toward_y, 3).tolist() == [1, 4, 0]
    assert full.with_styles(["a"]).nearest_captions(toward_y, 2).tolist() == [4, 0]
    assert len(full.nearest_captions(toward_y, 100)) == 6
    with pytest.raises(ConfigError, match="caption vector"):
        full.nearest_captions(toward_y[:2], 3)


def test_a_vector_of_nothing_is_near_to_all_captions() -> None:
    full, nothing = build(), np.zeros(3, np.float32)
    assert full.nearest_captions(nothing, 2).tolist() == [0, 1, 2, 3, 4, 5]
    assert full.subset([1, 4]).nearest_captions(nothing, 1).tolist() == [1, 4]


def test_picture_of_nothing_is_refused() -> None:
    for image in (-1, 6):
        with pytest.raises(ConfigError, match="image: got"):
            build().picture(image)


# -- search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queries", "options", "message"),
    [
        (QUERIES[0], {}, "queries: got"),
        (QUERIES[:, :3], {}, "queries: got"),
        (QUERIES.astype(float), {}, "queries: got"),
        (QUERIES * 0 - 1, {}, "expected 0..31"),
        (QUERIES * 0 + 32, {}, "expected 0..31"),
        (QUERIES, {"k": -1}, "k: got -1"),
        (QUERIES, {"position_weight": -1.0}, "position_weight"),
        (QUERIES, {"position_weight": float("nan")}, "position_weight"),
        (QUERIES, {"position_weight": 1.0}, "position: got None"),
        (QUERIES, {"position_weight": 1.0, "position": 20}, "position: got 20"),
        (QUERIES, {"position_weight": 1.0, "position": np.arange(20, 20 - len(QUERIES), -1)}, "position: got 20"),
        (QUERIES, {"position_weight": 1.0, "position": np.arange(len(QUERIES) + 1)}, "position: got int64"),
        (QUERIES, {"position_weight": 1.0, "position": np.zeros(len(QUERIES))}, "position: got float64"),
    ],
)
def test_malformed_searches_are_refused(queries: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build().search(queries, **{"k": 3} | options)


def test_ties_go_by_tie_rank() -> None:
    same_grid = np.tile(GRIDS[:1], (6, 1, 1))
    found = build(grids=same_grid).search(same_grid[:1, :2].reshape(1, -1)[:, [0, 1, 2, 5]], 3)[0]
    tied = np.arange(0, 54, 9)  # the first of the 9 entries of each image
    assert found.entries.tolist() == tied[np.argsort(tie_rank(tied))][:3].tolist()
    assert (found.distances == 0).all()


def test_ties_represent_all_images() -> None:
    """A blank that every image has is answered by many images, not by the first ones."""
    blank = np.zeros((200, 6, 6), int)
    database = PatchDatabase.build(CODEBOOK, blank, [ImageInfo("")] * 200)
    found = database.search(np.zeros((1, 4), int), 64)[0]
    images = database.provenance(found.entries)[0]
    assert len(np.unique(images)) > 40
    assert np.ptp(images) > 150


def test_tie_rank_is_one_to_one() -> None:
    entries = np.array([0, 1, 2, 209, 302_189, 2**31 - 1])
    assert entry_of_rank(tie_rank(entries)).tolist() == entries.tolist()
    assert len(np.unique(tie_rank(np.arange(10_000)))) == 10_000


def test_batch_is_one_by_one() -> None:
    assert same(build().search(QUERIES, 4), [build().search(query[None], 4)[0] for query in QUERIES])
    assert build().search(QUERIES[:0], 4) == []


@pytest.mark.parametrize("at_once", [1, 1 << 10])
@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("k", [0, 1, 7])
def test_each_query_is_asked_from_its_own_position(
    k: int, weight: float, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "AT_ONCE", at_once)
    queries, places = np.concatenate([QUERIES, QUERIES]), np.arange(2 * len(QUERIES)) * 3 % 20
    database, alone = build(), build()
    one_by_one = [
        alone.search(query[None], k, int(place), weight)[0] for query, place in zip(queries, places, strict=True)
    ]
    database.search(queries[2:3], k, places[2:3], weight)  # some are remembered, others not
    assert same(database.search(queries, k, places, weight), one_by_one)


def test_bounds_of_some_queries_change_no_answer() -> None:
    """Also those of 0, where the entries of the query's own context are named without a search."""
    queries = np.concatenate([GRIDS[:3, :2].reshape(3, -1)[:, [0, 1, 2, 5]], QUERIES])
    expected = build().search(queries, 1)
    bounds = np.array([near.distances[-1] for near in expected], np.float32)
    bounds[1::2] = np.inf
    assert (bounds == 0).any()
    assert same(build().search_within(queries, 1, None, 0.0, bounds), expected)


def test_cache_keeps_apart_what_differs() -> None:
    database = build()
    searches: list[tuple[int, int | None, float]] = [(3, None, 0), (4, None, 0), (4, 7, 0.5), (4, 8, 0.5), (4, 8, 0.6)]
    for _ in range(2):
        for k, position, weight in searches:
            fresh = build().search(QUERIES, k, position, weight)
            assert same(database.search(QUERIES, k, position, weight), fresh)
    view = database.subset([2])
    assert set(database.provenance(view.search(QUERIES, 4)[0].entries)[0].tolist()) == {2}


def test_shared_results_cannot_be_changed() -> None:
    database = build()
    found = database.search(QUERIES, 4)[0]
    assert database.search(QUERIES, 4)[0] is found
    for values in (found.codes, found.distances, found.entries, database.images):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


def test_cache_forgets_the_least_recently_used() -> None:
    def some(count: int) -> Neighbours:
        return Neighbours(np.zeros(count, np.int64), np.zeros(count, np.float32), np.zeros(count, np.int64))

    cache = Cache(12)
    for name in ("a", "b"):
        cache.put((name,), some(5))
    assert cache.get(("a",)) is not None
    cache.put(("c",), some(4))
    cache.put(("too large",), some(12))
    assert [cache.get((name,)) is not None for name in ("a", "b", "c", "too large")] == [True, False, True, False]
    for number in range(50):
        cache.put((number,), some(0))
    assert [cache.get((number,)) is not None for number in (0, 37, 38, 49)] == [False, False, True, True]


def test_threads_share_a_database() -> None:
    database = build()
    expected = [build().search(QUERIES, k) for k in (0, 1, 2, 3)]
    wrong: list[int] = []

    def run() -> None:
        for turn in range(60):
            if not same(database.search(QUERIES, turn % 4), expected[turn % 4]):
                wrong.append(turn)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_joined_databases_hold_the_images_of_both_in_order() -> None:
    first, second = build(context=Context(radius=1, border="zero")), build(grids=(GRIDS + 1) % 32)
    both = first.subset([1, 4]).joined(second)
    assert np.array_equal(both.grids, np.concatenate([GRIDS[[1, 4]], (GRIDS + 1) % 32]))
    assert both.context == first.context
    assert [info.caption for info in both.metadata] == [METADATA[i].caption for i in (1, 4, *range(6))]
    assert [both.picture(i) for i in range(8)] == [None, b"5", b"one", None, b"three", b"4", b"5", b"six"]
    assert both.nearest_captions(np.eye(3, dtype=np.float32)[1], 9)[:3].tolist() == [0, 1, 3]
    exact = build(grids=both.grids, metadata=both.metadata, captions=None, pictures=None, context=first.context)
    assert same(both.search(QUERIES, 7), exact.search(QUERIES, 7))


def test_joined_databases_must_fit_and_need_captions_of_both_for_the_filter() -> None:
    other = PatchDatabase.build(Codebook.from_vectors(np.eye(32, 8, dtype=np.float32) + 1), GRIDS, METADATA)
    with pytest.raises(DatabaseError, match="two codebooks"):
        build().joined(other)
    with pytest.raises(DatabaseError, match="two dimensions"):
        build().joined(build(captions=np.eye(6, dtype=np.float32)))
    with pytest.raises(DatabaseError, match="without caption vectors"):
        build().joined(build(captions=None)).nearest_captions(np.zeros(3, np.float32), 1)


def test_another_process_gets_the_same_database() -> None:
    database = build().subset([0, 2, 3])
    sent = pickle.loads(pickle.dumps(database))
    assert sent.fingerprint == database.fingerprint
    assert sent.picture(2) == b"three"
    assert same(sent.search(QUERIES, 6), database.search(QUERIES, 6))
