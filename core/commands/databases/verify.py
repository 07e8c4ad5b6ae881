"""What may be said behind `database verify`."""

from __future__ import annotations

import argparse

from ...inputs.arguments import at_least_one
from ..command import Command, later
from ..model import add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("database", metavar="DATABASE", help="folder of a database, or hf:OWNER/NAME")
    parser.add_argument("--encode", action="store_true", help="encode a sample of the pictures again, with --backend")
    parser.add_argument("--sample", type=at_least_one, default=32, help="how many of them (default: 32)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_model(parser)


VERIFY = Command(
    "verify", "read all of a database and say what is damaged; status 1 when something is",
    add_arguments, later(".work.databases.verify"),
)  # fmt: skip
"""Say whether a database is whole."""
