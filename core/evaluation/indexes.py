"""What every kind of index finds of what an exact one finds, and how long it takes, over the same token grids."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..context import Context
from ..patches.database import PatchDatabase
from ..patches.index import INDEX_KINDS, distance_tables, transposed_vectors
from ..patches.orderings import machine
from ..patches.protocol import ImageInfo
from ..patches.segments.ask import Ask, Ground, SegmentIndex
from ..patches.segments.kinds import KINDS
from ..patches.segments.ties import ordered
from ..types import CodeArray, FloatArray, IntArray

TRUTH: Final = "scan"
"""The exact kind that the others are compared with: it looks at every context."""

WARM: Final = 16
"""Images of the index that is built before, where a kind is compiled."""

VERSION_1: Final = "version 1, "
"""What stands before the name of an index of a database in memory."""


@dataclass(frozen=True, slots=True)
class Ask1:
    """What is asked of every index: queries [Q, n] of context codes over token grids [N, h, w], k entries each."""

    grids: CodeArray
    codebook: Codebook
    context: Context
    queries: IntArray
    k: int


@dataclass(frozen=True, slots=True)
class Told:
    """What one index answered: entries [Q][k], CPU milliseconds [Q] from a query to its neighbours, and its cost.

    build_seconds: CPU time to its first answer; bytes: of its files, 0 for one that is made in memory.
    """

    entries: Sequence[IntArray]
    milliseconds: FloatArray
    build_seconds: float
    bytes: int


class Asked(Protocol):
    """An index that is ready."""

    def __call__(self, query: IntArray) -> IntArray:
        """Entries [k] of a query [n], the nearest first."""
        ...


def hindrances(context: Context) -> dict[str, str]:
    """Why a kind cannot be had here; nothing of those that can."""
    if machine.is_there():
        reason = "" if context.radius == 1 else "it takes contexts of 4 codes, and the database has larger ones"
    else:
        reason = machine.INSTALL
    return {name: reason for name, kind in KINDS.items() if kind.numba and reason}


def tell(ask: Ask1) -> Iterator[tuple[str, Told]]:
    """Every kind that can be had, the exact one that others are compared with first."""
    hindered = hindrances(ask.context)
    kinds = sorted((name for name in KINDS if name not in hindered), key=lambda name: name != TRUTH)
    for name in kinds:
        with tempfile.TemporaryDirectory() as folder:
            yield name, _segment(name, Path(folder), ask)
    for name in INDEX_KINDS:
        yield f"{VERSION_1}{name}", _in_memory(name, ask)


def recall(told: Told, truth: Told) -> npt.NDArray[np.float64]:
    """Share [Q] of the true entries that an index found."""
    pairs = zip(told.entries, truth.entries, strict=True)
    return np.array([len(np.intersect1d(ours, theirs)) / len(theirs) for ours, theirs in pairs])


def _segment(kind: str, folder: Path, ask: Ask1) -> Told:
    """An index of a segment, in files; where it is compiled, a small one is built and asked before."""
    if KINDS[kind].numba:
        (folder / "first").mkdir()
        _opened(kind, folder / "first", replace(ask, grids=ask.grids[:WARM]))(ask.queries[0])
    (folder / "index").mkdir()
    begin = time.process_time()
    asked = _opened(kind, folder / "index", ask)
    asked(np.roll(ask.queries[0], 1))
    built = time.process_time() - begin
    size = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file())
    return _timed(asked, ask.queries, built, size)


def _opened(kind: str, folder: Path, ask: Ask1) -> _Segment:
    """Built in a folder, and opened."""
    KINDS[kind].build(folder, ask.grids, ask.codebook, ask.context)
    index = KINDS[kind].open(Ground(folder, ask.grids, ask.codebook, ask.context, 0))
    return _Segment(index, transposed_vectors(ask.codebook), ask.k)


@dataclass(frozen=True, slots=True)
class _Segment:
    index: SegmentIndex
    vectors: FloatArray
    k: int

    def __call__(self, query: IntArray) -> IntArray:
        near = self.index.near(query, distance_tables(self.vectors, query), Ask(self.k))
        return near.entries[ordered(near.distances, near.entries, self.k)]


def _in_memory(kind: str, ask: Ask1) -> Told:
    """An index of a database of version 1, through its own search."""
    begin = time.process_time()
    infos = [ImageInfo("")] * len(ask.grids)
    database = PatchDatabase.build(ask.codebook, ask.grids, infos, ask.context, index=kind)

    def asked(query: IntArray) -> IntArray:
        return database.search(query[None], ask.k)[0].entries

    asked(np.roll(ask.queries[0], 1))
    return _timed(asked, ask.queries, time.process_time() - begin, 0)


def _timed(asked: Asked, queries: IntArray, built: float, size: int) -> Told:
    """Ask all queries, each for itself."""
    entries, seconds = list[IntArray](), list[float]()
    for query in queries:
        begin = time.thread_time()
        entries.append(asked(query))
        seconds.append(time.thread_time() - begin)
    return Told(entries, 1000 * np.array(seconds, np.float32), built, size)


def kept(told: Mapping[str, Told]) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays "recall-N" and "ms-N" [Q] of the n-th kind."""
    truth = told[TRUTH]
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for number, each in enumerate(told.values()):
        arrays[f"recall-{number}"] = recall(each, truth)
        arrays[f"ms-{number}"] = each.milliseconds
    return arrays
