"""What may be said behind `database stats`."""

from __future__ import annotations

import argparse

from ..command import Command, later
from ..model import add_database, add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_database(parser)
    parser.add_argument("--json", action="store_true", help="as JSON, in full")
    add_model(parser)


STATS = Command(
    "stats",
    "count what a database holds: codes, contexts, styles, licences, bytes",
    add_arguments,
    later(".work.databases.stats"),
)
"""Count what a database holds."""
