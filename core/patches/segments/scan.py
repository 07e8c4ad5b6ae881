"""The plain kinds: the unique contexts of a segment, or the entries of a few images, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...codebook import Codebook
from ...context import Context, context_codes, numbered, retrieving_positions
from ...types import CodeArray, FloatArray, IntArray
from ..index import table_sum, table_sums, within_kth
from .ask import Ask, Ground, Near
from .lists import EntryLists, grid_of, mapped
from .ties import local_order

BLOCK = 512
"""Images whose contexts are made at a time."""


def columns_of(context: Context, grids: CodeArray, missing: int) -> CodeArray:
    """Contexts [n, N * P] of all entries of token grids [N, H, W], in their order; a missing cell becomes a code."""
    positions = retrieving_positions(context, grid_of(grids))
    columns = np.empty((context.size, len(grids), len(positions)), np.uint16)
    for start in range(0, len(grids), BLOCK):
        codes = context_codes(context, grids[start : start + BLOCK], positions)
        columns[:, start : start + BLOCK] = np.moveaxis(np.where(codes < 0, missing, codes), -1, 0)
    return columns.reshape(context.size, -1)


def build_scan(folder: Path, grids: CodeArray, codebook: Codebook, context: Context) -> None:
    """Write the unique contexts [n, U], where the entries of each begin [U + 1], and the entries [E] by tie rank.

    Takes some 100 bytes of memory an entry: for segments of up to about 1e7 of them.
    """
    rank, example = numbered(columns := columns_of(context, grids, codebook.size))
    order = np.argsort(rank << 32 | local_order(np.arange(len(rank))), kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rank, minlength=len(example)))])
    np.save(folder / "contexts.npy", columns[:, example])
    np.save(folder / "starts.npy", starts.astype("<i8"))
    np.save(folder / "entries.npy", order.astype("<u4"))


class ScanIndex:
    """Adds up the table look-ups of every unique context of a segment."""

    def __init__(self, ground: Ground) -> None:
        self.contexts = mapped(ground.folder / "contexts.npy", "<u2", (ground.context.size, None))
        self.lists = EntryLists.open(ground, self.contexts.shape[1])

    def near(self, query: IntArray, tables: FloatArray, ask: Ask) -> Near:
        """See SegmentIndex."""
        return self.lists.near(table_sum(tables, self.contexts), ask)


class FewIndex:
    """The entries of some images of a whole database, kept in memory: contexts [n, M], entries [M], positions [M]."""

    def __init__(self, contexts: CodeArray, entries: IntArray, positions: int) -> None:
        self._contexts, self._entries, self._slots = contexts, entries, entries % positions

    def near(self, query: IntArray, tables: FloatArray, ask: Ask) -> Near:
        """See SegmentIndex; all of its images may answer."""
        return self.near_all(tables[None], [ask])[0]

    def near_all(self, tables: FloatArray, asks: Sequence[Ask]) -> list[Near]:
        """The same for several queries at once: tables [B, n, V + 1], an ask for each."""
        return [self._within(*asked) for asked in zip(table_sums(tables, self._contexts), asks, strict=True)]

    def _within(self, totals: FloatArray, ask: Ask) -> Near:
        """Those that are wanted, given the distance [M] of every entry."""
        if ask.penalties is not None:
            totals = totals + ask.penalties[self._slots]
        near = within_kth(totals, ask.k)
        near = near[totals[near] <= ask.bound]
        return Near(totals[near], self._entries[near])
