"""What may be said behind `bench`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

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
    parser.add_argument(
        "--suite", choices=("models", "database"), default="models",
        help="models: drawing and the databases that ship; database: search in large synthetic ones (default: models)",
    )  # fmt: skip
    parser.add_argument(
        "--largest", choices=("1e6", "1e7", "1e8"), default="1e6", help="entries of the largest synthetic database"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR",
        help="keep synthetic databases and finished figures here, and go on from them (else a temporary folder)",
    )  # fmt: skip


BENCH = Command("bench", "measure speed, loss and sizes on this machine", add_arguments, later("..evaluation.bench"))
