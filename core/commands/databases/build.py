"""What may be said behind `database build`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...inputs.arguments import at_least_one
from ..command import Command, later
from ..model import add_model

SOURCES = "a folder with all below it, a list of paths, WebDataset tars, Parquet files, or a folder of datasets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--images", nargs="+", default=[], metavar="SRC", help=f"{SOURCES}; patterns in quotes")
    parser.add_argument("--out", type=Path, help="folder to write; one that was interrupted is gone on with")
    parser.add_argument("--append", action="store_true", help="add to the database that --out holds")
    parser.add_argument("--workers", type=at_least_one, default=1, help="processes or actors that encode (default: 1)")
    parser.add_argument(
        "--ray", nargs="?", const="auto", metavar="ADDRESS",
        help="encode on a Ray cluster: HOST:PORT; without one, the one that runs on this machine",
    )  # fmt: skip
    parser.add_argument("--kind", default="auto", help="auto | folder | list | webdataset | parquet | datasets")
    parser.add_argument(
        "--include", nargs="+", default=[], metavar="PATTERN", help="only these names, paths or folders"
    )
    parser.add_argument("--exclude", nargs="+", default=[], metavar="PATTERN", help="all but these")
    parser.add_argument(
        "--captions", default="all", help="all | first-line of the text beside a picture (default: all)"
    )
    parser.add_argument("--image-column", default="", help="column of the pictures in a table (default: found)")
    parser.add_argument("--caption-column", default="", help="column of the captions in a table (default: found)")
    parser.add_argument("--shape", default="cut", help="cut to the middle | fit whole pictures in (default: cut)")
    parser.add_argument("--radius", type=int, help="context of 4 codes (1, the default) or of 12 (2)")
    parser.add_argument("--border", help="skip (the default) | zero, for positions at the edge")
    add_model(parser)


BUILD = Command("build", "make a database from pictures", add_arguments, later(".work.databases.build"))
"""Build a database from pictures."""
