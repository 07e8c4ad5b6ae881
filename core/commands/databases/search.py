"""What may be said behind `database search`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...inputs.arguments import at_least_one
from ..command import Command, later
from ..model import add_database, add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_database(parser)
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--image", type=Path, help="picture whose neighbourhoods are looked up")
    wanted.add_argument("--text", help="words: by what captions mean, or that captions contain")
    wanted.add_argument("--patch", metavar="IMAGE,ROW,COL", help="place whose context is looked up")
    parser.add_argument("--number", type=at_least_one, default=12, help="how many are listed (default: 12)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--sheet", type=Path, help="contact sheet of what was found: .png, .webp or .jpg")
    add_model(parser)


SEARCH = Command(
    "search",
    "find images like a picture or a text, or patches like one of an image",
    add_arguments,
    later(".work.databases.search"),
)
"""Look something up in a database."""
