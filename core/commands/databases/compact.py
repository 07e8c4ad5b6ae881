"""What may be said behind `database compact`."""

from __future__ import annotations

import argparse

from ...inputs.arguments import at_least_one
from ..command import Command, later


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("database", metavar="FOLDER", help="folder of a database")
    parser.add_argument("--entries", type=at_least_one, help="of a segment at most (default: 134,217,728)")
    parser.add_argument(
        "--keep-old", action="store_true",
        help="leave the old files until the next time, for programs that have the database open",
    )  # fmt: skip


COMPACT = Command(
    "compact",
    "join the segments of a database: same answers, found faster",
    add_arguments,
    later(".work.databases.compact"),
)
"""Join the segments of a database."""
