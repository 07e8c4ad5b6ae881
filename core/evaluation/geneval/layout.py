"""GenEval's folders: `<number>/metadata.jsonl` and `<number>/samples/0000.png`, as the released scorer reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from ..given import Shot, read_shot
from ..suite import Pixels
from .prompts import Prompt


def reader(folder: Path) -> Callable[[str, int], Shot]:
    """What reads the n-th picture of a prompt, by its number of five digits."""
    return lambda key, n: read_shot(folder / key / "samples" / f"{n:04}.png")


def write(folder: Path, prompt: Prompt, n: int, pixels: Pixels) -> None:
    """The n-th picture of a prompt, and what it is of."""
    place = folder / f"{prompt.number:05}"
    samples = place / "samples"
    samples.mkdir(parents=True, exist_ok=True)
    (place / "metadata.jsonl").write_text(prompt.line + "\n", encoding="utf-8")
    save(pixels, samples / f"{n:04}.png")


def save(pixels: Pixels, path: Path) -> None:
    """A picture [H, W, 3] as PNG, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    Image.fromarray(pixels).save(part, "PNG")
    part.replace(path)
