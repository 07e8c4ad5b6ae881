"""Building an index by orderings in bounded memory: partitions in files, each sorted by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from ...codebook import Codebook
from ...context import Context, retrieving_positions
from ...types import CodeArray, DatabaseError, Grid, IntArray
from ..array_file import ArrayFile
from ..index import entry_of_rank
from .clusters import LEVELS, cluster_starts, code_order
from .layout import FORMAT, About
from .machine import kernel
from .spill import Keys, Ranks, Sample, Spill, blocks, codes_of, second_keys

PARTITION: Final = 4_000_000
"""Entries that are sorted at once; about 60 bytes of memory each."""

RUN: Final = 32
"""Contexts of one cell of a directory at most, on average: reading on is cheaper than looking up the next cell."""

Sort = Callable[[Keys, Ranks], None]


def build(
    folder: Path, grids: CodeArray, codebook: Codebook, context: Context, orderings: int = 2, partition: int = PARTITION
) -> None:
    """Write the index of all entries of token grids [N, H, W] into a folder that is there.

    Memory does not grow with N; 12 to 20 bytes an entry are written besides and removed again. The files depend on the
    grids, the codebook and the context alone, not on the number that the first entry will have. Raises DatabaseError
    without numba, for contexts of another radius than 1, and for 2^32 entries or more.
    """
    positions = len(retrieving_positions(context, Grid(*grids.shape[1:])))
    entries = len(grids) * positions
    _check(context, entries)
    sort: Sort = kernel().sort_pairs
    order = code_order(codebook)
    place_of = np.argsort(order).astype(np.uint16)
    parts = max(1, -(-entries // partition))
    sample = Sample.of(grids, context, place_of, parts)
    work = folder / "building"
    shutil.rmtree(work, ignore_errors=True)
    try:
        spilled, cuts = Spill(work / "first", parts, ("keys", "ranks")), sample.cuts(parts)
        for keys, ranks in blocks(grids, context, place_of):
            spilled.add(cuts.part_of(keys, ranks), keys, ranks)
        turned = Spill(work / "second", parts, ("keys",))
        first = _write_first(
            folder, spilled, sort, len(order), (turned, sample.second_cuts(parts)) if orderings == 2 else None
        )
        cells = cells_of(int(first[-1]), len(order))
        _save_directory(folder / "first_starts.npy", first, cells)
        if orderings == 2:
            _save_directory(folder / "second_starts.npy", _write_second(folder, turned, len(order)), cells)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    np.save(folder / "order.npy", order)
    About(FORMAT, entries, positions, int(first[-1]), codebook.size, orderings, cells).write(folder)


def cells_of(contexts: int, codes: int) -> int:
    """Into how many cells the second codes of a row are cut: a power of 2, up to the number of clusters.

    1 leaves one offset a row: up to a million contexts of 16,384 codes.
    """
    cells = 1
    while cells < 2**LEVELS and contexts > RUN * codes * cells:
        cells *= 2
    return cells


def _check(context: Context, entries: int) -> None:
    """DatabaseError for what the index cannot hold."""
    if context.radius != 1:
        raise DatabaseError(f"orderings: got contexts of {context.size} codes, expected 4; use the index scan")
    if not 0 < entries < 2**32:
        raise DatabaseError(f"orderings: got {entries:,} entries, expected 1 to 2^32 - 1; use more segments")


class Rows:
    """Writes contexts in ascending order, and counts them by first code and finest cell of the second one."""

    def __init__(self, path: Path, codes: int) -> None:
        self._file = ArrayFile(path, "<u2", (3,))
        self._counts = np.zeros(codes << LEVELS, np.int64)
        self._cluster_of = np.repeat(np.arange(2**LEVELS), np.diff(cluster_starts(codes)))

    def add(self, keys: Keys) -> None:
        """Append some contexts, which stand after all others."""
        codes = codes_of(keys)
        self._file.append(codes[:, 1:])
        cells = (codes[:, 0].astype(np.int64) << LEVELS) + self._cluster_of[codes[:, 1]]
        begins = np.flatnonzero(np.diff(cells, prepend=-1))
        self._counts[cells[begins]] += np.diff(begins, append=len(cells))

    def close(self) -> IntArray:
        """Where the contexts of each first code and finest cell begin, and how many there are."""
        self._file.close()
        return np.concatenate([[0], np.cumsum(self._counts)])


def _write_first(folder: Path, spilled: Spill, sort: Sort, codes: int, second: tuple[Spill, Keys] | None) -> IntArray:
    """Write contexts, starts and entries; where the contexts of each code and finest cell begin.

    Their keys in the second ordering go into its partitions.
    """
    rows, last, done = Rows(folder / "first.npy", codes), None, 0
    with ArrayFile(folder / "starts.npy", "<u4") as starts, ArrayFile(folder / "entries.npy", "<u4") as entries:
        for keys, ranks in spilled.parts():
            sort(keys, ranks)
            new = np.flatnonzero(np.append(keys[:1] != last, keys[1:] != keys[:-1]))
            starts.append(new + done)
            entries.append(entry_of_rank(ranks.astype(np.int64)))
            rows.add(unique := keys[new])
            if second is not None:
                turned = second_keys(unique)
                second[0].add(np.searchsorted(second[1], turned), turned)
            last, done = keys[-1], done + len(keys)
        starts.append(np.array([done]))
    return rows.close()


def _write_second(folder: Path, spilled: Spill, codes: int) -> IntArray:
    """Write the contexts in the second ordering; where those of each code and finest cell begin."""
    rows = Rows(folder / "second.npy", codes)
    for (keys,) in spilled.parts():
        rows.add(np.sort(keys))
    return rows.close()


def _save_directory(path: Path, finest: IntArray, cells: int) -> None:
    """Save where the contexts of each first code and cell of the second one begin."""
    np.save(path, finest[:: 2**LEVELS // cells].astype("<u4"))
