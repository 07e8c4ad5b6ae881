"""Show images of a database."""

from __future__ import annotations

import argparse
import json

import numpy as np

from ....patches.tending.contents import Holding
from ....types import ConfigError
from ..loading import loaded
from .opening import opened
from .showing import check_sheet, write_sheet


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.sample` for what is chosen."""
    check_sheet(chosen.out)
    wanted = numbers(chosen.images)
    database = opened(chosen.database, chosen)
    if chosen.styles:
        database = database.with_styles(chosen.styles.split(","))
    images = drawn(database, chosen.number, chosen.seed) if wanted is None else present(database, wanted)
    captions = [f"{image}: {database.image_info(image).caption}" for image in images]
    write_sheet(database, images, captions, chosen.out, chosen.columns, lambda: loaded(chosen))
    print(json.dumps({"out": str(chosen.out), "images": images}))
    return 0


def numbers(text: str | None) -> list[int] | None:
    """Numbers with commas between them; ConfigError for anything else."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 16 for part in parts):
        raise ConfigError(f"images: got {text!r:.80}, expected numbers such as 0,5,17")
    return [int(part) for part in parts]


def present(database: Holding, images: list[int]) -> list[int]:
    """The same numbers; ConfigError for one that this database does not hold."""
    database.subset(images)
    return images


def drawn(database: Holding, number: int, seed: int) -> list[int]:
    """Images drawn evenly at random, in order; all of fewer."""
    images = database.images
    chosen = np.random.default_rng(seed).choice(len(images), min(number, len(images)), replace=False)
    return [int(image) for image in images[np.sort(chosen)]]
