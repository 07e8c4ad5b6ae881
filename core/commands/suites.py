"""What may be said behind `evaluate run`, `report` and `embedded`: suites, and what their findings are written to.

A suite declares its own options when it is chosen, since only then it is imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..inputs.arguments import Parser, at_least_one
from ..types import ArragError
from .model import DATABASES, add_model
from .settings import add_page, add_settings

OWN: Final = ("--out", "--shard", "--workers", "--ray")
"""Options that say where and how a run is measured, which decides no figure."""


class SuiteParser(Parser):
    """Behind `evaluate`. Where `takes_suite` is set, a suite comes first, and says what else may be said."""

    takes_suite = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, with the options of the suite; what is said of it is kept as `words`."""
        words = list(args or ())
        if not self.takes_suite or {"-h", "--help"}.intersection(words[:1]):
            return super().parse_known_args(args, namespace)
        if not words or words[0].startswith("-"):
            self.error("expected a suite behind `run`, such as latency; see evaluate run --help")
        known = vars(super().parse_known_args([words[0], "--out", "."])[0])
        self._declare(words[0])
        chosen, left = super().parse_known_args(words, namespace)
        chosen.options = {name: value for name, value in vars(chosen).items() if name not in known}
        chosen.words = without_own(words)
        return chosen, left

    def _declare(self, name: str) -> None:
        """Let a suite declare its options."""
        from ..evaluation.job import find_suite  # noqa: PLC0415

        try:
            suite = find_suite(name)
            suite.add_arguments(self)
        except (ArragError, argparse.ArgumentError) as error:
            self.error(str(error))


def add_run(parser: argparse.ArgumentParser) -> None:
    """What every suite takes."""
    parser.add_argument("suite", metavar="SUITE", help="what to measure, or package.module:NAME; it comes first")
    add_model(parser)
    parser.add_argument("--database", help=f"{DATABASES}, or none (default: emoji with the embedded models, else none)")
    add_settings(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the run; one that is there goes on"
    )
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="measure every N-th item, from the I-th on")
    parser.add_argument("--workers", type=at_least_one, default=1, help="processes, each with the model (default: 1)")
    parser.add_argument(
        "--ray", nargs="?", const="auto", metavar="ADDRESS",
        help="measure on a Ray cluster, with as many actors as --workers says (default address: that of this machine)",
    )  # fmt: skip


def add_report(parser: argparse.ArgumentParser) -> None:
    """Runs, and what is made of them."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="DIR", help="folders of runs; of one suite: compared, too"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write (default: report in the first one)")
    add_page(parser)


def add_embedded(parser: argparse.ArgumentParser) -> None:
    """All that is measured of the embedded models."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of runs and report; it goes on")
    parser.add_argument("--workers", type=at_least_one, default=1, help="processes, each with a model (default: 1)")
    add_page(parser)


def add_publish(parser: argparse.ArgumentParser) -> None:
    """The report of the embedded models, and where it goes."""
    parser.add_argument("report", type=Path, metavar="DIR", help="folder of the report, with report.json")
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="checkout to write into (default: .)")


def without_own(words: Sequence[str]) -> list[str]:
    """The words of a command line that decide figures: those that repeat it anywhere."""
    kept, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        if word.split("=")[0] not in OWN:
            kept.append(word)
        elif "=" not in word and rest and not (word == "--ray" and rest[0].startswith("-")):
            rest.pop(0)
    return kept
