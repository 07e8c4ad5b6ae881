"""Who shaped a picture and what is copied: numbers computed by hand, and what holds for all pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backends.emoji import EmojiBackend
from core.context import Context, entry_places, retrieving_positions
from core.database import PatchDatabase
from core.engine import decode
from core.provenance import (
    LEAST_CODES,
    LEAST_POSITIONS,
    Copying,
    Region,
    copied_regions,
    copying,
    effective_number,
    neighbour_mass,
    provenance,
    region_numbers,
    regions_of,
)
from core.trace import Origin, Source, Trace, neighbours
from core.types import DecodeSettings, FaidStep, Grid, Neighbours, Retrieval, Seconds, Skipped, StepRecord

GRID, CONTEXT = Grid(4, 6), Context()
PLACES = retrieving_positions(CONTEXT, GRID).tolist()  # rows 1 to 3, columns 1 to 4
PLAIN = DecodeSettings(
    temperature=1.0, top_p=1.0, retrieval_weight=0.5, retrieval_temperature=1.0, gate=0.0, n_neighbours=3
)
LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))


def entry(image: int, position: int) -> int:
    """Number of the entry of an image at a raster position."""
    return image * len(PLACES) + PLACES.index(position)


def near(*entries: tuple[int, int, int], distances: Sequence[float] = ()) -> Neighbours:
    """Neighbours from (image, position, code), as near as each other or at the given distances."""
    return Neighbours(
        np.array([code for _, _, code in entries], np.int64),
        np.array(distances or [0.0] * len(entries), np.float32),
        np.array([entry(image, position) for image, position, _ in entries], np.int64),
    )


def trace_of(found: dict[int, Neighbours], codes: dict[int, int], settings: DecodeSettings = PLAIN) -> Trace:
    """A trace of the whole grid; positions without neighbours retrieved nothing, codes that are not given are 0."""
    steps = []
    for position in range(GRID.positions):
        answer = Retrieval(np.zeros(4, np.int64), found[position]) if position in found else Skipped("edge")
        steps.append(StepRecord(position, LOGITS, answer, 0.5, codes.get(position, 0), None, Seconds(0, 0, 0)))
    sources = {i: Source(i, f"caption {i}", "flat", "", "here", np.zeros((4, 6), np.uint16)) for i in (3, 5, 8)}
    return Trace("a prompt", settings, Origin("fake", "m", None, "c", 4, "d", CONTEXT), GRID, tuple(steps), sources)


@pytest.fixture(scope="module")
def tiny_trace(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    """A run of the tiny model that takes nearly everything from one picture, cell by cell."""
    settings = replace(PLAIN, retrieval_weight=0.95, retrieval_temperature=0.1, n_neighbours=9, position_weight=0.5)
    records = [step[0] for step in decode(backend, database, ["a red heart"], replace(settings, caption_filter=2))]
    return Trace.record(backend, database, "a red heart", settings, records)


# -- Shares -----------------------------------------------------------------------------------------------------------


def one_lookup(settings: DecodeSettings = PLAIN) -> Trace:
    """Position 8 takes code 2; its neighbours at distances 0, 0, ln 2 have the shares 0.4, 0.4, 0.2."""
    found = near((5, 7, 2), (3, 20, 2), (5, 9, 1), distances=(0.0, 0.0, float(np.log(2))))
    return trace_of({8: found}, {8: 2}, settings)


def test_mass_is_the_weight_times_the_share_and_credit_that_of_the_taken_code() -> None:
    """Blended, code 2 has 0.5 * 0.125 + 0.5 * 0.8 = 0.4625, of which each of two images brought 0.2."""
    seen = provenance(one_lookup())
    assert seen.images.tolist() == [5, 3, 8]
    assert seen.mass[8] == pytest.approx([0.3, 0.2, 0])
    assert seen.credit[8] == pytest.approx([0.2 / 0.4625, 0.2 / 0.4625, 0])
    assert seen.cells[8].tolist() == [7, 20, -1]
    assert seen.mass[np.arange(24) != 8].sum() == 0
    assert seen.shares == pytest.approx([0.3 / 24, 0.2 / 24, 0])
    assert seen.credits == pytest.approx([0.2 / 0.4625 / 24] * 2 + [0])
    assert seen.owners.tolist() == [-1] * 8 + [0] + [-1] * 15  # the first one of equals
    assert seen.patches.tolist() == [1, 0, 0]


def test_the_gate_scales_mass() -> None:
    found = near((3, 8, 1), distances=(float(np.log(2)),))
    seen = provenance(trace_of({8: found}, {8: 1}, replace(PLAIN, gate=1.0)))
    assert seen.mass[8].max() == pytest.approx(0.25)
    assert seen.credit[8].max() == pytest.approx(0.25 / (0.75 * 0.25 + 0.25))


def test_a_neighbour_with_another_code_has_mass_and_no_credit() -> None:
    seen = provenance(trace_of({8: near((3, 8, 1))}, {8: 2}))
    assert (seen.mass[8].max(), seen.credit[8].max(), seen.cells[8].max()) == (0.5, 0, -1)
    assert seen.owners[8] == -1


def test_a_run_without_retrieval_owes_nothing_to_anybody() -> None:
    bare = replace(trace_of({}, {}, replace(PLAIN, method="model")), sources={})
    seen = provenance(bare)
    assert (len(seen.images), seen.owners.tolist(), seen.patches.tolist()) == (0, [-1] * 24, [])
    assert regions_of(bare) == []


def test_faid_alone_shares_by_the_compatibility_in_the_last_blender() -> None:
    """Two of three features are neighbours'; the blank one takes part, and owes nothing to anybody."""
    plain = one_lookup(replace(PLAIN, method="faid", faid_neighbours=3))
    scores = np.array([[0.9, 0.9, 0.9], [0.5, 0.3, 0.2]], np.float32)
    nothing = np.zeros((2, 3), np.float32)
    blended = FaidStep(np.array([0, 3]), np.array([1]), 2, scores, nothing, nothing[:, 0], nothing, nothing, None)
    steps = tuple(replace(step, faid=blended) if step.position == 8 else step for step in plain.steps)
    seen = provenance(replace(plain, steps=steps))
    assert seen.images.tolist() == [5, 3, 8]
    assert seen.mass[8] == pytest.approx([0.5, 0.3, 0])
    assert seen.credit[8] == pytest.approx([0.5, 0.3, 0])


def test_no_mass_is_lost(tiny_trace: Trace) -> None:
    """Over all images it is the weight of the blend, and credit what the retrieval distribution gave the code."""
    seen = provenance(tiny_trace)
    assert (np.diff(seen.shares) <= 1e-15).all()
    for step in tiny_trace.steps:
        blend = tiny_trace.blend(step.position)
        assert seen.mass[step.position].sum() == pytest.approx(blend.weight)
        part = 0.0 if blend.retrieval is None else blend.weight * blend.retrieval[step.code]
        assert seen.credit[step.position].sum() == pytest.approx(part / blend.blended[step.code])


def test_cells_are_where_the_database_has_the_code_that_was_taken(database: PatchDatabase, tiny_trace: Trace) -> None:
    seen = provenance(tiny_trace)
    positions, columns = np.nonzero(seen.cells >= 0)
    assert len(positions)
    there = database.grids.reshape(len(database.grids), -1)[seen.images[columns], seen.cells[positions, columns]]
    assert there.tolist() == tiny_trace.codes[positions].tolist()


@pytest.mark.parametrize(
    ("shares", "expected"), [([], 0), ([0, 0], 0), ([1], 1), ([0.2, 0.2], 2), ([2, 1, 1], 2**1.5), ([5, 0, 5], 2)]
)
def test_effective_numbers_by_hand(shares: list[float], expected: float) -> None:
    assert effective_number(np.array(shares)) == pytest.approx(expected)


def test_neighbours_that_took_no_part_bring_nothing() -> None:
    found, mass = neighbour_mass(one_lookup(replace(PLAIN, method="model")).steps[8], replace(PLAIN, method="model"))
    assert (len(found), len(mass)) == (0, 0)


# -- Copies -----------------------------------------------------------------------------------------------------------


def regions(found: dict[int, Neighbours], codes: dict[int, int]) -> list[Region]:
    """The copied regions of a picture on the small grid."""
    listed = [codes.get(position, 0) for position in range(24)]
    return copied_regions(listed, [found.get(position) for position in range(24)], CONTEXT, GRID)


def test_a_region_is_connected_and_from_one_image_at_one_offset() -> None:
    """Positions 7, 8, 13, 14 come from image 3 a row lower and a column to the right; 10 does too, but is apart."""
    codes = {7: 1, 8: 2, 13: 3, 14: 1, 10: 2}
    found = {p: near((5, 9, 0), (3, p + 7, code)) for p, code in codes.items() if p != 10} | {10: near((3, 10, 2))}
    (region,) = regions(found, codes)
    assert region == Region(3, (1, 1), (7, 8, 13, 14))
    assert copying([region], looked_up=5) == Copying(largest=4, share=0.8, sources=1)
    assert np.flatnonzero(region_numbers([region], 24)).tolist() == [7, 8, 13, 14]


@pytest.mark.parametrize(
    "change", ["too small", "one code", "another code", "another image", "another offset", "corners only"]
)
def test_what_is_no_copy(change: str) -> None:
    codes = {7: 1, 8: 2, 13: 3, 14: 1}
    found = {p: near((3, p, code)) for p, code in codes.items()}
    assert len(regions(found, codes)) == 1
    if change == "too small":
        del found[14]
    elif change == "one code":
        codes = dict.fromkeys(codes, 1)
        found = {p: near((3, p, 1)) for p in codes}
    elif change == "another code":
        codes[14] = 2
    elif change == "another image":
        found[14] = near((5, 14, 1))
    elif change == "another offset":
        found[14] = near((3, 15, 1))
    else:
        codes = {7: 1, 14: 2, 9: 3, 16: 1}
        found = {p: near((3, p, code)) for p, code in codes.items()}
    assert regions(found, codes) == []


def test_rows_do_not_touch_around_the_border() -> None:
    """With a border that retrieves, 11 (end of row 1) and 12 (start of row 2) follow in raster order but are apart."""
    context = Context(border="zero")
    codes = [number % 3 for number in range(24)]
    found: list[Neighbours | None] = [None] * 24
    for position in (10, 11, 12, 13):
        entries = np.array([position - 1])  # all positions but the first are entries
        found[position] = Neighbours(np.array([codes[position]]), np.zeros(1, np.float32), entries)
    assert copied_regions(codes, found, context, GRID) == []


def test_the_larger_region_has_what_both_explain_and_the_rest_must_stand_alone() -> None:
    """Image 3 explains eight cells; image 5 explains two of them and four more, which are left as a region."""
    codes = {p: p % 4 for p in PLACES}
    both = {p: [(3, p, codes[p])] for p in (7, 8, 9, 10, 13, 14, 15, 16)}
    for position in (15, 16, 19, 20, 21, 22):
        both.setdefault(position, []).append((5, position, codes[position]))
    found = {position: near(*entries) for position, entries in both.items()}
    first, second = regions(found, codes)
    assert (first.image, first.positions) == (3, (7, 8, 9, 10, 13, 14, 15, 16))
    assert (second.image, second.positions) == (5, (19, 20, 21, 22))
    assert copying([first, second], 12) == Copying(8, 1.0, 2)
    del found[22]
    assert [region.image for region in regions(found, codes)] == [3]


def test_equally_large_regions_go_by_image_then_offset() -> None:
    codes = {7: 1, 8: 2, 13: 3, 14: 1}
    found = {p: near((8, p, code), (5, p + 1, code), (5, p, code)) for p, code in codes.items()}
    assert regions(found, codes) == [Region(5, (0, 0), (7, 8, 13, 14))]


def test_a_picture_of_the_database_is_one_copy_of_itself(database: PatchDatabase) -> None:
    grid = database.grids[4].astype(np.int64)
    places = retrieving_positions(database.context, database.grid).tolist()
    found: list[Neighbours | None] = [None] * grid.size
    for number, place in enumerate(places):
        entries = np.array([4 * len(places) + number])
        found[place] = Neighbours(grid.ravel()[[place]], np.zeros(1, np.float32), entries)
    (region,) = copied_regions(grid.ravel().tolist(), found, database.context, database.grid)
    assert (region.image, region.offset, list(region.positions)) == (4, (0, 0), places)


lookups = st.dictionaries(
    st.sampled_from(PLACES),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(PLACES), st.integers(0, 2)), min_size=1, max_size=6),
)


@given(lookups, st.lists(st.integers(0, 2), min_size=24, max_size=24))
def test_regions_are_disjoint_connected_and_explained(
    drawn: dict[int, list[tuple[int, int, int]]], codes: list[int]
) -> None:
    found = {position: near(*sorted(set(entries))) for position, entries in drawn.items()}
    seen = copied_regions(codes, [found.get(position) for position in range(24)], CONTEXT, GRID)
    assert [len(region.positions) for region in seen] == sorted((len(r.positions) for r in seen), reverse=True)
    everything = [position for region in seen for position in region.positions]
    assert len(everything) == len(set(everything))
    for region in seen:
        assert len(region.positions) >= LEAST_POSITIONS
        assert len({codes[position] for position in region.positions}) >= LEAST_CODES
        for position in region.positions:
            images, rows, columns = entry_places(CONTEXT, GRID, found[position].entries)
            row, col = GRID.row_col(position)
            there = (images == region.image) & (rows == row + region.offset[0]) & (columns == col + region.offset[1])
            assert codes[position] in found[position].codes[there]
        reached, edge = {region.positions[0]}, [region.positions[0]]
        while edge:
            row, col = GRID.row_col(edge.pop())
            beside = {
                r * 6 + c for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)) if 0 <= c < 6
            }
            edge += (fresh := (beside & set(region.positions)) - reached)
            reached |= fresh
        assert reached == set(region.positions)


@given(lookups, st.lists(st.integers(0, 2), min_size=24, max_size=24))
def test_more_neighbours_never_make_the_largest_copy_smaller(
    drawn: dict[int, list[tuple[int, int, int]]], codes: list[int]
) -> None:
    def largest(count: int) -> int:
        found = {p: near(*sorted(set(entries))[:count]) for p, entries in drawn.items()}
        seen = copied_regions(codes, [found.get(position) for position in range(24)], CONTEXT, GRID)
        return copying(seen, len(found)).largest

    assert largest(2) <= largest(6)


def test_the_numbers_of_a_real_run_agree_with_its_regions(tiny_trace: Trace) -> None:
    seen = regions_of(tiny_trace)
    numbers = region_numbers(seen, len(tiny_trace.steps))
    assert seen, "the run was made to copy"
    assert sorted(set(numbers.tolist())) == list(range(len(seen) + 1))
    figures = copying(seen, tiny_trace.retrieving_positions)
    assert figures.largest == (numbers == 1).sum()
    assert figures.share == pytest.approx((numbers > 0).sum() / tiny_trace.retrieving_positions)
    assert all(neighbours(tiny_trace.steps[position]) is not None for position in np.flatnonzero(numbers))
