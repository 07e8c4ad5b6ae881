"""A small database of random codes that tests build, save and search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.codebook import Codebook
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.patches.segments.writer import DatabaseWriter
from core.patches.tending.contents import batches, header_of
from core.types import Neighbours

RNG = np.random.default_rng(0)
CODEBOOK = Codebook.from_vectors(RNG.normal(size=(32, 8)).astype(np.float32))
GRIDS = RNG.integers(0, 32, (6, 4, 5))
METADATA = [ImageInfo(f"caption {i} é", style="ab"[i % 2], concept=f"c{i}", source="made up") for i in range(6)]
CAPTIONS = np.eye(6, 3, dtype=np.float32) + np.eye(6, 3, k=-3, dtype=np.float32)  # x, y, z, x, y, z
PICTURES = [b"one", b"", b"three", b"4", b"5", b"six"]
QUERIES = RNG.integers(0, 32, (5, 4))


def build(**changes: Any) -> PatchDatabase:
    arguments: dict[str, Any] = {"grids": GRIDS, "metadata": METADATA, "captions": CAPTIONS, "pictures": PICTURES}
    return PatchDatabase.build(CODEBOOK, **arguments | changes)


def same(one: list[Neighbours], two: list[Neighbours]) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one, two, strict=True)
        for name in ("codes", "distances", "entries")
    )


def segmented(folder: Path, images_of_segment: int) -> None:
    """The same as a database of segments."""
    small = build()
    header = header_of(small)
    with DatabaseWriter(folder, CODEBOOK, header, entries_of_segment=images_of_segment * header.positions) as writer:
        for batch in batches(small, 4):
            writer.add(batch)
