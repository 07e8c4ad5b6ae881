"""What may be said behind `trace`: what a recorded run was, why a position has its code, how a picture was made."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command, later


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument(
        "action",
        choices=("info", "explain", "from-picture"),
        help="info: what it is of; explain: one of its codes; from-picture: how a saved picture was made",
    )
    parser.add_argument("file", type=Path, help="a trace, or a picture, as `generate` and the page write them")
    parser.add_argument("--trace", type=Path, help="from-picture: draw it again, and write its trace, .npz")
    parser.add_argument("--position", type=int, help="explain: row * width + column, from 0")


def run(chosen: argparse.Namespace) -> int:
    """Only what draws again loads what draws."""
    return later(".work.picture" if chosen.action == "from-picture" else ".work.trace")(chosen)


TRACE = Command("trace", "tell what a recorded run or a saved picture holds, as JSON", add_arguments, run)
