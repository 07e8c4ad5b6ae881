"""Draw the example set of pixel art from sprites.txt: python -m core.training.draw_sprites.

Every square of a sprite is 8 x 8 pixels, which is what one code of the embedded tokenizer covers. No picture that the
model was trained on looks like this. The sprites are this project's own work, given to everybody (CC0).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..assets import ASSETS
from ..inputs.arguments import program
from ..types import ConfigError

SPRITES = Path(__file__).with_name("sprites.txt")
OUT = ASSETS / "examples" / "pixels"
SQUARES, SIDE = 16, 8
INKS = {
    ".": "#ffffff", "K": "#18141c", "W": "#fafafa", "S": "#b0b8c0", "s": "#606870", "R": "#de2c34", "D": "#96182c",
    "O": "#f28420", "Y": "#fcd434", "G": "#54b848", "g": "#207040", "B": "#2c60c8", "b": "#84ccf4", "P": "#8c4cbc",
    "p": "#f8a0c0", "N": "#80502c", "n": "#deb078",
}  # fmt: skip


def read_sprites(text: str) -> dict[str, npt.NDArray[np.uint8]]:
    """Pictures [128, 128, 3] by name, from blocks of a name and 16 rows of 16 letters, or of 8 that are mirrored."""
    blocks = [block.strip().split("\n") for block in text.split("\n\n") if not block.startswith("#")]
    return {name: _picture(name, rows) for name, *rows in blocks}


def _picture(name: str, rows: list[str]) -> npt.NDArray[np.uint8]:
    """One sprite; ConfigError when its rows do not make a square of known letters."""
    full = [row + row[::-1] if len(row) == SQUARES // 2 else row for row in rows]
    if len(full) != SQUARES or any(len(row) != SQUARES or set(row) - set(INKS) for row in full):
        raise ConfigError(f"sprite {name!r}: expected 16 rows of 8 or 16 letters of {''.join(INKS)}")
    inks = {letter: tuple(bytes.fromhex(ink[1:])) for letter, ink in INKS.items()}
    squares = np.array([[inks[letter] for letter in row] for row in full], np.uint8)
    return squares.repeat(SIDE, axis=0).repeat(SIDE, axis=1)


def draw_sprites(folder: Path) -> None:
    """Write one PNG for each sprite, named by what it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in read_sprites(SPRITES.read_text(encoding="utf-8")).items():
        file = folder / f"{name.replace(' ', '-')}.png"
        Image.fromarray(picture).quantize(len(INKS)).save(file, optimize=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where they go."""
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the pictures (default: %(default)s)")


def run(chosen: argparse.Namespace) -> int:
    """Draw them."""
    draw_sprites(chosen.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))
