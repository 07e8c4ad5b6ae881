"""What may be said behind `database info`."""

from __future__ import annotations

import argparse

from ..command import Command, later
from ..model import add_database, add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_database(parser)
    add_model(parser)


INFO = Command("info", "say what a database holds, as JSON", add_arguments, later(".work.databases.info"))
"""Describe a database."""
