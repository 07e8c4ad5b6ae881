"""What is a copy and what is not: regions worked out by hand, and what holds for all pictures."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analysis.copying import (
    LEAST_CODES,
    LEAST_POSITIONS,
    Copying,
    Reference,
    Region,
    copied_regions,
    copying,
    nearest_reference,
    references,
    region_numbers,
    regions_of,
)
from core.backends import EMBEDDED
from core.backends.emoji.backend import EmojiBackend
from core.context import Context, entry_places, retrieving_positions
from core.evaluation.copying import LOOKUPS, Pictures, fingerprints, measured, summary
from core.patches.catalogue import DATABASES
from core.patches.database import PatchDatabase
from core.trace import Trace, neighbours
from core.types import ConfigError, DecodeSettings, Neighbours
from tests.traces import CONTEXT, GRID, PLACES, near


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


def test_the_numbers_of_a_real_run_agree_with_its_regions(copied_trace: Trace) -> None:
    seen = regions_of(copied_trace)
    numbers = region_numbers(seen, len(copied_trace.steps))
    assert seen, "the run was made to copy"
    assert sorted(set(numbers.tolist())) == list(range(len(seen) + 1))
    figures = copying(seen, copied_trace.retrieving_positions)
    assert figures.largest == (numbers == 1).sum()
    assert figures.share == pytest.approx((numbers > 0).sum() / copied_trace.retrieving_positions)
    assert all(neighbours(copied_trace.steps[position]) is not None for position in np.flatnonzero(numbers))


# -- References -------------------------------------------------------------------------------------------------------


def reference(model: str = "", database: str = "all", k: int = 64, captions: int = 32, term: float = 0.0) -> Reference:
    """A reference that was looked up in that way."""
    return Reference(model, database, k, captions, term, 10, (1, 2, 3), (0.1, 0.2, 0.3), (1, 1, 2))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (DecodeSettings(), 1),
        (DecodeSettings(caption_filter=0), 0),
        (DecodeSettings(caption_filter=5000), 0),
        (DecodeSettings(caption_filter=2, position_weight=0.1), 2),
        (DecodeSettings(caption_filter=2, n_neighbours=8), 1),  # without a term one with a term will not do
    ],
)
def test_the_nearest_reference_is_looked_up_most_alike(settings: DecodeSettings, expected: int) -> None:
    known = [reference(captions=0), reference(), reference(captions=1, term=0.3)]
    assert nearest_reference(known, "", "all", settings) is known[expected]
    assert nearest_reference(known, "fake", "all", settings) is None
    assert nearest_reference(known, "", "mine", settings) is None


def test_only_the_same_lookup_is_called_the_same() -> None:
    assert reference().looked_up_like(DecodeSettings(retrieval_weight=0.9))
    changed = ({"caption_filter": 31}, {"n_neighbours": 63}, {"position_weight": 0.1}, {"styles": ("flat",)})
    assert not any(reference().looked_up_like(replace(DecodeSettings(), **change)) for change in changed)  # type: ignore[arg-type]


def test_quantiles_by_hand() -> None:
    figures = [Copying(number, number / 100, number % 3) for number in range(1, 11)]
    seen = summary("m", "d", DecodeSettings(), figures)
    assert (seen.pictures, seen.largest, seen.share) == (10, (1, 5, 9), (0.01, 0.05, 0.09))
    assert (seen.n_neighbours, seen.caption_filter, seen.position_weight) == (64, 32, 0.0)


def test_a_run_is_measured_like_a_reference(
    copied_trace: Trace, backend: EmojiBackend, database: PatchDatabase
) -> None:
    """The codes of a run, looked up afterwards in the same way, give the figures of the run itself."""
    pictures = Pictures(copied_trace.codes.reshape(1, 8, 8), (copied_trace.prompt,))
    (figure,) = measured(backend, database, pictures, copied_trace.settings)
    assert figure == copying(regions_of(copied_trace), copied_trace.retrieving_positions)
    assert figure.share > 0.5


def test_what_ships_was_measured_with_the_models_and_databases_that_ship() -> None:
    """Fails after new weights or a new database: run python -m core evaluate copying again."""
    made = json.loads((Path(__file__).parents[2] / "assets" / "copying.json").read_text(encoding="utf-8"))
    assert made["measured_with"] == fingerprints()
    known = references()
    for model in ("", *EMBEDDED):
        for database in DATABASES:
            for settings in LOOKUPS[database]:
                found = nearest_reference(known, model, database, settings)
                assert found is not None
                assert found.looked_up_like(settings)
                assert 0 <= found.share[0] <= found.share[1] <= found.share[2] <= 1


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"references": [{}]}', '{"references": 3}', '{"references": [3]}'])
def test_damaged_references_are_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "copying.json"
    with pytest.raises(ConfigError, match="core evaluate copying"):
        references(path)
    path.write_text(damage, encoding="utf-8")
    with pytest.raises(ConfigError, match="core evaluate copying"):
        references(path)
    path.write_text(json.dumps({"references": [asdict(reference())]}), encoding="utf-8")
    assert references(path) == (reference(),)
