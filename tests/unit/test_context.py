"""Which positions retrieve, and the codes of their contexts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.codebook import Codebook
from core.context import MISSING, Context, context_codes, keys, retrieving_positions, skip_reason
from core.types import ConfigError, Grid
from tests.closeness import assert_close

FOUR_BY_FIVE = np.arange(20).reshape(1, 4, 5)
ALL = np.arange(20)


def test_radius_1_is_the_released_order() -> None:
    assert Context().offsets == ((-1, -1), (-1, 0), (-1, 1), (0, -1))


def test_radius_2_is_two_rows_above_and_two_to_the_left() -> None:
    offsets = Context(2).offsets
    assert len(offsets) == Context(2).size == 12
    assert offsets[:5] == ((-2, -2), (-2, -1), (-2, 0), (-2, 1), (-2, 2))
    assert offsets[-2:] == ((0, -2), (0, -1))


@pytest.mark.parametrize(("width", "count"), [(16, 210), (24, 506)])
def test_number_of_retrieving_positions(width: int, count: int) -> None:
    positions = retrieving_positions(Context(), Grid(width, width))
    assert len(positions) == count
    rows, cols = np.divmod(positions, width)
    assert rows.min() == 1
    assert (cols.min(), cols.max()) == (1, width - 2)


def test_zero_border_retrieves_everywhere_but_at_the_first_position() -> None:
    assert list(retrieving_positions(Context(border="zero"), Grid(4, 5))) == list(range(1, 20))


@pytest.mark.parametrize(
    ("context", "position", "reason"),
    [
        (Context(), 0, "first row: there is nothing above"),
        (Context(), 3, "first row: there is nothing above"),
        (Context(), 5, "first column: there is nothing to the left"),
        (Context(), 9, "last column: there is nothing to the right"),
        (Context(), 6, None),
        (Context(2), 2, "first row: there is nothing above"),
        (Context(2), 7, "only 1 row above: the context needs 2"),
        (Context(2), 11, "only 1 column to the left: the context needs 2"),
        (Context(2), 13, "only 1 column to the right: the context needs 2"),
        (Context(2), 12, None),
        (Context(border="zero"), 0, "first position: nothing is generated yet"),
        (Context(2, "zero"), 4, None),
    ],
)
def test_reasons(context: Context, position: int, reason: str | None) -> None:
    assert skip_reason(context, Grid(4, 5), position) == reason


def test_codes_of_one_position() -> None:
    assert context_codes(Context(), FOUR_BY_FIVE, np.array([6])).tolist() == [[[0, 1, 2, 5]]]
    assert context_codes(Context(2), FOUR_BY_FIVE, np.array([12])).tolist() == [
        [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]
    ]


def test_missing_cells() -> None:
    found = context_codes(Context(border="zero"), FOUR_BY_FIVE, np.array([0, 4, 5, 19]))[0]
    assert found.tolist() == [
        [MISSING] * 4,
        [MISSING, MISSING, MISSING, 3],
        [MISSING, 0, 1, MISSING],
        [13, 14, MISSING, 18],
    ]


@settings(deadline=None, max_examples=40)
@given(
    st.builds(Context, st.sampled_from([1, 2]), st.sampled_from(["skip", "zero"])),
    st.integers(3, 7),
    st.integers(3, 7),
    st.integers(0, 2**32 - 1),
)
def test_partial_grid_gives_what_the_whole_grid_gives(context: Context, height: int, width: int, seed: int) -> None:
    """Decoding cannot drift from the index: cells at or after a position do not matter."""
    grids = np.random.default_rng(seed).integers(0, 50, (3, height, width))
    positions = np.arange(height * width)
    whole = context_codes(context, grids, positions)
    for position in positions:
        partial = grids.reshape(3, -1).copy()
        partial[:, position:] = 999
        found = context_codes(context, partial.reshape(grids.shape), positions[position : position + 1])
        assert (found[:, 0] == whole[:, position]).all()
        assert (found >= 0).all() or skip_reason(Context(context.radius), Grid(height, width), int(position))


def test_keys_concatenate_unit_vectors_and_zeros() -> None:
    codebook = Codebook.from_vectors(np.array([[3, 4], [0, 2], [-1, 0]], np.float32))
    found = keys(codebook, np.array([[0, 1, MISSING, 2]]))
    assert found.dtype == np.float32
    assert_close(found, [[0.6, 0.8, 0, 1, 0, 0, -1, 0]], 1e-6)


@pytest.mark.parametrize(("radius", "border"), [(0, "skip"), (3, "skip"), (True, "skip"), (1, "wrap")])
def test_other_kinds_are_refused(radius: int, border: str) -> None:
    with pytest.raises(ConfigError, match=r"got .* expected"):
        Context(radius, border)  # type: ignore[arg-type]
