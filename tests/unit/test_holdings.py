"""What a database holds: numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.analysis.holdings import (
    Frequent,
    Use,
    alike,
    code_counts,
    codes_of_half,
    distinct_contexts,
    known_positions,
    mean_contexts,
    plane,
    repeats,
    sample,
    standing,
    typical_cells,
    uses,
)
from core.codebook import Codebook
from core.context import Context, numbered
from core.types import CodeArray, Grid, Neighbours
from tests.traces import PLAIN, near, trace_of

CONTEXT, GRID = Context(), Grid(3, 4)
POSITIONS = known_positions(CONTEXT, GRID, inner=False)


def two_grids() -> CodeArray:
    """A blank picture, and one with a single other code at row 1, column 2."""
    grids = np.zeros((2, 3, 4), np.uint16)
    grids[1, 1, 2] = 1
    return grids


def test_a_small_database_is_looked_at_whole_and_of_a_large_one_always_the_same_images() -> None:
    assert sample(np.array([3, 5, 9]), 3).tolist() == [3, 5, 9]
    some = sample(np.arange(0, 2000, 2), 50)
    assert len(set(some.tolist())) == 50
    assert some.tolist() == sorted(some.tolist()) == sample(np.arange(0, 2000, 2), 50).tolist()
    assert not (some % 2).any()


def test_of_a_grid_whose_edges_are_unknown_only_whole_contexts_count() -> None:
    assert POSITIONS.tolist() == [5, 6, 9, 10]
    assert known_positions(CONTEXT, Grid(4, 6), inner=True).tolist() == [14, 15, 20, 21]
    assert known_positions(CONTEXT, GRID, inner=True).tolist() == []


def test_equal_columns_have_one_number_and_numbers_ascend_with_them() -> None:
    columns = np.array([[2, 0, 2, 0], [1, 9, 1, 3], [0, 0, 0, 0], [0, 0, 0, 0]], np.uint16)
    number, example = numbered(columns)
    assert number.tolist() == [2, 1, 2, 0]
    assert columns[:, example].tolist() == [[0, 0, 2], [3, 9, 1], [0, 0, 0], [0, 0, 0]]


def test_codes_are_counted_and_the_frequent_ones_fill_half() -> None:
    assert code_counts(two_grids(), 3).tolist() == [23, 1, 0]
    assert code_counts(two_grids(), 3, inner=True).tolist() == [7, 1, 0]
    assert [codes_of_half(np.array(counts)) for counts in ([5, 4, 1], [3, 4, 3], [0, 0])] == [1, 2, 0]


def test_contexts_repeat_as_counted_by_hand() -> None:
    """Of eight entries six have a blank context: four in the first picture, two in the second."""
    found = repeats(two_grids(), CONTEXT, POSITIONS, listed=5)
    assert (found.entries, found.distinct, found.repeated, found.covered) == (8, 3, 1, 6)
    blank = Frequent((0, 0, 0, 0), 6, 2, example=(0, 5), followers=((0, 5), (1, 1)), different=2)
    assert found.frequent == (blank,)
    assert repeats(two_grids(), CONTEXT, POSITIONS, listed=0).frequent == ()


def test_a_context_stands_where_it_stands() -> None:
    images, positions = standing(two_grids(), CONTEXT, POSITIONS, np.array([0, 0, 0, 0]))
    assert list(zip(images.tolist(), positions.tolist(), strict=True)) == [
        (0, 5),
        (0, 6),
        (0, 9),
        (0, 10),
        (1, 5),
        (1, 6),
    ]
    images, positions = standing(two_grids(), CONTEXT, POSITIONS, np.array([0, 0, 1, 0]))
    assert (images.tolist(), positions.tolist()) == ([1], [9])


def test_cells_outside_of_the_grid_count_as_such() -> None:
    """With zero borders, 11 of the 12 positions of a blank grid look up; no two edges are mixed up with its inside."""
    context = Context(radius=1, border="zero")
    positions = known_positions(context, GRID, inner=False)
    found = repeats(np.zeros((1, 3, 4), np.uint16), context, positions, listed=9)
    assert (found.entries, found.distinct) == (11, 4)
    by_codes = {one.codes: one.count for one in found.frequent}
    assert by_codes == {(0, 0, 0, 0): 4, (-1, -1, -1, 0): 3, (-1, 0, 0, -1): 2, (0, 0, -1, 0): 2}


def test_the_typical_cell_is_the_one_nearest_to_the_mean() -> None:
    """Code 0 looks like 0, 1 and 5: 2 in the middle."""
    looks = np.array([[0.0], [1.0], [5.0], [9.0]])
    assert typical_cells(np.array([0, 0, 0, 1]), looks, 3).tolist() == [1, 3, -1]


def test_a_plane_is_the_two_directions_of_most_variance() -> None:
    """Along x the squares sum to 8, along y to 2, along z to nothing."""
    points = np.array([[-2, 0, 7], [2, 0, 7], [0, 1, 7], [0, -1, 7]], np.float32)
    found = plane(points)
    assert found.places == pytest.approx(points[:, :2])
    assert found.shares == pytest.approx((0.8, 0.2))
    assert plane(-points).places == pytest.approx(-points[:, :2])
    assert plane(np.ones((3, 1), np.float32)).places == pytest.approx(np.zeros((3, 2)))


def test_a_mean_context_is_the_mean_of_each_cell() -> None:
    """In the second picture code 1 is T of one of four contexts, and TR of another; the rest is code 0."""
    codebook = Codebook.from_vectors(np.eye(2, dtype=np.float32))
    first, second = mean_contexts(codebook, two_grids(), CONTEXT, POSITIONS)
    assert first.tolist() == [1, 0] * 4
    assert second.tolist() == [1, 0, 0.75, 0.25, 0.75, 0.25, 1, 0]
    assert distinct_contexts(two_grids()[1], CONTEXT, POSITIONS).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]]


def found(*distances: float) -> Neighbours:
    count = len(distances)
    return Neighbours(np.zeros(count, np.int64), np.array(distances, np.float32), np.arange(count))


def test_pictures_are_alike_by_the_contexts_that_lead_to_them() -> None:
    """The third context is plain: all that were asked for are at distance 0. Image 7 is the picture itself."""
    answers = [found(0, 0.5, 1), found(0, 0, 2), found(0, 0, 0)]
    images = [np.array([7, 2, 2]), np.array([7, 4, 2]), np.array([9, 9, 8])]
    like = alike(answers, images, asked=3, without=7)
    assert (like.images.tolist(), like.counts.tolist(), like.contexts, like.plain) == ([2, 4], [2, 1], 2, 1)
    assert alike(answers, images, asked=3).images.tolist() == [2, 7, 4]
    assert alike(answers[2:], images[2:], asked=4).images.tolist() == [8, 9]  # fewer than asked: all there are
    assert alike([], [], asked=3).images.tolist() == []


def test_what_a_run_used_an_image_for() -> None:
    """Neighbours at 0, 0, ln 2 have the shares 0.4, 0.4, 0.2 of retrieval, which is half of what was drawn from."""
    near_ones = near((5, 7, 2), (3, 20, 2), (5, 9, 1), distances=(0.0, 0.0, float(np.log(2))))
    trace = trace_of({8: near_ones}, {8: 2}, PLAIN)
    first, second = uses(trace, 5)
    assert (first.share, second.share) == (pytest.approx(0.2), pytest.approx(0.1))
    assert first == Use(8, 7, 0, 0.0, 2, True, first.share)
    assert second == Use(8, 9, 2, pytest.approx(np.log(2)), 1, False, second.share)
    assert uses(trace, 8) == []
