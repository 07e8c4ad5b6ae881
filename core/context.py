"""Which positions retrieve and why not, and the context codes that queries and keys are made of.

The index, FAiD training and decoding all read contexts through `context_codes`, so that they cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from .codebook import Codebook
from .types import ConfigError, FloatArray, Grid, IntArray

Border = Literal["skip", "zero"]

MISSING = -1
"""Stands for a cell outside of the grid in context codes; its code vector is zero."""


@dataclass(frozen=True, slots=True)
class Context:
    """The already generated neighbourhood that a position is looked up by.

    radius: 1 is TL, T, TR, L (4 codes; what the released code does), 2 is two rows of five above and two codes to the
    left (12 codes). border: "skip" lets a position without its full context retrieve nothing (released code); "zero"
    fills missing cells with the zero vector (the paper's h-hop neighbourhoods).
    """

    radius: int = 1
    border: Border = "skip"

    def __post_init__(self) -> None:
        if isinstance(self.radius, bool) or self.radius not in (1, 2):
            raise ConfigError(f"context radius: got {self.radius!r}, expected 1 or 2")
        if self.border not in get_args(Border):
            raise ConfigError(f"context border: got {self.border!r}, expected one of {', '.join(get_args(Border))}")

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """(row, col) of each context cell relative to the position, in raster order; all lie before the position."""
        reach = range(-self.radius, self.radius + 1)
        above = tuple((row, col) for row in range(-self.radius, 0) for col in reach)
        return above + tuple((0, col) for col in range(-self.radius, 0))

    @property
    def size(self) -> int:
        """Number of context codes n: 4 or 12."""
        return len(self.offsets)


def skip_reason(context: Context, grid: Grid, position: int) -> str | None:
    """Why a position retrieves nothing, in words for the reader; None when it does retrieve."""
    row, col = grid.row_col(position)
    if context.border == "zero":
        return "first position: nothing is generated yet" if position == 0 else None
    if row < context.radius:
        return _missing("row", "above", row, "first row", context.radius)
    if col < context.radius:
        return _missing("column", "to the left", col, "first column", context.radius)
    right = grid.width - 1 - col
    if right < context.radius:
        return _missing("column", "to the right", right, "last column", context.radius)
    return None


def _missing(line: str, side: str, there: int, edge: str, needed: int) -> str:
    """Sentence for a context that reaches over the border: `there` lines of the `needed` ones exist."""
    if there == 0:
        return f"{edge}: there is nothing {side}"
    return f"only {there} {line} {side}: the context needs {needed}"


@lru_cache(maxsize=16)
def retrieving_positions(context: Context, grid: Grid) -> IntArray:
    """Raster positions [P] that query the database; the same ones of every image are its entries. Read-only."""
    positions = np.array([p for p in range(grid.positions) if skip_reason(context, grid, p) is None], dtype=np.int64)
    positions.setflags(write=False)
    return positions


def entry_places(context: Context, grid: Grid, entries: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Image numbers, rows and columns [E] of database entries, which are numbered image by image, in raster order."""
    places = retrieving_positions(context, grid)
    images, slots = np.divmod(entries, len(places))
    rows, columns = np.divmod(places[slots], grid.width)
    return images, rows, columns


@lru_cache(maxsize=16)
def _slots(context: Context, grid: Grid) -> IntArray:
    """Number of each raster position [S] among the retrieving ones, -1 for one that is none of them. Read-only."""
    places = retrieving_positions(context, grid)
    slots = np.full(grid.positions, -1, dtype=np.int64)
    slots[places] = np.arange(len(places))
    slots.setflags(write=False)
    return slots


def shifted_entries(context: Context, grid: Grid, entries: IntArray, down: int, right: int) -> IntArray:
    """Numbers [E] of the entries so many rows and columns from some [E] in the same images; -1 where there is none."""
    images, rows, columns = entry_places(context, grid, entries)
    rows, columns = rows + down, columns + right
    inside = (rows >= 0) & (rows < grid.height) & (columns >= 0) & (columns < grid.width)
    slots = _slots(context, grid)[np.where(inside, rows * grid.width + columns, 0)]
    count = len(retrieving_positions(context, grid))
    return np.where(inside & (slots >= 0), images * count + slots, -1)


def context_codes(context: Context, grids: npt.NDArray[np.integer], positions: IntArray) -> IntArray:
    """Context codes [N, P, n] of token grids [N, H, W] at raster positions [P].

    Cells outside of the grid are MISSING. Cells at or after a position are never read, so a grid that is still being
    generated may hold anything there.
    """
    height, width = grids.shape[1:]
    offsets = np.array(context.offsets, dtype=np.int64)
    rows = positions[:, None] // width + offsets[:, 0]
    cols = positions[:, None] % width + offsets[:, 1]
    inside = (rows >= 0) & (cols >= 0) & (cols < width)
    codes = grids[:, rows.clip(0, height - 1), cols.clip(0, width - 1)].astype(np.int64)
    codes[:, ~inside] = MISSING
    return codes


def contexts_of_entries(context: Context, grids: npt.NDArray[np.integer], positions: IntArray) -> IntArray:
    """Context codes [E, n] of one raster position [E] in each of some token grids [E, H, W]; as `context_codes`."""
    height, width = grids.shape[1:]
    offsets = np.array(context.offsets, dtype=np.int64)
    rows = positions[:, None] // width + offsets[:, 0]
    cols = positions[:, None] % width + offsets[:, 1]
    inside = (rows >= 0) & (cols >= 0) & (cols < width)
    codes = grids[np.arange(len(grids))[:, None], rows.clip(0, height - 1), cols.clip(0, width - 1)].astype(np.int64)
    return np.where(inside, codes, MISSING)


def numbered(columns: npt.NDArray[np.uint16]) -> tuple[IntArray, IntArray]:
    """The number of each column [E] of contexts [n, E], in ascending order of the columns, and one place of each [U].

    Equal contexts have one number. n is even: ranks are refined two codes at a time, since n do not fit into one
    integer.
    """
    rank: IntArray = np.zeros(columns.shape[1], np.int64)
    for first in range(0, len(columns), 2):  # ranks are below 2^31: two more codes of 16 bits fit beside them
        pair = columns[first].astype(np.int64) << 16 | columns[first + 1]
        rank = np.unique(rank << 32 | pair, return_inverse=True)[1]
    example = np.zeros(int(rank.max(initial=-1)) + 1, np.int64)
    example[rank] = np.arange(len(rank))
    return rank, example


def keys(codebook: Codebook, codes: IntArray) -> FloatArray:
    """Concatenated unit code vectors [..., n * d] of context codes [..., n]; MISSING gives zeros."""
    vectors: FloatArray = np.where(codes[..., None] == MISSING, np.float32(0), codebook.vectors[codes])
    return vectors.reshape(*codes.shape[:-1], -1)
