"""What may be said behind `generate`: a prompt or a file of many, a model, a database and every setting."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from ..inputs.arguments import at_least_one
from .command import Command, later
from .model import DATABASES, add_model
from .settings import add_page, add_settings, switches

INSIDE = "--inside"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("prompt", nargs="?", help="what to draw; one that begins with two hyphens stands behind --")
    add_model(parser)
    parser.add_argument("--database", default="emoji", help=DATABASES)
    add_settings(parser)
    parser.add_argument("--out", type=Path, help="picture to write (default: out.png); with --prompts, folder")
    parser.add_argument("--trace", type=Path, help="trace to write, .npz")
    parser.add_argument(INSIDE, action="store_true", help="keep in the trace what the model looked at, and its lens")
    many = parser.add_argument_group("many prompts")
    many.add_argument(
        "--prompts", metavar="FILE",
        help="draw all prompts of a file: .txt (a line each), .jsonl or .csv (prompt, and settings by their names); "
        "- for stdin. Pictures, traces and a page of all go into the folder --out, and the same command goes on",
    )  # fmt: skip
    many.add_argument(
        "--count", type=at_least_one, default=1, help="pictures of a prompt, of seeds one after the other"
    )
    many.add_argument("--batch", type=at_least_one, default=4, help="pictures that are drawn at once (default: 4)")
    add_page(many)


def prompt_behind(arguments: Sequence[str]) -> list[str]:
    """The arguments of `generate` with a prompt like "-heart" behind "--", where argparse takes it for no option."""
    given, flags = list(arguments), {INSIDE, *switches()}
    if given[:1] != [GENERATE.name] or "--" in given:
        return given
    takes_next = [text.startswith("--") and "=" not in text and text not in flags for text in given]
    prompts = [
        place for place, text in enumerate(given)
        if re.match("-[^-]", text) and text not in ("-h", "-help") and not takes_next[place - 1]
    ]  # fmt: skip
    others = [text for place, text in enumerate(given) if place not in prompts]
    return [*others, "--", *(given[place] for place in prompts)] if prompts else given


GENERATE = Command("generate", "draw one picture, or those of many prompts", add_arguments, later(".work.generate"))
