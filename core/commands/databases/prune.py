"""What may be said behind `database prune`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...inputs.arguments import at_least_one
from ..command import Command, later
from ..model import add_database, add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_database(parser)
    parser.add_argument("--out", type=Path, help="folder to write, new or empty (default: measure only)")
    parser.add_argument(
        "--heldout", type=Path,
        help="database of pictures that are not in this one (default: those that ship, for the embedded models)",
    )  # fmt: skip
    parser.add_argument("--pictures", type=at_least_one, default=200, help="held-out pictures at most (default: 200)")
    parser.add_argument(
        "--mass", type=float, default=0.99,
        help="keep the fewest images that hold this share of what is retrieved (default: 0.99)",
    )  # fmt: skip
    parser.add_argument("--keep", type=float, help="keep this share of the images instead")
    parser.add_argument("--neighbours", type=at_least_one, default=64, help="K (default: 64)")
    parser.add_argument("--retrieval-weight", type=float, help="of the blend (default: that of the settings)")
    parser.add_argument("--retrieval-temperature", type=float, help="of the blend (default: that of the settings)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_model(parser)


PRUNE = Command(
    "prune", "leave out images that held-out pictures hardly retrieve, and measure what is lost",
    add_arguments, later(".work.databases.prune"),
)  # fmt: skip
"""Leave images out of a database."""
