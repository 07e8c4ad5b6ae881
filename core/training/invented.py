"""Art styles that nobody drew: known pictures changed all in one way, so that a database of them is news to any model.

What a model knows of a style, neighbours cannot teach it. FAiD that is to rely on neighbours learns from these.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from .data import Pictures

Change = Callable[[Image.Image], Image.Image]
Colour = tuple[int, int, int]


def _channels(*order: int) -> Change:
    return lambda image: Image.merge("RGB", [image.getchannel(n) for n in order])


def _two_colours(dark: Colour, light: Colour) -> Change:
    return lambda image: ImageOps.colorize(ImageOps.grayscale(image), dark, light)


def _mosaic(side: int) -> Change:
    return lambda image: image.reduce(side).resize(image.size, Image.Resampling.NEAREST)


def _outline(image: Image.Image) -> Image.Image:
    return ImageOps.invert(ImageOps.grayscale(image).filter(ImageFilter.FIND_EDGES)).convert("RGB")


def _flat(image: Image.Image) -> Image.Image:
    """Few colours in smooth areas."""
    few = image.filter(ImageFilter.MedianFilter(5)).quantize(5, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return few.convert("RGB")


SHAPES: Mapping[str, Change] = {
    "as it is": lambda image: image,
    "upside down": ImageOps.flip,
    "on its side": lambda image: image.transpose(Image.Transpose.ROTATE_90),
}
COLOURS: Mapping[str, Change] = {
    "as they are": lambda image: image,
    "negative": ImageOps.invert,
    "green, blue, red": _channels(1, 2, 0),
    "navy on cream": _two_colours((20, 30, 90), (255, 245, 220)),
    "gold on plum": _two_colours((250, 200, 60), (70, 20, 70)),
    "blue, red, green": _channels(2, 0, 1),
}
SURFACES: Mapping[str, Change] = {
    "as they are": lambda image: image,
    "flat": _flat,
    "mosaic": _mosaic(8),
    "outline": _outline,
    "soft": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
}
STYLES: tuple[tuple[str, str, str], ...] = tuple(
    (shape, colour, surface)
    for shape, colour, surface in itertools.product(SHAPES, COLOURS, SURFACES)
    if (colour, surface) != ("as they are", "as they are")
)
"""Every invented style, as the names of what it does to shape, colour and surface."""


def redrawn(pictures: Pictures, style: tuple[str, str, str]) -> Pictures:
    """Pictures [N, H, W, 3] in an invented style."""
    shape, colour, surface = style
    changes = SURFACES[surface], COLOURS[colour], SHAPES[shape]
    redone = np.empty_like(pictures)
    for n, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        for change in changes:
            image = change(image)
        redone[n] = np.asarray(image)
    return redone
