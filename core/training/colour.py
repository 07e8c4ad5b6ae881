"""Colour variants: give the saturated parts of a picture a named colour, and name the colour that a picture has."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

# Hues in PIL's units, 256 to the circle.
HUES: dict[str, int] = {
    "red": 0, "orange": 19, "yellow": 35, "green": 82, "teal": 124, "blue": 152, "purple": 192, "pink": 232,
}  # fmt: skip
# Colours that are no hue of their own: hue, and what saturation and brightness are multiplied by.
MUTED: dict[str, tuple[int, float, float]] = {"brown": (14, 0.8, 0.6), "black": (0, 0.08, 0.3), "grey": (0, 0.05, 0.75)}
VARIANTS = (*HUES, *MUTED)
"""Colours that a picture can be given, in the order of its variants."""

COLOURED_SHARE = 0.06  # of a picture's pixels that must be saturated before it has a dominant hue


def dominant_hue(hsv: npt.NDArray[np.uint8]) -> int | None:
    """Peak of the smoothed hue histogram of an HSV picture, weighted by saturation; None for a grey one."""
    weight = hsv[..., 1].astype(np.float64) * (hsv[..., 1] > 60) * (hsv[..., 2] > 40)
    if (weight > 0).mean() < COLOURED_SHARE:
        return None
    histogram = np.bincount(hsv[..., 0].ravel(), weight.ravel(), minlength=256)
    around = sum((9 - abs(shift)) * np.roll(histogram, shift) for shift in range(-8, 9))
    return int(np.argmax(around))


def recolour(picture: npt.NDArray[np.uint8], colour: str) -> npt.NDArray[np.uint8] | None:
    """The [H, W, 3] picture with all hues rotated so that the dominant one is `colour`; None for a grey picture.

    For a colour of MUTED, its saturated parts are dulled and darkened as well; white and grey parts stay.
    """
    hsv = np.array(Image.fromarray(picture).convert("HSV"))
    hue = dominant_hue(hsv)
    if hue is None:
        return None
    target, saturation, value = MUTED.get(colour) or (HUES[colour], 1.0, 1.0)
    share = np.clip(hsv[..., 1] / 96, 0, 1)  # how much of a pixel is coloured
    hsv[..., 0] += np.uint8((target - hue) % 256)  # wraps around the circle
    for channel, factor in ((1, saturation), (2, value)):
        hsv[..., channel] = np.round(hsv[..., channel] * (1 + share * (factor - 1)))
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


def colour_name(picture: npt.NDArray[np.uint8]) -> str | None:
    """Name of the picture's dominant hue when it is near a named one; None otherwise."""
    hue = dominant_hue(np.array(Image.fromarray(picture).convert("HSV")))
    if hue is None:
        return None
    distance = {name: min((hue - centre) % 256, (centre - hue) % 256) for name, centre in HUES.items()}
    nearest = min(distance, key=lambda name: distance[name])
    return nearest if distance[nearest] <= 8 else None
