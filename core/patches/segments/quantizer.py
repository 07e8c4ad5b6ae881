"""The kinds that faiss helps with: all contexts by a product quantizer, or those of the nearest of many centres."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from ...codebook import Codebook
from ...context import Context, keys
from ...types import CodeArray, FloatArray, IntArray
from ..index import QuantizerIndex, centres_of, nearest_centre, ranges, table_sum
from .ask import Ask, Ground, Near
from .lists import mapped
from .scan import ScanIndex, build_scan

PROBED: Final = 64
"""How many inverted lists a query looks at."""

BLOCK: Final = 65536


class QuantizedIndex(ScanIndex):
    """The files of `scan`, searched by `index.QuantizerIndex`, which is made at the first search: 8 bytes a context.

    Searches with a filter or a penalty add up all contexts, as `scan` does.
    """

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._codebook = ground.codebook

    @cached_property
    def _index(self) -> QuantizerIndex:
        return QuantizerIndex(self._codebook, self.contexts)

    def near(self, query: IntArray, tables: FloatArray, ask: Ask) -> Near:
        """See SegmentIndex."""
        if ask.allowed is not None or ask.penalties is not None or not _known(tables):
            return super().near(query, tables, ask)
        k = min(ask.k, self.contexts.shape[1])
        _, numbers, distances = self._index.nearest(query[None], tables[None], k, np.array([ask.bound]))
        return self.lists.of(numbers).near(distances, ask)


def _known(tables: FloatArray) -> bool:
    """Whether distances are finite, which faiss needs."""
    return bool(np.isfinite(tables).all())


def build_lists(folder: Path, grids: CodeArray, codebook: Codebook, context: Context) -> None:
    """Write the files of `scan` with the contexts sorted by the nearest of 4 sqrt(U) centres, and the centres.

    Takes some 100 bytes of memory an entry, as `build_scan` does.
    """
    build_scan(folder, grids, codebook, context)
    contexts, starts = np.load(folder / "contexts.npy"), np.load(folder / "starts.npy")
    count = max(1, min(int(4 * np.sqrt(contexts.shape[1])), contexts.shape[1] // 40))
    step = max(1, contexts.shape[1] // (64 * count))
    centres = centres_of(_keys(codebook, contexts[:, ::step]), count)
    blocks = range(0, contexts.shape[1], BLOCK)
    owner = np.concatenate([nearest_centre(centres, _keys(codebook, contexts[:, i : i + BLOCK])) for i in blocks])
    order = np.argsort(owner, kind="stable")
    counts = np.diff(starts)[order]
    entries = np.load(folder / "entries.npy")
    np.save(folder / "contexts.npy", contexts[:, order])
    np.save(folder / "starts.npy", np.concatenate([[0], np.cumsum(counts)]).astype("<i8"))
    np.save(folder / "entries.npy", entries[ranges(starts[:-1][order], counts)])
    np.save(folder / "list_starts.npy", np.searchsorted(owner[order], np.arange(count + 1)).astype("<i8"))
    np.save(folder / "centres.npy", centres)


class InvertedIndex(ScanIndex):
    """Looks at the contexts of the PROBED nearest centres alone: their distances are exact, others are missed."""

    def __init__(self, ground: Ground, probed: int = PROBED) -> None:
        super().__init__(ground)
        self._codebook = ground.codebook
        self._centres = mapped(ground.folder / "centres.npy", "<f4", (None, ground.context.size * ground.codebook.dim))
        self._starts = mapped(ground.folder / "list_starts.npy", "<i8", (len(self._centres) + 1,))
        self._probed = min(probed, len(self._centres))

    @cached_property
    def _norms(self) -> FloatArray:
        norms: FloatArray = np.square(self._centres).sum(axis=1)
        return norms

    def near(self, query: IntArray, tables: FloatArray, ask: Ask) -> Near:
        """See SegmentIndex; not all that is wanted is found."""
        far = self._norms - 2 * (self._centres @ keys(self._codebook, query))
        lists = np.argpartition(far, self._probed - 1)[: self._probed]
        counts = self._starts[lists + 1] - self._starts[lists]
        lists, counts = lists[counts > 0], counts[counts > 0]
        if not len(lists):
            return Near(np.zeros(0, np.float32), np.zeros(0, np.int64))
        numbers = ranges(self._starts[lists], counts)
        return self.lists.of(numbers).near(table_sum(tables, self.contexts[:, numbers]), ask)


def _keys(codebook: Codebook, contexts: CodeArray) -> FloatArray:
    """Float keys [M, n * d] of contexts [n, M], in which a missing cell is code V."""
    codes = contexts.T.astype(np.int64)
    return keys(codebook, np.where(codes == codebook.size, -1, codes))
