"""DPG-Bench's folders: `<item>.png`, whose quarters are the pictures of a prompt, as the released scorer reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ..given import Shot, read_shot
from ..suite import Pixels

QUARTERS: Final = 4


def reader(folder: Path, items: Mapping[str, str]) -> Callable[[str, int], Shot]:
    """What reads the n-th picture of a prompt: a quarter of its file; items: the file's stem by key."""
    return lambda key, n: quarter(read_shot(folder / f"{items[key]}.png"), n)


def quarter(whole: Shot, n: int) -> Shot:
    """The n-th quarter of a picture, row by row."""
    if isinstance(whole, str):
        return whole
    height, width = whole.shape[0] // 2, whole.shape[1] // 2
    if not 0 <= n < QUARTERS or not height or not width:
        return f"there is no picture {n + 1} in a picture of {whole.shape[1]} x {whole.shape[0]} pixels"
    top, left = n // 2 * height, n % 2 * width
    return np.ascontiguousarray(whole[top : top + height, left : left + width])


def write(folder: Path, item: str, pictures: Sequence[Pixels]) -> None:
    """Four pictures [H, W, 3] of one size as one, whole or not at all."""
    rows = [np.concatenate(pictures[first : first + 2], axis=1) for first in (0, 2)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{item}.png"
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    Image.fromarray(np.concatenate(rows, axis=0)).save(part, "PNG")
    part.replace(path)
