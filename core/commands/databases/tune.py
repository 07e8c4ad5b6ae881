"""What may be said behind `database tune`."""

from __future__ import annotations

import argparse

from ...inputs.arguments import at_least_one
from ..command import Command, later


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("database", metavar="FOLDER", help="folder of a database")
    parser.add_argument("--kinds", default="", help="kinds to measure, with commas (default: all that can be had)")
    parser.add_argument("--neighbours", type=at_least_one, default=64, help="K of the searches that are measured")
    parser.add_argument("--queries", type=at_least_one, default=200, help="how many searches are measured")
    parser.add_argument("--measure-only", action="store_true", help="leave the database as it is")
    parser.add_argument(
        "--keep-old", action="store_true",
        help="leave the old files until the next time, for programs that have the database open",
    )  # fmt: skip


TUNE = Command(
    "tune",
    "measure kinds of index on a database's own contexts, and give it the fastest exact one",
    add_arguments,
    later(".work.databases.tune"),
)
"""Choose the kind of index of a database by measuring."""
