"""What may be said behind `database merge`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..command import Command, later
from ..model import DATABASES, add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("databases", nargs="+", metavar="DATABASE", help=f"{DATABASES}; one alone is written anew")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, new or empty")
    parser.add_argument("--index", default="auto", help="kind of the index (default: by size)")
    parser.add_argument("--radius", type=int, help="context of 4 codes (1) or of 12 (2) (default: as in all of them)")
    parser.add_argument("--border", help="skip | zero, for positions at the edge (default: as in all of them)")
    add_model(parser)


MERGE = Command(
    "merge",
    "make one database of several; images that are there twice come once",
    add_arguments,
    later(".work.databases.merge"),
)
"""Make one database of several."""
