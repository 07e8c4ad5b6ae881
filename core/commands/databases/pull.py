"""What may be said behind `database pull`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..command import Command, later


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("repository", metavar="OWNER/NAME", help="dataset repository, with @REVISION if need be")
    parser.add_argument("--out", type=Path, help="folder to write, new or empty (default: a cache)")


PULL = Command("pull", "fetch a database from the Hugging Face hub", add_arguments, later(".work.databases.pull"))
"""Fetch a database from the hub."""
