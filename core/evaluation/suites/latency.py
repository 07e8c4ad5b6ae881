"""What a picture costs by every method: seconds of the clock and of the processor, and where they go.

An item is a turn, in which every method draws the same prompt with the same seed, in an order that moves on from turn
to turn; what is reported is paired within turns.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ... import threads
from ...engine import decode
from ...inputs.arguments import at_least_one
from ...types import METHODS, DecodeSettings
from ..bench_draw import PROMPTS
from ..findings import Cell, Line, Plot, Section, Table
from ..statistics import Estimate, statistic
from ..suite import Figures, Item, Measured, Options, Row, Subject, arms

Values = npt.NDArray[np.float64]
TURNS: Final = 12
WARM: Final = 12
"""Positions that every arm draws before the first turn, which are not measured."""

UNHEARD: Final = "daid-unheard"
"""DAiD with a lambda so small that its look-ups are made and change no code: what looking up costs by itself."""
SMALLEST: Final = 1e-9

PARTS: Final = ("model", "search", "blend", "rest")
MEANINGS: Final[Mapping[str, str]] = {
    "model": "passes of the transformer, with those of the blenders",
    "search": "look-ups",
    "blend": "mixing, drawing, and what blenders tell",
    "rest": "records, and the picture from its codes",
}


class Latency:
    """A subject that is timed."""

    def __init__(self, subject: Subject, turns: int) -> None:
        self._subject, self._turns = subject, turns
        self._arms = settings_of(subject)
        self._warm = False

    def items(self) -> Sequence[Item]:
        """Turns; prompts follow one another, the seed moves on with each round of them."""
        return [
            Item(f"turn-{n:04}", {"turn": n, "prompt": PROMPTS[n % len(PROMPTS)], "seed": n})
            for n in range(self._turns)
        ]

    def measure(self, item: Item) -> Measured:
        """One turn."""
        if not self._warm:
            for settings in self._arms.values():
                self._seconds(PROMPTS[0], settings, WARM)
            self._warm = True
        turn, names = int(item.about["turn"]), list(self._arms)
        first = turn % len(names)
        seconds = {
            arm: self._seconds(str(item.about["prompt"]), replace(self._arms[arm], seed=int(item.about["seed"])))
            for arm in [*names[first:], *names[:first]]
        }
        details = {"processor": processor(), "arithmetic": threads.machine(), "load": load()}
        return Measured({arm: seconds[arm] for arm in names}, details=details)

    def _seconds(self, prompt: str, settings: DecodeSettings, positions: int = 0) -> Figures:
        """What one picture takes, or its first positions, by a view of the database whose cache is cold."""
        backend, database = self._subject.backend, self._subject.database
        fresh = database.subset(database.images) if database is not None and settings.retrieves else None
        wall, cpu = time.perf_counter(), time.process_time()
        records = []
        with contextlib.closing(decode(backend, fresh, [prompt], settings)) as steps:
            for (record,) in steps:
                records.append(record)
                if len(records) == positions:
                    break
        if not positions:
            codes = np.array([record.code for record in records], np.uint16)
            backend.decode_codes(codes.reshape(1, backend.grid.height, backend.grid.width))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        parts = {part: sum(getattr(record.seconds, part) for record in records) for part in PARTS[:3]}
        rest = max(0.0, wall - sum(parts.values()))
        return {"seconds": wall, "cpu": cpu, **parts, "rest": rest, "positions": float(len(records))}


def settings_of(subject: Subject) -> dict[str, DecodeSettings]:
    """The settings of every arm that the subject can draw with; what needs a database is left out without one."""
    plain = subject.settings
    found = {"model": replace(plain, method="model")}
    if subject.database is None:
        return found
    found[UNHEARD] = replace(plain, method="daid", retrieval_weight=SMALLEST)
    for name, method in METHODS.items():
        if name != "model" and (subject.backend.faid is not None or not method.blends):
            found[name] = replace(plain, method=name, retrieval_weight=plain.retrieval_weight or 0.1)
    return found


def processor() -> str:
    """What the processor calls itself."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def load() -> float:
    """How many processes wanted to run in the last minute, 0 where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


class LatencySuite:
    """See `core.evaluation.suite.Suite`."""

    name = "latency"
    help = "seconds per picture and position by every method, and where they go"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How many turns."""
        parser.add_argument("--count", type=at_least_one, default=TURNS, help="turns (default: %(default)s)")

    def open(self, subject: Subject, options: Options) -> Latency:
        """Nothing is loaded."""
        return Latency(subject, int(options["count"]))

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """Medians over turns."""
        names = list(arms(rows))
        return [_whole(rows, names), _by_part(rows, names)]


def _whole(rows: Sequence[Row], names: Sequence[str]) -> Section:
    """What a picture takes."""
    loads = [float(row.details["load"]) for row in rows]
    machines = sorted({f"{row.details['processor']} ({row.details['arithmetic']})" for row in rows})
    text = (
        "A turn draws one prompt with one seed by every method, in an order that moves on from turn to turn, after a "
        "warm-up that is not measured; each picture looks up in a view of the database whose cache is cold. Medians "
        "over turns; differences to `model` are medians of what is paired within turns. Seconds of the processor count "
        f"all threads and hardly depend on what else runs; those of the clock do. {UNHEARD}: DAiD with lambda "
        f"{SMALLEST:g}, whose look-ups are made and change nothing. Clocks differ from run to run: these figures are "
        "the only ones that measuring again does not repeat.\n\n"
        f"Measured on: {'; '.join(machines)}. Processes that wanted to run meanwhile: median {np.median(loads):.1f}."
    )
    table = Table(
        ("method", "seconds of the processor", "more than model", "times model", "seconds of the clock",
         "ms of the processor a position"),
        tuple(_line(rows, arm) for arm in names),
    )  # fmt: skip
    return Section("Seconds per picture", text, (table,))


def _line(rows: Sequence[Row], arm: str) -> tuple[Cell, ...]:
    """One method, over the turns that have it."""
    both = [row for row in rows if arm in row.figures and "model" in row.figures]
    cpu, plain = values(both, arm, "cpu"), values(both, "model", "cpu")
    positions = values(both, arm, "positions")
    return (
        arm, median(cpu), "" if arm == "model" else median(cpu - plain), "" if arm == "model" else median(cpu / plain),
        median(values(both, arm, "seconds")), median(1000 * cpu / positions),
    )  # fmt: skip


def _by_part(rows: Sequence[Row], names: Sequence[str]) -> Section:
    """Where the time goes."""
    text = "Seconds of the clock by part: " + "; ".join(f"{part}: {meaning}" for part, meaning in MEANINGS.items())
    found = {arm: {part: median(values(rows, arm, part)) for part in PARTS} for arm in names}
    shares = {arm: median(values(rows, arm, "search") / values(rows, arm, "seconds")) for arm in names}
    table = Table(
        ("method", *PARTS, "share of look-ups"),
        tuple((arm, *(found[arm][part] for part in PARTS), shares[arm]) for arm in names),
    )
    places = tuple(float(n) for n in range(len(names)))
    lines = tuple(
        Line(
            part, places, tuple(found[arm][part].value for arm in names),
            tuple(found[arm][part].low for arm in names), tuple(found[arm][part].high for arm in names),
        )
        for part in PARTS
    )  # fmt: skip
    plot = Plot("parts", "Where the time of a picture goes", "method", "seconds of the clock", lines, tuple(names))
    return Section("By part", text + ".", (table, plot))


def values(rows: Sequence[Row], arm: str, name: str) -> Values:
    """A figure [n] of the rows that have the arm."""
    return np.array([row.figures[arm][name] for row in rows if arm in row.figures], np.float64)


def median(found: Values) -> Estimate:
    """The median, with its interval."""
    return statistic(found, lambda drawn: np.median(drawn, axis=-1))


SUITE = LatencySuite()
