"""A suite that takes milliseconds, a model of numpy alone for it, and ways in which both go wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.backends.complete import complete
from core.backends.protocol import ModelSource
from core.evaluation.findings import Line, Plot, Section, Sheet, Shown, Table
from core.evaluation.job import Opened
from core.evaluation.record import as_json, record_of
from core.evaluation.statistics import difference, mean
from core.evaluation.suite import Drawn, Item, Measured, Options, Row, Subject, Suite, Work
from core.types import ConfigError, DecodeSettings
from tests.plain_backend import PlainBackend

HOSTILE = "<script>alert('1')</script> & \"a\" | *b* `c` [d](javascript:e)"
Before = Callable[[Item], None]


def nothing(item: Item) -> None:
    """Measure it as usual."""


class TinyWork:
    """Numbers that follow from the number of the item."""

    def __init__(self, subject: Subject, count: int, before: Before) -> None:
        self._subject, self._count, self._before = subject, count, before

    def items(self) -> Sequence[Item]:
        return [Item(f"item-{n}", {"number": n}) for n in range(self._count)]

    def measure(self, item: Item) -> Measured:
        self._before(item)
        n = int(item.about["number"])
        rng = np.random.default_rng(n)
        settings = replace(self._subject.settings, seed=n)
        pictures = {
            arm: [
                Drawn(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8), f"{HOSTILE} {arm}", settings, np.array([[n]]))
            ]
            for arm in ("model", "faid+daid")
        }
        figures = {"model": {"nats": 2 + rng.random()}, "faid+daid": {"nats": 1 + rng.random()}}
        absent = {"sscd": "no weights; fetch them"} if n % 2 else {}
        return Measured(figures, pictures, {"n": np.arange(n)}, {"n": n}, absent)


class TinySuite:
    """See above; before: what is done before an item is measured."""

    name, help = "tiny", "numbers that mean nothing"

    def __init__(self, before: Before = nothing) -> None:
        self._before = before

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--count", type=int, default=5)
        parser.add_argument("--tiny-word", default="")

    def open(self, subject: Subject, options: Options) -> Work:
        if options["count"] < 1:
            raise ConfigError(f"--count: got {options['count']}, expected at least 1")
        return TinyWork(subject, options["count"], self._before)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        arms = ("model", "faid+daid")
        values = {arm: [row.figures[arm]["nats"] for row in rows] for arm in arms}
        lengths = sum(row.array("n").size for row in rows)
        table = Table(
            ("arm", "nats", "numbers"), (
                *((arm, mean(values[arm]), lengths) for arm in arms),
                ("difference", difference(values["faid+daid"], values["model"]), HOSTILE),
            ), note=HOSTILE,
        )  # fmt: skip
        x = tuple(float(n) for n in range(len(rows)))
        lines = tuple(Line(arm, x, tuple(values[arm])) for arm in arms)
        bars = Line("model", (0.0, 1.0), (1.0, 2.0), (0.5, 1.5), (1.5, 2.5))
        plots = (Plot("nats", HOSTILE, "item", "nats", lines), Plot("bars", "Bars", "arm", "nats", (bars,), arms))
        sheet = Sheet("all", "All", tuple(Shown(r.key, arm, 0, HOSTILE) for r in rows for arm in arms), 4)
        return [Section(f"Numbers {options['tiny_word']}", f"{HOSTILE}\n\nSecond.", (table, *plots, sheet))]


SUITE = TinySuite()


def tiny(source: ModelSource) -> PlainBackend:
    """The model of the tests of suites."""
    return PlainBackend()


def opened_tiny(before: Before = nothing, **options: Any) -> Opened:
    """The suite opened on the model in this process, without a command line."""
    suite: Suite = TinySuite(before)
    backend = complete(PlainBackend())
    subject = Subject("tests.tiny_suite:tiny", backend, "none", None, DecodeSettings(method="model"))
    asked = as_json({"count": 5, "tiny_word": "", **options})
    record = record_of("tests.tiny_suite:SUITE", subject, {}, asked, "python -m core evaluate run ... --out DIR")
    return Opened(suite, subject, suite.open(subject, asked), record)
