"""What every exact database checks of a search, and the position term that it adds.

A search asks from one raster position for all of its queries, or from one of each (`Position`).
"""

from __future__ import annotations

import numpy as np

from ..context import Context, retrieving_positions
from ..types import ConfigError, FloatArray, Grid, IntArray

Position = int | IntArray | None
"""A raster position for all queries, an array [B] of one for each, or none."""


def check_search(
    context: Context, codes: int, grid: Grid, queries: IntArray, k: int, position: Position, weight: float
) -> None:
    """Raise ConfigError unless a search over a codebook of that many codes is well formed."""
    n = context.size
    if queries.ndim != 2 or queries.shape[1] != n or not np.issubdtype(queries.dtype, np.integer):
        raise ConfigError(f"queries: got {queries.dtype} {queries.shape}, expected whole numbers [batch, {n}]")
    lowest = -1 if context.border == "zero" else 0
    low, high = (queries.min(), queries.max()) if queries.size else (0, 0)
    if not lowest <= low <= high < codes:
        raise ConfigError(f"queries: got {low}..{high}, expected {lowest}..{codes - 1}")
    if k < 0:
        raise ConfigError(f"k: got {k}, expected a number of neighbours, or 0 for all")
    if not 0 <= weight < np.inf:
        raise ConfigError(f"position_weight: got {weight}, expected a number from 0 on")
    if weight > 0:
        _check_positions(position, len(queries), grid)


def _check_positions(position: Position, queries: int, grid: Grid) -> None:
    """Raise ConfigError unless there is one for all queries, or one for each."""
    expected = f"expected 0..{grid.positions - 1} with a position_weight"
    if position is None:
        raise ConfigError(f"position: got None, {expected}")
    places = np.asarray(position)
    if places.shape not in ((), (queries,)) or not np.issubdtype(places.dtype, np.integer):
        got = f"got {places.dtype} {places.shape}"
        raise ConfigError(f"position: {got}, expected a whole number, or one for each of {queries} queries")
    if (wrong := places[(places < 0) | (places >= grid.positions)]).size:
        raise ConfigError(f"position: got {wrong.flat[0]}, {expected}")


def places_of(position: Position, weight: float, queries: int) -> list[int | None]:
    """Where each query is asked from, None where that makes no difference."""
    if position is None or weight == 0:
        return [None] * queries
    return list(np.broadcast_to(position, queries).tolist())


def penalties(context: Context, grid: Grid, position: int, weight: float) -> FloatArray:
    """weight * (drow^2 + dcol^2) from a raster position to each of the P retrieving ones."""
    row, col = grid.row_col(position)
    rows, cols = np.divmod(retrieving_positions(context, grid), grid.width)
    paid: FloatArray = (weight * ((rows - row) ** 2 + (cols - col) ** 2)).astype(np.float32)
    return paid
