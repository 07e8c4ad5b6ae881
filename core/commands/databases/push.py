"""What may be said behind `database push`."""

from __future__ import annotations

import argparse

from ..command import Command, later
from ..model import DATABASES, add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("database", metavar="DATABASE", help=DATABASES)
    parser.add_argument("repository", metavar="OWNER/NAME", help="dataset repository, with @BRANCH if need be")
    parser.add_argument("--private", action="store_true", help="where the repository is made: only you may see it")
    parser.add_argument("--licence", help="of all of it, as the hub calls it (default: that of its images)")
    parser.add_argument("--keep-card", action="store_true", help="leave README.md and the contact sheet as they are")
    add_model(parser)


PUSH = Command("push", "send a database to the Hugging Face hub", add_arguments, later(".work.databases.push"))
"""Send a database to the hub."""
