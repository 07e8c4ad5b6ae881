"""Which kind of index suits a database: each is built over its own token grids and asked for its own contexts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...codebook import Codebook
from ...context import Context, context_codes, retrieving_positions
from ...types import CodeArray, ConfigError, DatabaseError, FloatArray, IntArray
from ..index import distance_tables, transposed_vectors
from ..orderings import machine
from .ask import Ask, Ground, Near, SegmentIndex
from .kinds import KINDS, LARGEST_IN_MEMORY
from .lists import grid_of
from .ties import ordered

LEAST_RECALL: Final = 0.95
"""Share of the true neighbours that a kind which is not exact must find, where no exact one can be had."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one kind costs here: times in CPU milliseconds of one thread, from the tables of a query to its neighbours.

    recall: share of the neighbours that an exact kind finds, None where there was none to compare with.
    """

    kind: str
    p50_ms: float
    p95_ms: float
    mean_ms: float
    recall: float | None
    bytes_per_entry: float
    build_seconds: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured, and the kind to take: the exact one that is the fastest on average."""

    kind: str
    entries: int
    k: int
    measured: tuple[Measured, ...]

    @property
    def kept(self) -> dict[str, Any]:
        """As the manifest keeps it (`tuned`)."""
        return asdict(self) | {"measured": [asdict(each) for each in self.measured]}


def tune(
    grids: CodeArray, codebook: Codebook, context: Context, work: Path, k: int = 64, queries: int = 200,
    kinds: Sequence[str] = (), progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> Tuning:  # fmt: skip
    """Measure kinds (none: all that can be had here) over token grids [N, H, W], one after the other.

    work: a folder for their files, which are removed again. Raises ConfigError for kinds that cannot be had.
    """
    entries = len(grids) * len(retrieving_positions(context, grid_of(grids)))
    chosen = _possible(kinds, entries, context)
    asked = own_queries(grids, context, queries)
    measured, truth = list[Measured](), list[Near]()
    for kind in progress(sorted(chosen, key=lambda name: not KINDS[name].exact)):
        folder = work / f"tune-{kind}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            one, found = _measure(kind, Ground(folder, grids, codebook, context, 0), asked, k, truth)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        measured.append(one)
        if KINDS[kind].exact:
            truth = truth or found
    return Tuning(_best(measured), entries, k, tuple(measured))


def own_queries(grids: CodeArray, context: Context, count: int) -> IntArray:
    """Contexts [count, n] of the pictures themselves, every second one with a code of another one in it."""
    rng = np.random.default_rng(0)
    images = np.sort(rng.choice(len(grids), min(len(grids), count), replace=False))
    codes = context_codes(context, np.asarray(grids[images]), retrieving_positions(context, grid_of(grids)))
    chosen = rng.permutation(codes.reshape(-1, context.size))[:count]
    mixed, slots = np.roll(chosen, 1, axis=0), rng.integers(context.size, size=len(chosen))
    rows = np.arange(len(chosen))
    chosen[rows[::2], slots[::2]] = mixed[rows[::2], slots[::2]]
    return chosen


def _possible(kinds: Sequence[str], entries: int, context: Context) -> list[str]:
    """The kinds that were asked for, or all that can be had here."""
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ConfigError(f"kinds: got {', '.join(unknown)}, expected some of {', '.join(KINDS)}")
    reasons = {name: _hindrance(name, entries, context) for name in KINDS}
    if hindered := [f"{name} ({reasons[name]})" for name in kinds if reasons[name]]:
        raise ConfigError(f"kinds: got {', '.join(hindered)}, expected some that can be had here; leave them out")
    return [name for name in (kinds or KINDS) if not reasons[name]]


def _hindrance(name: str, entries: int, context: Context) -> str:
    """Why a kind cannot be had here, "" when it can."""
    if KINDS[name].numba:
        if context.radius != 1:
            return "it takes contexts of 4 codes"
        return "" if machine.is_there() else f"it needs numba: {machine.INSTALL}"
    return "it is built in memory" if entries > LARGEST_IN_MEMORY else ""


def _measure(kind: str, ground: Ground, queries: IntArray, k: int, truth: list[Near]) -> tuple[Measured, list[Near]]:
    """Build, open and ask one kind."""
    begin = time.process_time()
    KINDS[kind].build(ground.folder, ground.grids, ground.codebook, ground.context)
    built = time.process_time() - begin
    size = sum(path.stat().st_size for path in ground.folder.rglob("*") if path.is_file())
    index, vectors = KINDS[kind].open(ground), transposed_vectors(ground.codebook)
    entries = len(ground.grids) * len(retrieving_positions(ground.context, grid_of(ground.grids)))
    tables = [distance_tables(vectors, query) for query in queries[:1]]
    index.near(queries[0], tables[0], Ask(min(k, entries)))  # the first one compiles, and reads files
    found, seconds = list[Near](), list[float]()
    for query in queries:
        table = distance_tables(vectors, query)
        begin = time.thread_time()
        found.append(_first(index, query, table, min(k, entries)))
        seconds.append(time.thread_time() - begin)
    times = 1000 * np.array(seconds)
    p50, p95 = (round(float(np.quantile(times, share)), 4) for share in (0.5, 0.95))
    hits = recall(found, truth) if truth else (1.0 if KINDS[kind].exact else None)
    figures = round(float(times.mean()), 4), hits, round(size / entries, 3), round(built, 3)
    return Measured(kind, p50, p95, *figures), found


def _first(index: SegmentIndex, query: IntArray, tables: FloatArray, k: int) -> Near:
    """The k first of what an index answers."""
    near = index.near(query, tables, Ask(k))
    chosen = ordered(near.distances, near.entries, k)
    return Near(near.distances[chosen], near.entries[chosen])


def recall(found: Sequence[Near], truth: Sequence[Near]) -> float:
    """Share of the true entries that were found."""
    hits = sum(len(np.intersect1d(a.entries, b.entries)) for a, b in zip(found, truth, strict=True))
    return hits / sum(len(near.entries) for near in truth)


def _best(measured: Sequence[Measured]) -> str:
    """The exact kind that is the fastest on average, else the one that is not and finds enough."""
    exact = [each for each in measured if KINDS[each.kind].exact]
    rest = [each for each in measured if (each.recall or 0) >= LEAST_RECALL]
    if not (exact or rest):
        raise DatabaseError(f"tune: got no exact kind and none with a recall of {LEAST_RECALL}; {machine.INSTALL}")
    return min(exact or rest, key=lambda each: each.mean_ms).kind
