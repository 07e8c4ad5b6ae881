"""What the rows of `retrieval` say: hits and distances by side, coverage by row, and the kinds of indexes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from .findings import Cell, Line, Plot, Section, Table
from .indexes import TRUTH
from .statistics import Estimate, difference, mean, statistic
from .suite import Row

ARMS: Final[Mapping[str, str]] = {
    "whole": "nearest of the whole database",
    "filtered": "nearest among the images whose captions are nearest",
    "random": "any entries",
}

RIGHT_TEXT: Final = """\
Held-out pictures are looked up position by position, as if they were being drawn. hit@K: share of positions whose \
true code is among the codes of the K nearest; right@K: share of these K that are the true code; MRR: mean of 1 over \
the place of the first that is, 0 where none is; distance: mean squared L2 between the retrieved code vectors and \
the true one. Positions that do not retrieve are left out. Means over pictures with bootstrap intervals over \
pictures; differences to any entries are paired by picture. Of the sides that ship, the embedded database holds no \
picture; it has others of the concepts of "pair", and none of those of "validation" and "test"."""

INDEX_TEXT: Final = """\
Every kind of index over the same token grids, asked for the same contexts of held-out pictures. Recall: share of \
the entries that the exact scan of all contexts finds, which with equal distances are settled in the same order; \
milliseconds: CPU time of one thread from a query to its neighbours, on the machine that the report was made on. The \
kinds below are those of databases in segments; "version 1" are those of a database in memory, with its own search. \
Building is measured to the first answer, without the compiling that numba does once on a machine. Figures of time \
differ from run to run."""


def found(rows: Sequence[Row]) -> Sequence[Section]:
    """The sections of a run."""
    held = [row for row in rows if row.about["kind"] == "held"]
    sides = list(dict.fromkeys(str(row.about["side"]) for row in held))
    by_side = {side: [row for row in held if row.about["side"] == side] for side in sides}
    sections = [right(by_side), coverage(by_side)] if by_side else []
    return [*sections, *(indexes(row) for row in rows if row.about["kind"] == "indexes")]


def right(by_side: Mapping[str, Sequence[Row]]) -> Section:
    """Hits and distances of every side."""
    tables: list[Table] = []
    for side, rows in by_side.items():
        said = {arm: [one for row in rows for one in row.details["retrieved"].get(arm, []) if one] for arm in ARMS}
        said = {arm: each for arm, each in said.items() if each}
        names = [name for name in next(iter(said.values()))[0] if all(name in one for e in said.values() for one in e)]
        names = [name for name in names if name != "any"]
        values: list[tuple[Cell, ...]] = [
            (ARMS[arm], *(mean([one[n] for one in each]) for n in names)) for arm, each in said.items()
        ]
        values += [_less(arm, said, names) for arm in said if arm != "random"]
        tables.append(Table(("retrieved", *names), tuple(values), note=f"Pictures of {side}."))
    return Section("Is what is retrieved right?", RIGHT_TEXT, tuple(tables))


def _less(arm: str, said: Mapping[str, Sequence[Mapping[str, float]]], names: Sequence[str]) -> tuple[Cell, ...]:
    pairs = (difference([one[n] for one in said[arm]], [one[n] for one in said["random"]]) for n in names)
    return (f"{arm} less any entries", *pairs)


def coverage(by_side: Mapping[str, Sequence[Row]]) -> Section:
    """Share of the positions of each row with a near context, from the whole database and from what is filtered."""
    plots, values = list[Plot](), list[tuple[Cell, ...]]()
    within = float(next(iter(by_side.values()))[0].about["within"])
    for arm in ("whole", "filtered"):
        lines = list[Line]()
        for side, rows in by_side.items():
            if any(arm not in row.figures for row in rows):
                continue
            shares = np.concatenate([row.array(f"rows-{arm}").astype(np.float64) for row in rows])
            lines.append(_line(side, [mean(column) for column in shares.T]))
            values.append((side, ARMS[arm], mean(shares.mean(axis=1))))
        if lines:
            plots.append(Plot(f"coverage-{arm}", ARMS[arm], "row of the picture", "share of positions", tuple(lines)))
    table = Table(("side", "retrieved", "share of positions"), tuple(values))
    text = (
        f"Share of all positions of a picture whose nearest context is within a squared L2 of {within:g}, the gate's "
        "width (or 0.5 where the settings have no gate), by row. Positions that cannot retrieve, such as those of the "
        "first row, count as not covered."
    )
    return Section("Where is anything near?", text, (table, *plots))


def _line(name: str, each: Sequence[Estimate]) -> Line:
    x = tuple(map(float, range(len(each))))
    return Line(name, x, tuple(e.value for e in each), tuple(e.low for e in each), tuple(e.high for e in each))


def indexes(row: Row) -> Section:
    """Recall, time and size of every kind."""
    kinds: list[str] = row.details["kinds"]
    times = {kind: row.array(f"ms-{n}").astype(np.float64) for n, kind in enumerate(kinds)}
    head = (
        "index",
        "recall",
        "CPU ms",
        "95 % of queries below",
        f"CPU ms less {TRUTH}",
        "bytes an entry",
        "build, CPU s",
    )
    values = tuple(_index(row, n, kind, times) for n, kind in enumerate(kinds))
    told = row.details
    note = f"{told['images']} images, {told['entries']:,} entries, K = {told['k']}."
    absent = [f"{kind}: {reason}" for kind, reason in row.unavailable.items()]
    return Section("Kinds of indexes", INDEX_TEXT, (Table(head, values, note=" ".join([note, *absent])),))


def _index(
    row: Row, n: int, kind: str, times: Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]
) -> tuple[Cell, ...]:
    less: Cell = "" if kind == TRUTH else difference(times[kind], times[TRUTH])
    size = row.details["bytes"][n] / row.details["entries"]
    slowest = statistic(times[kind], lambda drawn: np.quantile(drawn, 0.95, axis=-1))
    found_ = mean(row.array(f"recall-{n}").astype(np.float64))
    return (
        kind,
        found_,
        mean(times[kind]),
        slowest,
        less,
        size if size else "in memory",
        float(row.details["build"][n]),
    )


def lines(plots: Sequence[Plot]) -> Iterator[Line]:
    """All lines of plots."""
    return (line for plot in plots for line in plot.lines)
