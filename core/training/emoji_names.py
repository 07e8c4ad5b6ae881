"""Write the names of emoji, by which they are read in prompts: `python -m core.training.emoji_names`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..inputs.arguments import program
from ..inputs.prompt import NAMES_FILE
from .data import CAPTIONS, fetch, member, normalised_hexcode

SKINS = {chr(code) for code in range(0x1F3FB, 0x1F400)}


def emoji_names(emojibase: list[dict[str, Any]]) -> dict[str, str]:
    """Names by characters without variation selectors; skin tones have no names of their own.

    Two people of two skin tones are a sequence of their own: without the tones, it has the name of the people.
    """
    names = {characters(emoji["hexcode"]): emoji["label"] for emoji in emojibase}
    for emoji in emojibase:
        for skin in emoji.get("skins", ()):
            bare = "".join(char for char in characters(skin["hexcode"]) if char not in SKINS)
            names.setdefault(bare, emoji["label"])
    return dict(sorted(names.items()))


def characters(hexcode: str) -> str:
    """An emoji from its code points."""
    return "".join(chr(int(part, 16)) for part in normalised_hexcode(hexcode).split("-"))


def build(packages: Path, out: Path) -> None:
    """Write the table from the pinned package, which is packed into a folder unless it is there."""
    names = emoji_names(json.loads(member(fetch(CAPTIONS, packages), "en/data.json")))
    source = f"{CAPTIONS.name} {CAPTIONS.version}, {CAPTIONS.licence}, {CAPTIONS.author}"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"source": source, "names": names}, ensure_ascii=False, indent=0) + "\n", "utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where everything is read and written."""
    parser.add_argument("--packages", type=Path, default=Path("data") / "packages", help="folder for the npm package")
    parser.add_argument("--out", type=Path, default=NAMES_FILE)


def run(chosen: argparse.Namespace) -> int:
    """Write them."""
    build(chosen.packages, chosen.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))
