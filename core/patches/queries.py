"""What every exact database checks of a search, and the position term that it adds."""

from __future__ import annotations

import numpy as np

from ..context import Context, retrieving_positions
from ..types import ConfigError, FloatArray, Grid, IntArray


def check_search(
    context: Context, codes: int, grid: Grid, queries: IntArray, k: int, position: int | None, weight: float
) -> None:
    """Raise ConfigError unless a search over a codebook of that many codes is well formed."""
    n = context.size
    if queries.ndim != 2 or queries.shape[1] != n or not np.issubdtype(queries.dtype, np.integer):
        raise ConfigError(f"queries: got {queries.dtype} {queries.shape}, expected whole numbers [batch, {n}]")
    lowest = -1 if context.border == "zero" else 0
    if queries.size and not lowest <= queries.min() <= queries.max() < codes:
        raise ConfigError(f"queries: got {queries.min()}..{queries.max()}, expected {lowest}..{codes - 1}")
    if k < 0:
        raise ConfigError(f"k: got {k}, expected a number of neighbours, or 0 for all")
    if not 0 <= weight < np.inf:
        raise ConfigError(f"position_weight: got {weight}, expected a number from 0 on")
    if weight > 0 and (position is None or not 0 <= position < grid.positions):
        raise ConfigError(f"position: got {position}, expected 0..{grid.positions - 1} with a position_weight")


def penalties(context: Context, grid: Grid, position: int, weight: float) -> FloatArray:
    """weight * (drow^2 + dcol^2) from a raster position to each of the P retrieving ones."""
    row, col = grid.row_col(position)
    rows, cols = np.divmod(retrieving_positions(context, grid), grid.width)
    paid: FloatArray = (weight * ((rows - row) ** 2 + (cols - col) ** 2)).astype(np.float32)
    return paid
