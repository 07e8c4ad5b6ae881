"""A white sheet that figures are drawn on: texts, pictures, outlines and bars, at places in points.

A point is SCALE pixels, so that small letters stay sharp where a figure is shown at half its size.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.charts import BLENDED, MODEL, RETRIEVAL
from app.pictures import RGB

SCALE = 2
INK, SOFT, LINE, QUERY, WHITE = "#18212b", "#4d5a68", "#b9c2cc", "#b0407c", "#ffffff"
"""As on the page when it is light; QUERY outlines a context."""

NOTHING = "#6d5bb5"
"""Of what the blenders make of blank features, as in the stepper."""

COLOURS = {"nothing": NOTHING, "model": MODEL, "look-up": RETRIEVAL, "mix": BLENDED}
LEADING = 1.35

Box = tuple[float, float, float, float]
"""Left, top, width and height in points."""


class Sheet:
    """White paper of a size in points, which is cut below what was drawn at the end."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self._image = Image.new("RGB", (round(width * SCALE), round(height * SCALE)), WHITE)
        self._draw = ImageDraw.Draw(self._image)

    def text(
        self, left: float, top: float, text: str, size: float = 14, colour: str = INK, bold: bool = False,
        width: float = 0, right: bool = False,
    ) -> float:  # fmt: skip
        """Write a text, in lines no longer than `width` (0: one line); returns where the next line would begin.

        right: `left` is where its lines end.
        """
        font = _font(round(size * SCALE), bold)
        for line in lines_of(text, size, width, bold):
            place = (round(left * SCALE), round((top + size * LEADING / 2) * SCALE))
            self._draw.text(place, line, fill=colour, font=font, anchor="rm" if right else "lm")
            top += size * LEADING
        return top

    def picture(self, left: float, top: float, side: float, picture: RGB) -> Box:
        """Place a picture [H, W, 3], `side` points wide; where it is."""
        height = side * picture.shape[0] / picture.shape[1]
        size = (round(side * SCALE), round(height * SCALE))
        grown = size[0] >= picture.shape[1]
        method = Image.Resampling.BICUBIC if grown else Image.Resampling.BOX
        self._image.paste(Image.fromarray(picture).resize(size, method), (round(left * SCALE), round(top * SCALE)))
        self.outline((left, top, side, height), LINE, 1)
        return left, top, side, height

    def fill(self, box: Box, colour: str) -> None:
        """Fill a box."""
        self._draw.rectangle(self._corners(box), fill=colour)

    def outline(self, box: Box, colour: str, line: float = 2, halo: bool = False) -> None:
        """Outline a box around its outside, with white beside the line where it is to be seen on anything."""
        widths = ((line + 2, WHITE), (line, colour)) if halo else ((line, colour),)
        for width, ink in widths:
            left, top, right, bottom = self._corners(box)
            out = round(width * SCALE)
            corners = (left - out, top - out, right + out, bottom + out)
            self._draw.rectangle(corners, outline=ink, width=out)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str, width: float = 2) -> None:
        """A line with white beside it."""
        points = [(round(x * SCALE), round(y * SCALE)) for x, y in (start, end)]
        for extra, ink in ((2, WHITE), (0, colour)):
            self._draw.line(points, fill=ink, width=round((width + extra) * SCALE))

    def cut(self, height: float) -> Image.Image:
        """The sheet down to a height."""
        return self._image.crop((0, 0, self._image.width, round(height * SCALE)))

    def _corners(self, box: Box) -> tuple[int, int, int, int]:
        left, top, width, height = box
        right, bottom = left + width, top + height
        return round(left * SCALE), round(top * SCALE), round(right * SCALE) - 1, round(bottom * SCALE) - 1


def lines_of(text: str, size: float, width: float, bold: bool = False) -> list[str]:
    """A text as lines no longer than a width in points (0: one line); a word that is longer is broken."""
    text = " ".join("".join(" " if unicodedata.category(char)[0] == "C" else char for char in text).split())
    font, room = _font(round(size * SCALE), bold), width * SCALE
    if not room or font.getlength(text) <= room:
        return [text]
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= room:
            line = longer
            continue
        lines += [line] if line else []
        while font.getlength(word) > room and len(word) > 1:
            fits = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or font.getlength(word[:n]) <= room)
            lines, word = [*lines, word[:fits]], word[fits:]
        line = word
    return [*lines, line]


def shortened(text: str, size: float, width: float) -> str:
    """As much of a text as fits into one line."""
    first, *rest = lines_of(text, size, width)
    return f"{lines_of(text, size, width - size)[0]}…" if rest else first


def cell_of(box: Box, position: int, height: int, width: int) -> Box:
    """Where a position of a grid is in a picture that was placed."""
    left, top, across, down = box
    row, col = divmod(position, width)
    return left + col * across / width, top + row * down / height, across / width, down / height


def part_of(picture: RGB, rows: range, cols: range, height: int, width: int) -> RGB:
    """The part of a picture of a grid of `height` x `width` cells that some rows and columns of cells show."""
    tall, wide = picture.shape[0] // height, picture.shape[1] // width
    part = picture[rows.start * tall : rows.stop * tall, cols.start * wide : cols.stop * wide]
    return np.ascontiguousarray(part)


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib: it has Greek, and is there wherever this runs."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)
