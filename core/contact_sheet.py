"""Captioned pictures in rows, as one picture."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

COLUMNS, CELL, CAPTION, LETTER = 12, 96, 26, 5.6
"""Pictures in a row; pixels of a picture and its border, of its caption, and of a letter of that, about."""

Picture = npt.NDArray[np.uint8]


def contact_sheet(shown: Iterable[tuple[str, Picture | None]], columns: int = COLUMNS, cell: int = CELL) -> Image.Image:
    """Pictures [H, W, 3] of any size, each with two lines of caption; grey for one that is not there.

    cell: pixels that a picture and its border take, each way.
    """
    rows = list(shown)
    columns = max(1, min(columns, len(rows)))
    lines = -(-len(rows) // columns)
    page = Image.new("RGB", (columns * cell, lines * (cell + CAPTION)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for n, (caption, picture) in enumerate(rows):
        left, top = n % columns * cell, n // columns * (cell + CAPTION)
        page.paste(_fitted(picture, cell - 4), (left + 2, top + 2))
        lines_below = wrapped(caption, int(cell / LETTER))
        draw.multiline_text((left + 3, top + cell - 1), lines_below, "#333333", font, spacing=1)
    return page


def _fitted(picture: Picture | None, side: int) -> Image.Image:
    """A picture as large as a cell has room for."""
    if picture is None:
        return Image.new("RGB", (side, side), "#cccccc")
    return Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)


def wrapped(text: str, width: int) -> str:
    """A text on two lines of about `width` characters, cut off after them."""
    words, lines = text.split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(line[:width] for line in lines[:2])
