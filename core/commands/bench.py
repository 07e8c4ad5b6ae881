"""What may be said behind `bench`."""

from __future__ import annotations

import argparse
import shlex

from ..inputs.arguments import at_least_one
from .command import Command, later


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--json", action="store_true", help="print one flat JSON object on the last line")
    parser.add_argument("--runs", type=at_least_one, default=7, help="paired runs; medians are reported")
    parser.add_argument(
        "--page", type=shlex.split, default=(), metavar="COMMAND",
        help='command that serves a page on the --port that it is given, whose start is timed: "python app.py"',
    )  # fmt: skip


BENCH = Command("bench", "measure speed, loss and sizes on this machine", add_arguments, later("..evaluation.bench"))
