"""The index kinds by one and by two orderings: exact, over mapped files."""

from __future__ import annotations

from typing import Final

import numpy as np

from ...context import retrieving_positions
from ...types import DatabaseError, FloatArray, Grid, IntArray
from ..index import entry_of_rank
from ..segments.ask import Ask, Ground, Near
from ..segments.ties import LARGEST_SEGMENT, first_rank
from .clusters import cluster_starts
from .layout import REMEDY, Layout
from .machine import kernel

STEP: Final = np.float32(0.1)
"""What a first pair of cells may cost in the first round, in squared L2."""

GROWTH: Final = np.float32(1.5)
"""How much more each time that an ordering is gone on with."""


class OrderingsIndex:
    """Searches the contexts of one segment in two orders, or in one, see `kernel`. Safe to share between threads.

    Opening maps the files and compiles the search, or reads it from where an earlier process kept it. Raises
    DatabaseError without numba, for damaged files, and for those of another segment or codebook.
    """

    def __init__(self, ground: Ground) -> None:
        self.layout = Layout.open(ground.folder)
        about, grid = self.layout.about, Grid(*ground.grids.shape[1:])
        positions = len(retrieving_positions(ground.context, grid))
        got = about.entries, about.positions, about.codes
        if got != (expected := (len(ground.grids) * positions, positions, ground.codebook.size)):
            got_text, expected_text = (f"{e:,} entries, {p} an image, of {v} codes" for e, p, v in (got, expected))
            raise DatabaseError(f"{ground.folder}: got an index of {got_text}, expected {expected_text}; {REMEDY}")
        self._first_entry = ground.first_entry
        self._shift = -first_rank(ground.first_entry) % LARGEST_SEGMENT
        self._clusters = cluster_starts(len(self.layout.order))
        self._search = kernel().search

    def near(self, query: IntArray, tables: FloatArray, ask: Ask) -> Near:
        """Exactly the entries that are wanted, ascending by (distance, tie rank). See SegmentIndex."""
        worst = _worst(ask.bound)
        heap = np.full(ask.k, worst, np.int64)
        self.fill(tables, ask, heap)
        keys = np.sort(heap[heap < worst])
        ranks = (keys - self._shift) & (LARGEST_SEGMENT - 1)
        distances = (keys >> 32).astype(np.int32).view(np.float32)
        return Near(distances, entry_of_rank(ranks) + self._first_entry)

    def fill(self, tables: FloatArray, ask: Ask, heap: IntArray) -> int:
        """Put the best keys (distance bits << 32 | tie rank) into a heap; how many contexts were read for that."""
        files, allowed, penalties = self.layout, ask.allowed, ask.penalties
        read: int = self._search(
            np.ascontiguousarray(tables, np.float32), files.order, self._clusters, files.first, files.first_starts,
            files.second, files.second_starts, files.starts, files.entries, self._shift, files.about.positions,
            np.zeros(0, bool) if allowed is None else np.ascontiguousarray(allowed),
            np.zeros(0, np.float32) if penalties is None else np.ascontiguousarray(penalties, np.float32),
            STEP, GROWTH, heap,
        )  # fmt: skip
        return read


def _worst(bound: np.float32) -> int:
    """The key that all of a distance within a bound stay below: floats from 0 on are in the order of their bits."""
    bits = int(np.float32(bound).view(np.int32))
    return (bits if np.isinf(bound) else bits + 1) << 32
