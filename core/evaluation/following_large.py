"""What a known bound spares in a large database: `python -m core evaluate following --entries 1000000`.

The database is synthetic (`core.evaluation.synthetic`), and so are the pictures that are looked up in it, position by
position, once by a plain search and once within the bound of what goes on from the last answers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..backends.emoji.backend import EmojiBackend
from ..context import context_codes, contexts_of_entries, retrieving_positions
from ..patches.following import going_on
from ..patches.index import distance_tables, table_sum, transposed_vectors
from ..patches.segments.ask import Ask, Ground, SegmentIndex
from ..patches.segments.kinds import KINDS
from ..patches.segments.ties import ordered
from ..types import CodeArray, FloatArray, IntArray
from .bench_database import CONTEXT, GRID, K, Work, build, make
from .synthetic import Source

PICTURES: Final = 4
MEASURED: Final = ("orderings", "quantizer")
"""Kinds of index: one that gains by a bound from the start, and the usual one of smaller databases."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One look-up: CPU milliseconds of a plain search, of finding the bound, and of the search within it.

    known: whether there was a bound; same: whether both searches gave the very same.
    """

    plain: float
    scored: float
    within: float
    known: bool
    same: bool


def large(entries: int) -> Iterator[dict[str, Any]]:
    """A row for each kind of index."""
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), str(entries))
        work.here.mkdir()
        make(work)
        own = Source.of(EmojiBackend.load().codebook, work.codebook, GRID, held_out=True)
        for kind in MEASURED:
            build(work, kind)
            ground = work.ground(kind)
            index = KINDS[kind].open(ground)
            looked = [one for picture in own.make(PICTURES, seed=1) for one in along(index, ground, picture)]
            yield {"entries": work.entries, "kind": kind, **_figures([one for one in looked if one.known], len(looked))}


def along(index: SegmentIndex, ground: Ground, picture: CodeArray) -> Iterator[Looked]:
    """The look-ups of one picture, in order; the first one of an index is asked twice, so that it is not cold."""
    places = retrieving_positions(CONTEXT, GRID)
    queries, vectors = context_codes(CONTEXT, picture[None], places)[0], transposed_vectors(ground.codebook)
    index.near(queries[0], distance_tables(vectors, queries[0]), Ask(K))
    trail: dict[int, IntArray] = {}
    for position, query in zip(places.tolist(), queries, strict=True):
        tables = distance_tables(vectors, query)
        begin = time.thread_time()
        found, plain = _first(index, query, tables, np.inf), time.thread_time() - begin
        begin = time.thread_time()
        left = trail.get(position - 1) if position % GRID.width else None
        bound = _bound(ground, tables, going_on(left, trail.get(position - GRID.width), CONTEXT, GRID))
        scored = time.thread_time() - begin
        begin = time.thread_time()
        again, within = _first(index, query, tables, bound), time.thread_time() - begin
        trail[position] = found[1]
        same = np.array_equal(found[0], again[0]) and np.array_equal(found[1], again[1])
        yield Looked(1000 * plain, 1000 * scored, 1000 * within, bool(np.isfinite(bound)), same)


def _first(index: SegmentIndex, query: IntArray, tables: FloatArray, bound: float) -> tuple[FloatArray, IntArray]:
    """Distances and entries of the K nearest."""
    near = index.near(query, tables, Ask(K, np.float32(bound)))
    first = ordered(near.distances, near.entries, K)
    return near.distances[first], near.entries[first]


def _bound(ground: Ground, tables: FloatArray, known: IntArray) -> float:
    """Distance of the K-th nearest of some entries, infinite where there are fewer."""
    if len(known) < K:
        return float(np.inf)
    places = retrieving_positions(CONTEXT, GRID)
    images, slots = np.divmod(known, len(places))
    contexts = contexts_of_entries(CONTEXT, ground.grids[images], places[slots]).astype(np.uint16)
    return float(np.partition(table_sum(tables, contexts.T), K - 1)[K - 1])


def _figures(known: list[Looked], count: int) -> dict[str, Any]:
    """Share of the look-ups that had a bound, and of these the middle and the 95th percentile of each time."""
    times = {name: [getattr(one, name) for one in known] for name in ("plain", "scored", "within")}
    same = float(np.mean([one.same for one in known]))
    return {"bounded": round(len(known) / count, 4), "same": round(same, 4)} | {
        f"{name}_p{p}_ms": round(float(np.percentile(values, p)), 3) for name, values in times.items() for p in (50, 95)
    }
