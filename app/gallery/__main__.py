"""Write the gallery of recorded runs into a folder, which can be pushed to a static Space as it is (about two minutes).

What is there already, drawn by the same code, models and databases, is not drawn again: an interrupted call goes on.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from core import threads
from core.inputs.arguments import program
from core.types import ConfigError

SPACE = re.compile(r"[\w.-]+/[\w.-]+")


def main() -> None:
    """`python -m app.gallery FOLDER`."""
    raise SystemExit(program(__doc__, add_arguments, run))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, help="where to write; a former gallery there is brought up to date")
    parser.add_argument("--space", type=space_name, default="", help="OWNER/NAME of the Space that it is for")
    parser.add_argument("--live", type=space_name, default="", help="OWNER/NAME of a Space that draws, to link to")


def space_name(text: str) -> str:
    """The name of a Space."""
    if text and not SPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"got {text!r:.80}, expected OWNER/NAME")
    return text


def run(chosen: argparse.Namespace) -> int:
    """Write the gallery; ConfigError for a folder with other things in it."""
    check_folder(chosen.folder)
    from app.gallery import folder, page, studio, table  # noqa: PLC0415  (torch loads for seconds: after what can fail)

    threads.pin()
    begun = time.perf_counter()
    size = folder.build(
        chosen.folder, studio.Shipped(), table.SECTIONS, page.Space(chosen.space, chosen.live),
        folder.fingerprint(), lambda name: _say(f"  {name}"),
    )  # fmt: skip
    _say(f"{chosen.folder}: {size / 1e6:.1f} MB in {time.perf_counter() - begun:.0f} s")
    if not chosen.space:
        _say("The Space's card has no thumbnail: say --space OWNER/NAME, which its address needs.")
    return 0


def check_folder(folder: Path) -> None:
    """ConfigError where something else than a gallery would be written over."""
    others = folder.is_dir() and any(file.name != ".git" for file in folder.iterdir())
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: got a file, expected a folder; choose another one")
    if others and not any((folder / name).exists() for name in ("gallery.json", "runs", "README.md")):
        raise ConfigError(f"{folder}: got a folder of other things, expected an empty one or a gallery; choose another")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
