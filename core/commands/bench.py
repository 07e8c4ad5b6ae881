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
        "--suite", choices=("models", "speed", "database", "janus"), default="models",
        help="models: drawing and the databases that ship; speed: drawing and reading against a plain loop; "
        "database: search in large synthetic ones; janus: Janus-Pro at its real shapes, with random weights "
        "(default: models)",
    )  # fmt: skip
    parser.add_argument(
        "--largest", choices=("1e6", "1e7", "1e8"), default="1e6", help="entries of the largest synthetic database"
    )
    parser.add_argument("--kinds", default="", help="kinds of index to measure there, with commas (default: all)")
    parser.add_argument(
        "--work", type=Path, metavar="DIR",
        help="keep synthetic databases and finished figures here, and go on from them (else a temporary folder)",
    )  # fmt: skip
    janus = parser.add_argument_group("suite janus")
    janus.add_argument("--size", choices=("tiny", "1b", "7b"), default="1b", help="its shape (default: 1b)")
    janus.add_argument("--layers", type=at_least_one, help="so many of its layers alone, which is reported")
    janus.add_argument("--device", default="auto", help="auto | cpu | cuda | mps (default: auto)")
    janus.add_argument("--dtype", default="auto", help="auto | float32 | bfloat16 | float16 (default: auto)")
    janus.add_argument("--codes", type=at_least_one, default=576, help="codes a run (default: 576, a picture)")
    janus.add_argument("--compiled", action="store_true", help="what torch.compile makes of a pass, too")


def run(chosen: argparse.Namespace) -> int:
    """Measure a suite; that of Janus needs packages which the others do not."""
    return later("..evaluation.bench_janus" if chosen.suite == "janus" else "..evaluation.bench")(chosen)


BENCH = Command("bench", "measure speed, loss and sizes on this machine", add_arguments, run)
