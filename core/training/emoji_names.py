"""Write the names of emoji, by which they are read in prompts: `python -m core.training.emoji_names`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from core.prompt import NAMES_FILE
from core.training.data import CAPTIONS, fetch, member, normalised_hexcode
from core.types import ArragError

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


def main() -> int:
    """Command line; exit status 2 and one line on an error that the user can mend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, default=Path("data") / "packages", help="folder for the npm package")
    parser.add_argument("--out", type=Path, default=NAMES_FILE)
    chosen = parser.parse_args()
    try:
        build(chosen.packages, chosen.out)
    except ArragError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
