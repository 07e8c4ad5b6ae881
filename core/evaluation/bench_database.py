"""The search in large databases as measured on this machine: `python -m core bench --suite database --largest 1e7`.

Codes are synthetic, see `synthetic`. Times are CPU milliseconds of one thread; every measurement is a process of its
own, so that its memory is its own. What is finished is kept in the work folder, and taken from there when the command
is started again with the same one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..backends.emoji.backend import EmojiBackend
from ..codebook import Codebook
from ..context import Context, context_codes, keys, retrieving_positions
from ..engine import decode
from ..patches.index import Compute, distance_tables, flat_index, table_sum, transposed_vectors
from ..patches.orderings import machine
from ..patches.protocol import ImageInfo
from ..patches.segments.ask import Ask, Ground, Near, SegmentIndex
from ..patches.segments.database import SegmentedDatabase
from ..patches.segments.images import ImageRow
from ..patches.segments.kinds import KINDS
from ..patches.segments.manifest import Header
from ..patches.segments.scan import columns_of
from ..patches.segments.segment import Batch
from ..patches.segments.ties import ordered
from ..patches.segments.tune import recall
from ..patches.segments.writer import DatabaseWriter
from ..types import ConfigError, DecodeSettings, FloatArray, Grid, IntArray
from .synthetic import Source, derived_codebook, write_grids

GRID: Final = Grid(24, 24)
CONTEXT: Final = Context()
K: Final = 64
QUERIES: Final = 400
ORACLE_QUERIES: Final = 50
SIZES: Final = ("1e6", "1e7", "1e8")
Figures = dict[str, float | int | bool]


@dataclass(frozen=True)
class Work:
    """Where the synthetic database of one size lies, and what was measured of it."""

    folder: Path
    size: str

    @property
    def here(self) -> Path:
        """Folder of this size."""
        return self.folder / self.size

    @property
    def images(self) -> int:
        """Pictures of 24 x 24 codes: 506 entries each."""
        return round(float(self.size)) // len(retrieving_positions(CONTEXT, GRID))

    @property
    def entries(self) -> int:
        """Entries of the database."""
        return self.images * len(retrieving_positions(CONTEXT, GRID))

    @property
    def codebook(self) -> Codebook:
        """The 16,384 codes of the synthetic pictures."""
        return Codebook.from_vectors(np.load(self.here / "codebook.npy"))

    @property
    def queries(self) -> IntArray:
        """Contexts [QUERIES, 4] of held-out pictures."""
        queries: IntArray = np.load(self.here / "queries.npy")
        return queries

    def ground(self, kind: str) -> Ground:
        """What an index of a kind stands on."""
        return Ground(self.here / kind, np.load(self.here / "grids.npy", mmap_mode="r"), self.codebook, CONTEXT, 0)

    def tables(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Every query with its tables."""
        vectors, compute = transposed_vectors(self.codebook), tables_by()
        return ((query, compute(vectors, query)) for query in self.queries)

    def once(self, name: str, measure: Callable[..., Figures], *arguments: Any) -> Figures:
        """Measure in a process of its own, or take what an earlier run measured."""
        path = self.here / f"{name}.json"
        if not path.exists():
            figures = _apart(measure, self, *arguments)
            path.write_text(json.dumps(figures), encoding="utf-8")
        found: Figures = json.loads(path.read_bytes())
        return found


def database_figures(folder: Path, largest: str, only: Sequence[str] = tuple(KINDS)) -> Figures:
    """Figures of some kinds at all sizes up to the largest one; the folder holds the databases and is left as it is."""
    figures: Figures = {}
    for size in SIZES[: SIZES.index(largest) + 1]:
        work = Work(folder, size)
        work.here.mkdir(parents=True, exist_ok=True)
        figures |= work.once("made", make)
        kinds = tuple(kind for kind in _kinds(size) if kind in only)
        for kind in kinds:
            figures |= work.once(f"built-{kind}", build, kind)
            figures |= work.once(f"searched-{kind}", search, kind)
        if kinds:
            figures |= work.once(f"exact-{'-'.join(kinds)}", check, kinds)
        if size == "1e6" and "orderings" in kinds:
            figures |= work.once("flat", against_flat)
        if size == "1e7" and "orderings" in kinds:
            figures |= work.once("picture", picture_overhead)
    exact = [value for name, value in figures.items() if name.startswith("exact_recall_")]
    return ({"exact_recall": min(exact)} if exact else {}) | figures


def named_kinds(text: str) -> tuple[str, ...]:
    """The kinds in a list with commas, all for none; ConfigError for one that there is not."""
    names = tuple(name.strip() for name in text.split(",")) if text else tuple(KINDS)
    if unknown := [name for name in names if name not in KINDS]:
        raise ConfigError(f"kinds: got {unknown[0]!r:.80}, expected some of {', '.join(KINDS)}")
    return names


def _kinds(size: str) -> tuple[str, ...]:
    """What is measured at a size: kinds that are built in memory only where they fit."""
    return {"1e6": tuple(KINDS), "1e7": ("orderings", "ordering", "ivf")}.get(size, ("orderings", "ordering"))


def make(work: Work) -> Figures:
    """Write codebook, pictures and queries."""
    own = EmojiBackend.load().codebook
    codebook = derived_codebook(own)
    np.save(work.here / "codebook.npy", codebook.vectors)
    write_grids(work.here / "grids.npy", Source.of(own, codebook, GRID), work.images)
    held = Source.of(own, codebook, GRID, held_out=True).make(64, seed=0)
    codes = context_codes(CONTEXT, held, retrieving_positions(CONTEXT, GRID)).reshape(-1, CONTEXT.size)
    np.save(work.here / "queries.npy", np.random.default_rng(0).permutation(codes)[:QUERIES])
    return {f"entries_{work.size}": work.entries}


def build(work: Work, kind: str) -> Figures:
    """Build an index: CPU seconds for 1e6 entries, the most anonymous memory that it took, and its bytes."""
    ground = work.ground(kind)
    shutil.rmtree(ground.folder, ignore_errors=True)
    ground.folder.mkdir()
    if KINDS[kind].numba:
        machine.kernel()  # what compiles once is no part of it
    with _peak() as peak:
        begin = time.process_time()
        KINDS[kind].build(ground.folder, ground.grids, ground.codebook, CONTEXT)
        seconds = time.process_time() - begin
    size = sum(path.stat().st_size for path in ground.folder.iterdir())
    name = f"{kind}_{work.size}"
    grids = (work.here / "grids.npy").stat().st_size
    return {
        f"build_cpu_seconds_per_1e6_{name}": round(1e6 * seconds / work.entries, 4),
        f"build_peak_mb_{name}": round(max(peak) / 1e6),
        f"bytes_per_entry_{name}": round(size / work.entries, 3),
        f"bytes_per_entry_with_grids_{name}": round((size + grids) / work.entries, 3),
    }


def search(work: Work, kind: str) -> Figures:
    """Open an index whose files no memory holds, and ask all queries cold and then warm.

    The machine code is there before; memory is what comes on top of the libraries.
    """
    ground, queries = work.ground(kind), list(work.tables())
    if KINDS[kind].numba:
        machine.kernel()
    before = _anonymous()
    for path in ground.folder.glob("*.npy"):
        _forget(path)
    begin = time.perf_counter()
    index = KINDS[kind].open(ground)
    opened = time.perf_counter() - begin
    cold = _times(index, queries, time.perf_counter)
    warm = _times(index, queries, time.thread_time)
    begin = time.thread_time()
    tables = sum(1 for _ in work.tables())
    alone = 1000 * (time.thread_time() - begin) / tables
    name = f"{kind}_{work.size}"
    figures = {f"open_seconds_{name}": round(opened, 4), f"anonymous_mb_{name}": round((_anonymous() - before) / 1e6)}
    for label, times in (("", warm), ("cold_", cold)):
        figures |= {f"{label}p{p}_ms_{name}": round(float(np.percentile(times, p)), 3) for p in (50, 95)}
    figures |= {f"cold_first_ms_{name}": round(cold[0], 1), f"tables_ms_{work.size}": round(alone, 3)}
    if kind == "orderings":
        short = {"p50_ms": "p50_ms", "p95_ms": "p95_ms", "open_seconds": "open_seconds", "anonymous_mb": "anonymous_mb"}
        figures |= {f"{to}_{work.size}": figures[f"{of}_{name}"] for of, to in short.items()}
    return dict(figures)


def check(work: Work, kinds: Sequence[str]) -> Figures:
    """Share of the queries that an exact kind answers with the same entries and distances as adding up every entry."""
    asked = list(work.tables())[:ORACLE_QUERIES]
    truth = nearest_by_scan(work.ground(kinds[0]), [tables for _, tables in asked], K)
    figures: Figures = {}
    for kind in kinds:
        index = KINDS[kind].open(work.ground(kind))
        found = [_first(index, query, tables) for query, tables in asked]
        same = [_equal(a, b) for a, b in zip(found, truth, strict=True)]
        name = f"exact_recall_{kind}" if KINDS[kind].exact else f"recall_{kind}"
        share = float(np.mean(same)) if KINDS[kind].exact else recall(found, truth)
        figures[f"{name}_{work.size}"] = round(share, 4)
    return figures


def tables_by() -> Compute:
    """What computes distance tables, as in a database that is searched by orderings where numba is there."""
    return machine.distance_tables if machine.is_there() else distance_tables


def nearest_by_scan(ground: Ground, tables: Sequence[FloatArray], k: int) -> list[Near]:
    """The k first of all entries for some queries, adding up one after the other, some images at a time."""
    positions = len(retrieving_positions(CONTEXT, GRID))
    best = [Near(np.zeros(0, np.float32), np.zeros(0, np.int64)) for _ in tables]
    for start in range(0, len(ground.grids), 1024):
        columns = columns_of(CONTEXT, np.asarray(ground.grids[start : start + 1024]), ground.codebook.size)
        for number, table in enumerate(tables):
            distances, kept = table_sum(table, columns), best[number]
            limit = kept.distances[-1] if len(kept.entries) == k else np.float32(np.inf)
            near = np.flatnonzero(distances <= limit)
            joined = np.concatenate([kept.distances, distances[near]])
            entries = np.concatenate([kept.entries, near + start * positions])
            chosen = ordered(joined, entries, k)
            best[number] = Near(joined[chosen], entries[chosen])
    return best


def against_flat(work: Work) -> Figures:
    """How many times faster than a flat index over the float keys of all entries, the two taking turns."""
    ground = work.ground("orderings")
    columns = columns_of(CONTEXT, np.asarray(ground.grids), ground.codebook.size)
    flat = flat_index(keys(ground.codebook, columns.T.astype(np.int64)))
    index, vectors, compute = KINDS["orderings"].open(ground), transposed_vectors(ground.codebook), tables_by()
    times = []
    for query in work.queries:
        begin = time.thread_time()
        flat.search(keys(ground.codebook, query)[None], K)
        between = time.thread_time()
        _first(index, query, compute(vectors, query))
        times.append((between - begin, time.thread_time() - between))
    floats, ours = np.array(times[1:]).T
    return {
        "flat_p50_ms_1e6": round(1000 * float(np.median(floats)), 3),
        "times_faster_p50_1e6": round(float(np.median(floats) / np.median(ours)), 2),
        "times_faster_p95_1e6": round(float(np.quantile(floats, 0.95) / np.quantile(ours, 0.95)), 2),
    }


def picture_overhead(work: Work, runs: int = 5) -> Figures:
    """CPU time of a picture with K = 64 over 1e7 entries of the embedded codebook, compared with none retrieved."""
    backend = EmojiBackend.load()
    folder = work.here / "embedded"
    shutil.rmtree(folder, ignore_errors=True)
    source, rows = Source.of(backend.codebook, backend.codebook, backend.grid), [ImageRow(ImageInfo(""))] * 1024
    header = Header(backend.codebook.fingerprint, backend.grid)
    images = round(float(work.size)) // header.positions
    with DatabaseWriter(folder, backend.codebook, header, index="orderings") as writer:
        for start in range(0, images, 1024):
            count = min(1024, images - start)
            writer.add(Batch(source.make(count, seed=1 + start), rows[:count]))
    database = SegmentedDatabase.open(folder, backend.codebook)
    times = []
    for turn in range(runs + 1):
        times.append([_picture_seconds(backend, database, method, turn) for method in ("model", "daid")])
    plain, mixed = np.array(times[1:]).T
    shutil.rmtree(folder)
    return {f"picture_overhead_{work.size}": round(float(np.median(mixed / plain)) - 1, 4)}


def _picture_seconds(backend: EmojiBackend, database: SegmentedDatabase, method: str, seed: int) -> float:
    settings = DecodeSettings(method=method, n_neighbours=K, seed=seed, caption_filter=0)  # it has no captions
    begin = time.process_time()
    for _ in decode(backend, database, ["a red heart, 3d style"], settings):
        pass
    return time.process_time() - begin


def _times(
    index: SegmentIndex, queries: Sequence[tuple[IntArray, FloatArray]], clock: Callable[[], float]
) -> list[float]:
    """Milliseconds of each query, given its tables."""
    times = []
    for query, tables in queries:
        begin = clock()
        _first(index, query, tables)
        times.append(1000 * (clock() - begin))
    return times


def _first(index: SegmentIndex, query: IntArray, tables: FloatArray) -> Near:
    """The K first."""
    near = index.near(query, tables, Ask(K))
    chosen = ordered(near.distances, near.entries, K)
    return Near(near.distances[chosen], near.entries[chosen])


def _equal(a: Near, b: Near) -> bool:
    return np.array_equal(a.entries, b.entries) and np.array_equal(a.distances, b.distances)


def _forget(path: Path) -> None:
    """Have the system drop what it holds of a file in memory, where it offers that."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _anonymous() -> float:
    """Bytes of memory of this process that are of no file; NaN where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
    except (OSError, StopIteration):
        return float("nan")


@contextmanager
def _peak() -> Iterator[list[float]]:
    """Anonymous memory while something runs, ten times a second."""
    seen, over = [_anonymous()], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            seen.append(_anonymous())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _apart(measure: Callable[..., Figures], *arguments: Any) -> Figures:
    """What a function gives in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, measure, arguments))
    process.start()
    theirs.close()
    try:
        figures: Figures = ours.recv()
    except EOFError:
        raise RuntimeError(f"{measure.__name__}: the process ended without figures, see above") from None
    finally:
        process.join()
    return figures


def _send(to: Connection, measure: Callable[..., Figures], arguments: tuple[Any, ...]) -> None:
    to.send(measure(*arguments))


def run(chosen: argparse.Namespace) -> int:
    """Measure and print."""
    held = tempfile.TemporaryDirectory() if chosen.work is None else nullcontext(chosen.work)
    with held as folder:
        figures = database_figures(Path(folder), chosen.largest, named_kinds(chosen.kinds))
    print(json.dumps(figures) if chosen.json else "\n".join(f"{name:48} {value}" for name, value in figures.items()))
    return 0
