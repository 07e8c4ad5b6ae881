"""Following a source: what goes on is found, the exact form changes nothing, and what it did is recorded and read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analysis.following import ABOVE, LEFT, Chain, following, following_of
from core.backends.emoji.backend import EmojiBackend
from core.codebook import Codebook
from core.context import Border, Context, context_codes, contexts_of_entries, retrieving_positions, shifted_entries
from core.engine import decode
from core.evaluation.following import shares
from core.lookup import look_up, remember
from core.patches.database import PatchDatabase
from core.patches.following import going_on, search_following
from core.patches.index import INDEX_KINDS
from core.patches.protocol import Database, ImageInfo
from core.patches.released import check_released
from core.trace import Trace
from core.types import Change, ConfigError, DecodeSettings, Followed, Grid, IntArray, Neighbours, Retrieval, TraceError
from tests.databases import same
from tests.segmented import written
from tests.tampering import npy, rewrite, with_meta
from tests.traces import CONTEXT, GRID, PLAIN, entry, near, trace_of, traced

DAID = DecodeSettings(seed=5, retrieval_weight=0.5, n_neighbours=8, gate=0.0, temperature=1.0, top_p=1.0)
NEAR = replace(DAID, follow="near", follow_within=6.0, caption_filter=0)
COUNT = 12
"""Entries of an image of the small grid: rows 1 to 3, columns 1 to 4."""


# -- what goes on -----------------------------------------------------------------------------------------------------


def test_entries_are_shifted_within_their_pictures() -> None:
    """Positions 7 to 10, 13 to 16 and 19 to 22 are entries of each image."""
    entries = np.array([entry(3, 7), entry(3, 10), entry(5, 20), entry(0, 22)])
    assert shifted_entries(CONTEXT, GRID, entries, 0, 1).tolist() == [entry(3, 8), -1, entry(5, 21), -1]
    assert shifted_entries(CONTEXT, GRID, entries, 1, 0).tolist() == [entry(3, 13), entry(3, 16), -1, -1]
    assert shifted_entries(CONTEXT, GRID, entries, -1, 0).tolist() == [-1, -1, entry(5, 14), entry(0, 16)]
    assert shifted_entries(CONTEXT, GRID, entries, 0, 0).tolist() == entries.tolist()


def test_what_goes_on_is_right_of_the_left_and_below_the_upper_once() -> None:
    left, above = np.array([entry(3, 7), entry(5, 10)]), np.array([entry(3, 2 + 12), entry(8, 9), entry(8, 21)])
    expected = sorted([entry(3, 8), entry(3, 20), entry(8, 15)])
    assert going_on(left, above, CONTEXT, GRID).tolist() == expected
    assert going_on(np.array([entry(3, 13)]), np.array([entry(3, 8)]), CONTEXT, GRID).tolist() == [entry(3, 14)]
    assert going_on(None, None, CONTEXT, GRID).tolist() == []


@pytest.mark.parametrize("context", [Context(r, b) for r in (1, 2) for b in get_args(Border)], ids=repr)
def test_the_context_of_one_entry_is_that_of_its_position(context: Context) -> None:
    grids = np.random.default_rng(0).integers(0, 9, (3, 6, 7))
    places = retrieving_positions(context, Grid(6, 7))
    every = context_codes(context, grids, places)
    images, slots = np.divmod(np.arange(every.shape[0] * every.shape[1]), len(places))
    np.testing.assert_array_equal(contexts_of_entries(context, grids[images], places[slots]), every[images, slots])


# -- a database of few codes, where nearly everything is tied ---------------------------------------------------------


def tied(codes: int, seed: int, context: Context, index: str, twins: bool = False) -> PatchDatabase:
    """Five pictures of 5 x 6 flat or random codes; twins: the first two codes have the same vector."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(codes, 3)).astype(np.float32)
    if twins:
        vectors[1] = vectors[0]
    grids = np.where(rng.random((5, 5, 6)) < 0.4, rng.integers(0, codes, (5, 5, 6)), rng.integers(0, 2, (5, 1, 1)))
    infos = [ImageInfo(f"image {n}", style="ab"[n % 2]) for n in range(5)]
    return PatchDatabase.build(Codebook.from_vectors(vectors), grids, infos, context, index=index)


def along(view: Database, codes: IntArray, chosen: DecodeSettings) -> list[Retrieval]:
    """The look-ups of a picture whose codes are there."""
    trail: dict[int, IntArray] = {}
    answers = []
    for position in range(len(codes)):
        answers.append(look_up(view, codes, position, chosen, trail))
        remember(trail, position, answers[-1], view.grid.width)
    return [answer for answer in answers if isinstance(answer, Retrieval)]


DRAWN = st.fixed_dictionaries(
    {
        "codes": st.integers(2, 6),
        "seed": st.integers(0, 10_000),
        "context": st.sampled_from([Context(r, b) for r in (1, 2) for b in get_args(Border)]),
        "index": st.just("scan"),
        "twins": st.booleans(),
    }
)


@settings(max_examples=30, deadline=None)
@given(DRAWN, st.integers(0, 9), st.sampled_from([0.0, 0.01, 0.5]), st.booleans())
def test_exact_following_finds_the_very_same(drawn: dict[str, int], k: int, weight: float, narrowed: bool) -> None:
    database = tied(**drawn)  # type: ignore[arg-type]
    view = database.with_styles(["a"]) if narrowed else database
    codes = np.random.default_rng(drawn["seed"]).permuted(database.grids[1].ravel().astype(np.int64))
    codes[:18] = database.grids[0].ravel()[:18]
    chosen = DecodeSettings(n_neighbours=k, position_weight=weight, follow="exact")
    fresh = view.subset(view.images)  # which remembers no answers
    plain, followed = along(fresh, codes, replace(chosen, follow="off")), along(view, codes, chosen)
    assert same([one.neighbours for one in plain], [one.neighbours for one in followed])
    assert all(one.followed and one.followed.way != "kept" for one in followed)


@settings(max_examples=20, deadline=None)
@given(DRAWN, st.integers(1, 9), st.sampled_from([0.0, 0.2]))
def test_what_is_kept_goes_on_from_what_was_found(drawn: dict[str, int], k: int, weight: float) -> None:
    """And is an entry of the view, at its true distance, in the order of the search."""
    database = tied(**drawn)  # type: ignore[arg-type]
    view, codes = database.with_styles(["a"]), database.grids[1].ravel().astype(np.int64)
    chosen = DecodeSettings(n_neighbours=k, position_weight=weight, follow="near", follow_within=2.0)
    trail: dict[int, IntArray] = {}
    for position in range(len(codes)):
        answer = look_up(view, codes, position, chosen, trail)
        if isinstance(answer, Retrieval) and answer.followed and answer.followed.way == "kept":
            left = trail.get(position - 1) if position % 6 else None
            known = going_on(left, trail.get(position - 6), view.context, view.grid)
            assert set(answer.neighbours.entries.tolist()) <= set(known.tolist())
            assert len(answer.neighbours) == min(k, len(known))
            every = view.search(answer.query[None], 0, position, weight)[0]
            places = np.flatnonzero(np.isin(every.entries, known))[:k]
            for name in ("codes", "distances", "entries"):
                np.testing.assert_array_equal(getattr(answer.neighbours, name), getattr(every, name)[places])
        remember(trail, position, answer, 6)


@pytest.mark.parametrize("index", INDEX_KINDS)
@pytest.mark.parametrize("twins", [False, True])
def test_a_known_bound_changes_no_answer(index: str, twins: bool) -> None:
    database = tied(3, 1, Context(), index, twins)
    queries = np.unique(
        context_codes(Context(), database.grids, retrieving_positions(Context(), database.grid)).reshape(-1, 4), axis=0
    )
    met = Counter[float]()
    for k in (1, 3, 8):
        for place, weight in ((None, 0.0), (9, 0.05)):
            plain = database.subset(database.images).search(queries, k, place, weight)
            last = np.array([found.distances[-1] for found in plain], np.float32)
            met.update((last == 0).tolist())
            for bounds in (last, np.nextafter(last, np.float32(9)), last + 1):
                fresh = database.subset(database.images)
                assert same(plain, fresh.search_within(queries, k, place, weight, bounds))
    assert met[True] > 0 < met[False]


def test_the_nearest_of_some_entries_leaves_out_other_pictures() -> None:
    database = tied(4, 2, Context(), "scan")
    view, query = database.subset([1, 3]), database.grids[0, 1:3, 1:3].ravel().astype(np.int64)
    every = view.search(query[None], 0)[0]
    found = view.nearest_of(query, np.arange(len(database))[::-1], 0)
    assert same([every], [found])
    assert len(view.nearest_of(query, np.zeros(0, np.int64), 5)) == 0
    with pytest.raises(ConfigError, match="entries: got"):
        view.nearest_of(query, np.array([len(database)]), 5)


# -- decoding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["daid", "faid", "faid+daid"])
def test_exact_following_draws_the_same_picture(backend: EmojiBackend, database: PatchDatabase, method: str) -> None:
    chosen = replace(DAID, method=method, faid_neighbours=4, caption_filter=0)
    plain = list(decode(backend, database, ["pizza"], chosen))
    followed = list(decode(backend, database, ["pizza"], replace(chosen, follow="exact")))
    for (one,), (other,) in zip(plain, followed, strict=True):
        assert one.code == other.code
        np.testing.assert_array_equal(one.logits, other.logits)
    ways = [
        step.retrieval.followed.way
        for (step,) in followed
        if isinstance(step.retrieval, Retrieval) and step.retrieval.followed
    ]
    assert ways.count("bounded") > len(ways) / 2


@pytest.mark.parametrize(
    "changes", [(), (Change(20, others=0.0),), (Change(18, settings=replace(NEAR, n_neighbours=4)),)]
)
@pytest.mark.parametrize("method", ["daid", "faid"])
def test_a_run_that_goes_on_follows_what_it_would_have_followed(
    backend: EmojiBackend, database: PatchDatabase, changes: tuple[Change, ...], method: str
) -> None:
    chosen = replace(NEAR, method=method, faid_neighbours=4)
    changes = tuple(
        replace(c, settings=replace(c.settings, method=method, faid_neighbours=4)) if c.settings else c for c in changes
    )
    whole = [step[0] for step in decode(backend, database, ["pizza"], chosen, changes)]
    assert any(
        step.retrieval.followed.way == "kept"
        for step in whole
        if isinstance(step.retrieval, Retrieval) and step.retrieval.followed
    )
    codes = [step.code for step in whole]
    rest = [step[0] for step in decode(backend, database, ["pizza"], chosen, changes, codes[:30], first=30)]
    for one, other in zip(whole[30:], rest, strict=True):
        assert (one.position, one.code) == (other.position, other.code)
        if isinstance(one.retrieval, Retrieval):
            assert isinstance(other.retrieval, Retrieval)
            assert one.retrieval.followed == other.retrieval.followed
            assert same([one.retrieval.neighbours], [other.retrieval.neighbours])


def test_what_has_no_say_is_not_followed() -> None:
    found = near((3, 7, 1), (5, 8, 2))
    trail: dict[int, IntArray] = {}
    answer = Retrieval(np.zeros(4, np.int64), replace(found, weights=np.array([0, 1], np.float32)))
    remember(trail, 7, answer, 6)
    assert trail[7].tolist() == [entry(5, 8)]
    remember(trail, 13, answer, 6)
    assert list(trail) == [13]  # nothing looks back farther than a row


def test_a_database_that_cannot_follow_says_so(backend: EmojiBackend, database: PatchDatabase) -> None:
    with pytest.raises(ConfigError, match="follow: got exact"):
        check_released(DecodeSettings(caption_filter=0, follow="exact"))
    check_released(DecodeSettings(caption_filter=0))
    with pytest.raises(ConfigError, match="follow: got 'maybe', expected one of off, exact, near"):
        DecodeSettings(follow="maybe")  # type: ignore[arg-type]


def test_all_entries_leave_nothing_to_follow(database: PatchDatabase) -> None:
    query, chosen = np.zeros(4, np.int64), replace(DAID, n_neighbours=0, follow="exact")
    found, how = search_following(database, query, 9, chosen, np.arange(5))
    assert (len(found), how) == (len(database), Followed(5, "searched"))


def test_segments_are_followed_as_a_database_in_memory_is(
    backend: EmojiBackend, database: PatchDatabase, tmp_path: Path
) -> None:
    segments = written(tmp_path / "database", database, 150)
    codes = database.grids[3].ravel().astype(np.int64)
    for chosen in (replace(NEAR, n_neighbours=5), replace(NEAR, follow="exact"), replace(NEAR, position_weight=0.05)):
        one, other = along(database, codes, chosen), along(segments, codes, chosen)
        assert same([answer.neighbours for answer in one], [answer.neighbours for answer in other])
        assert [answer.followed for answer in one] == [answer.followed for answer in other]


# -- traces -----------------------------------------------------------------------------------------------------------


def test_what_following_did_is_saved(backend: EmojiBackend, database: PatchDatabase, tmp_path: Path) -> None:
    trace = traced(backend, database, NEAR)
    trace.save(tmp_path / "run.npz")
    again = Trace.load(tmp_path / "run.npz")
    told = [step.retrieval.followed for step in trace.steps if isinstance(step.retrieval, Retrieval)]
    assert told == [step.retrieval.followed for step in again.steps if isinstance(step.retrieval, Retrieval)]
    assert {one.way for one in told if one} >= {"searched", "kept"}
    counted = shares([step.retrieval for step in again.steps])
    assert counted["kept"] > 0
    assert sum(counted.values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("wrong", ["a way that is none", "fewer", "not said"])
def test_damaged_records_of_following_are_refused(
    backend: EmojiBackend, database: PatchDatabase, tmp_path: Path, wrong: str
) -> None:
    trace = traced(backend, database, NEAR)
    path = tmp_path / "run.npz"
    trace.save(path)
    ways = np.full(trace.retrieving_positions - (wrong == "fewer"), 9 if wrong == "a way that is none" else 1, "<i4")
    rewrite(path, lambda members: members.update({"follow_way.npy": npy(ways)}))
    if wrong == "not said":  # then they are not read
        rewrite(path, with_meta(followed=False))
        assert all(s.retrieval.followed is None for s in Trace.load(path).steps if isinstance(s.retrieval, Retrieval))
        return
    with pytest.raises(TraceError, match="follow_way"):
        Trace.load(path)


def test_other_traces_say_nothing_of_it(trace: Trace, saved: Path) -> None:
    assert all(s.retrieval.followed is None for s in Trace.load(saved).steps if isinstance(s.retrieval, Retrieval))


# -- how a picture goes on --------------------------------------------------------------------------------------------


def test_chains_by_hand() -> None:
    """Image 3 in the same place at 7, 8, 13 and 15, and at 14, which joins them; image 5 a column to the right."""
    codes = {7: 1, 8: 2, 13: 3, 14: 1, 15: 2}
    found = {
        7: near((3, 7, 1), (5, 8, 0)),
        8: near((5, 9, 0), (3, 8, 2)),
        13: near((3, 13, 0)),
        14: near((5, 8, 1), (3, 14, 1)),
        15: near((3, 15, 2)),
    }
    seen = following_of(trace_of(found, codes, PLAIN))
    ways = {position: seen.continued[position].ways.tolist() for position in found}
    assert ways == {7: [0, 0], 8: [LEFT, LEFT], 13: [ABOVE], 14: [0, LEFT + ABOVE], 15: [LEFT]}
    sizes = {position: seen.continued[position].sizes.tolist() for position in found}
    assert sizes == {7: [1, 1], 8: [2, 2], 13: [3], 14: [1, 4], 15: [5]}
    assert [seen.continued[p].leading for p in found] == [-1, 1, -1, 1, 0]
    assert seen.chains == (Chain(3, (0, 0), (7, 8, 13, 14, 15), (True, True, False, True, True)),)
    assert np.flatnonzero(seen.leading == 0).tolist() == [8, 14, 15]
    assert seen.continued[0].ways.tolist() == []


def test_chains_that_meet_are_one_from_then_on() -> None:
    """8 and 13 touch nothing of each other until 14 is there."""
    found: list[Neighbours | None] = [None] * 24
    for position in (8, 13, 14):
        found[position] = near((3, position, 0))
    seen = following([0] * 24, found, CONTEXT, GRID)
    assert [seen.continued[p].sizes.tolist() for p in (8, 13, 14)] == [[1], [1], [3]]


def test_a_row_does_not_go_on_around_the_edge() -> None:
    context = Context(border="zero")
    places = retrieving_positions(context, GRID).tolist()
    found: list[Neighbours | None] = [None] * 24
    for position in (11, 12):
        numbers = np.array([places.index(position)])
        found[position] = Neighbours(np.zeros(1, np.int64), np.zeros(1, np.float32), numbers)
    assert [here.ways.tolist() for here in following([0] * 24, found, context, GRID).continued[11:13]] == [[0], [0]]


def test_the_chains_of_a_run_are_connected_and_lead_where_they_are(blended: Trace) -> None:
    seen = following_of(blended)
    for position, number in enumerate(seen.leading.tolist()):
        if number >= 0:
            chain = seen.chains[number]
            assert position in chain.positions
            assert chain.taken[chain.positions.index(position)]
            assert 2 <= seen.continued[position].sizes[seen.continued[position].leading] <= len(chain.positions)
