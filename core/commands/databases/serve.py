"""What may be said behind `database serve`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...inputs.arguments import at_least_one
from ..command import Command, later
from ..model import add_database, add_model

PORT = 8765


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_database(parser)
    web = parser.add_argument_group("over HTTP, until interrupted")
    web.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    web.add_argument("--port", type=port, default=PORT, help="port to listen on; 0: a free one (default: %(default)s)")
    web.add_argument("--token-file", type=Path, help="file with the token that callers need (or ARRAG_DATABASE_TOKEN)")
    web.add_argument(
        "--no-token", action="store_true", help="let everybody in who reaches another address than this machine's own"
    )
    web.add_argument(
        "--at-once", type=at_least_one, default=4, help="calls that are worked on at a time (default: %(default)s)"
    )
    web.add_argument("--seconds", type=at_least_one, default=30, help="that a call may take (default: %(default)s)")
    ray = parser.add_argument_group("on a Ray cluster, until stopped")
    ray.add_argument(
        "--ray", nargs="?", const="auto", metavar="ADDRESS",
        help="HOST:PORT of the cluster; without one, the one that runs on this machine",
    )  # fmt: skip
    ray.add_argument("--name", help="what it is called: ray://NAME is its address then")
    ray.add_argument(
        "--parts", type=at_least_one, default=2, help="parts that it is searched in (default: %(default)s)"
    )
    ray.add_argument("--replicas", type=at_least_one, default=1, help="actors for each part (default: %(default)s)")
    ray.add_argument("--stop", action="store_true", help="end the actors of that name")
    add_model(parser)


def port(text: str) -> int:
    """A port to listen on."""
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"got {text!r:.20}, expected a whole number from 0 to 65535")
    return int(text)


SERVE = Command(
    "serve", "let other machines search one, over HTTP or on Ray", add_arguments, later(".work.databases.serve")
)
"""Serve a database to other machines."""
