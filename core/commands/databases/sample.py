"""What may be said behind `database sample`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...inputs.arguments import at_least_one
from ..command import Command, later
from ..model import add_database, add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_database(parser)
    parser.add_argument("--out", type=Path, required=True, help="picture to write: .png, .webp or .jpg")
    parser.add_argument("--number", type=at_least_one, default=60, help="how many, evenly at random (default: 60)")
    parser.add_argument("--images", help="numbers of the images instead, such as 0,5,17")
    parser.add_argument("--styles", default="", help="only images in these styles, such as 3d,flat")
    parser.add_argument("--seed", type=int, default=0, help="another one draws others (default: 0)")
    parser.add_argument("--columns", type=at_least_one, default=12, help="pictures in a row (default: 12)")
    add_model(parser)


SAMPLE = Command(
    "sample", "draw a contact sheet of images of a database", add_arguments, later(".work.databases.sample")
)
"""Show images of a database."""
