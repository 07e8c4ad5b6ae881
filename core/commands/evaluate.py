"""What may be said behind `evaluate`: what is measured, and how much of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..inputs.arguments import AddArguments, at_least_one
from ..types import METHODS
from .command import Command, later
from .suites import SuiteParser, add_embedded, add_publish, add_report, add_run


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One thing to measure: the module of core/evaluation whose `run` does it, and its options with their defaults."""

    name: str
    help: str
    module: str
    options: Mapping[str, Any]


OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--count": {"type": at_least_one, "help": "how many pictures or prompts to look at (default: %(default)s)"},
    "--seeds": {"type": at_least_one, "help": "how many seeds to draw with (default: %(default)s)"},
    "--method": {"choices": tuple(METHODS), "help": "how pictures are drawn (default: %(default)s)"},
    "--out": {"type": Path, "help": "file or folder to write (default: the one that ships)"},
    "--entries": {"type": at_least_one, "help": "measure instead what a bound spares in a made-up database of so many"},
    "--json": {"action": "store_true", "help": "print one flat JSON object on the last line"},
    "--show": {"type": at_least_one, "help": "how many of the best settings to print (default: %(default)s)"},
    "--bytes": {"type": int, "choices": (2, 4), "help": "of a number: 2 (bfloat16) or 4 (float32)"},
    "--one": {"action": "store_true", "help": "print the codes that this very process draws"},
}
"""What argparse is told of the options that evaluations share."""

JUDGED = {"--count": 100, "--seeds": 3, "--json": False}

EVALUATIONS = (
    Evaluation("identify", "whether pictures show what their prompts name, and `unseen`", "identify", JUDGED),
    Evaluation("trained", "the first half of `identify`: the model alone", "identify", JUDGED),
    Evaluation("unseen", "what a database of what the novice has never seen does to its pictures", "identify", JUDGED),
    Evaluation("sampler", "what guidance, temperature and top-p score on prompts for tuning", "identify", JUDGED),
    Evaluation(
        "likelihood", "nats per code of held-out pictures, and the settings that are best for it", "likelihood",
        {"--count": 32, "--show": 6},
    ),
    Evaluation("copying", "how much is copied when nobody copies", "copying", {"--count": 96, "--out": None}),
    Evaluation("following", "what following a source spares, and what it changes", "following",
        {"--count": 8, "--entries": None}),
    Evaluation("repeat", "whether a seed gives the same picture on other processors", "repeat",
        {"--seeds": 50, "--method": "daid", "--one": False}),
    Evaluation("sheets", "draw the contact sheets of the docs and the page's first example", "sheets", {"--out": None}),
    Evaluation("sizes", "what Janus-Pro needs in memory and time, computed", "sizes", {"--bytes": 2, "--json": False}),
)  # fmt: skip


REPORTS: Mapping[str, tuple[str, AddArguments]] = {
    "run": ("measure the items of a suite, one by one, and go on where an earlier start ended", add_run),
    "report": ("write what runs found as Markdown and HTML, with figures and pictures", add_report),
    "embedded": ("run all suites of the embedded models and write one report", add_embedded),
    "publish": ("put the report of the embedded models into a checkout: docs, page, README", add_publish),
}
"""What is done with suites: the module of core/commands/work/evaluating that does it, what that is, its options."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    names = parser.add_subparsers(dest="what", required=True, parser_class=SuiteParser)
    for name, (told, add) in REPORTS.items():
        added = names.add_parser(name, help=told, description=f"{name}: {told}", allow_abbrev=name != "run")
        add(added)
        added.takes_suite = name == "run"
        added.set_defaults(module=f".work.evaluating.{name}")
    for evaluation in EVALUATIONS:
        added = names.add_parser(
            evaluation.name, help=evaluation.help, description=f"{evaluation.name}: {evaluation.help}"
        )
        for flag, default in evaluation.options.items():
            added.add_argument(flag, default=default, **OPTIONS[flag])
        added.set_defaults(module=f"..evaluation.{evaluation.module}")


def run(chosen: argparse.Namespace) -> int:
    """Measure what was chosen."""
    return later(chosen.module)(chosen)


EVALUATE = Command("evaluate", "measure what the models draw and predict", add_arguments, run)
