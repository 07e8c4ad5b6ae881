"""What may be said behind `database`: describe one, or build one from a folder of pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command, later
from .model import DATABASES, add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("action", choices=("info", "build"), help="info: what one holds; build: one from pictures")
    parser.add_argument("--database", default="emoji", help=f"info: {DATABASES}")
    parser.add_argument("--images", type=Path, help="build: folder of pictures, with captions in NAME.txt if there are")
    parser.add_argument("--out", type=Path, help="build: folder to write")
    parser.add_argument("--radius", type=int, default=1, help="build: context of 4 codes (1) or of 12 (2)")
    parser.add_argument("--border", default="skip", help="build: skip | zero, for positions at the edge")
    add_model(parser)


DATABASE = Command("database", "build or describe a patch database", add_arguments, later(".work.database"))
