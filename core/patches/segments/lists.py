"""Unique contexts, each with the list of its entries by tie rank: from distances of contexts to the nearest entries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...context import retrieving_positions
from ...inputs.arrays import open_array
from ...types import CodeArray, DatabaseError, FloatArray, Grid, IntArray
from ..index import ranges, within_kth
from .ask import Ask, Ground, Near
from .ties import first_rank, local_order


@dataclass(frozen=True, slots=True)
class EntryLists:
    """Where the list of each context [U] begins, how long it is, and the entries [E] of a segment, by tie rank.

    positions: entries of an image; first_entry: number of the first entry in the whole database.
    """

    starts: IntArray
    counts: IntArray
    entries: Any
    positions: int
    first_entry: int

    @classmethod
    def open(cls, ground: Ground, contexts: int) -> EntryLists:
        """Map `starts.npy` and `entries.npy` of an index; DatabaseError where they do not fit."""
        starts = mapped(ground.folder / "starts.npy", "<i8", (contexts + 1,))
        positions = len(retrieving_positions(ground.context, grid_of(ground.grids)))
        entries = mapped(ground.folder / "entries.npy", "<u4", (len(ground.grids) * positions,))
        return cls(starts[:-1], np.diff(starts), entries, positions, ground.first_entry)

    def of(self, contexts: IntArray) -> EntryLists:
        """The lists of some contexts."""
        chosen = self.starts[contexts], self.counts[contexts]
        return EntryLists(*chosen, self.entries, self.positions, self.first_entry)

    def near(self, distances: FloatArray, ask: Ask) -> Near:
        """Entries wanted, and ties with the last of them, given the distance [U] of each context."""
        if ask.allowed is None and ask.penalties is None:
            return self._nearest(distances, ask)
        return self._filtered(distances, ask)

    def _nearest(self, distances: FloatArray, ask: Ask) -> Near:
        """All contexts within the k-th entry, and of each the entries that may be among the k first."""
        contexts = within_kth(distances, min(ask.k, len(distances)))
        contexts = contexts[distances[contexts] <= ask.bound]
        contexts = contexts[np.argsort(distances[contexts], kind="stable")]
        counts = np.minimum(self.counts[contexts], ask.k)
        enough = int(np.searchsorted(np.cumsum(counts), ask.k))
        if enough < len(contexts):
            contexts = contexts[distances[contexts] <= distances[contexts[enough]]]
            counts = counts[: len(contexts)]
        if not len(contexts):
            return Near(np.zeros(0, np.float32), np.zeros(0, np.int64))
        entries = self.entries[self._places(contexts, counts)].astype(np.int64)
        return Near(np.repeat(distances[contexts], counts), entries + self.first_entry)

    def _places(self, contexts: IntArray, counts: IntArray) -> IntArray:
        """Where the first `counts` entries of contexts stand, by their order in the whole database."""
        starts, sizes = self.starts[contexts], self.counts[contexts]
        turns = np.array([self._turn(*place) for place in zip(starts.tolist(), sizes.tolist(), strict=True)])
        within = ranges(turns, counts)
        repeated = np.repeat(sizes, counts)
        places: IntArray = np.repeat(starts, counts) + within % repeated
        return places

    def _turn(self, start: int, size: int) -> int:
        """Where in the list of a context the order of the whole database begins."""
        first = first_rank(self.first_entry)
        if size == 1 or first == 0:
            return 0
        ranks = local_order(self.entries[start : start + size].astype(np.int64))
        return int(np.searchsorted(ranks, first)) % size

    def _filtered(self, distances: FloatArray, ask: Ask) -> Near:
        """The same where images or positions matter: contexts from the nearest on, until the next one is too far."""
        order = np.argsort(distances, kind="stable")
        ascending, sizes = distances[order], self.counts[order]
        found, totals = np.zeros(0, np.int64), np.zeros(0, np.float32)
        bound, done, wanted = float(ask.bound), 0, 4 * ask.k
        while done < len(order) and ascending[done] <= bound:
            upto = done + max(1, int(np.searchsorted(np.cumsum(sizes[done:]), wanted)))
            entries, distance = self._allowed(order[done:upto], ascending[done:upto], ask)
            found, totals = np.concatenate([found, entries]), np.concatenate([totals, distance])
            if len(found) >= ask.k:
                near = within_kth(totals, ask.k)
                found, totals = found[near], totals[near]
                bound = min(bound, float(totals.max()))
            done, wanted = upto, 2 * wanted
        return Near(totals, found + self.first_entry)

    def _allowed(self, contexts: IntArray, distances: FloatArray, ask: Ask) -> tuple[IntArray, FloatArray]:
        """Entries of contexts, counted within the segment, that may answer, with their totals."""
        counts = self.counts[contexts]
        entries = self.entries[ranges(self.starts[contexts], counts)].astype(np.int64)
        totals = np.repeat(distances, counts)
        images, slots = np.divmod(entries, self.positions)
        if ask.penalties is not None:
            totals = totals + ask.penalties[slots]
        kept = totals <= ask.bound
        if ask.allowed is not None:
            kept &= ask.allowed[images]
        return entries[kept], totals[kept]


def grid_of(grids: CodeArray) -> Grid:
    """Shape of token grids [N, H, W]."""
    return Grid(*grids.shape[1:])


def mapped(path: Path, dtype: str, shape: tuple[int | None, ...]) -> Any:
    """Memory map of an array of an index; DatabaseError unless it is of that type and shape."""
    array = open_array(path, "patch database", "copy it again")
    fits = len(array.shape) == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
    if array.dtype != np.dtype(dtype) or not fits:
        raise DatabaseError(f"{path}: got {array.dtype} {array.shape}, expected {dtype} {shape}; build the index again")
    return array
