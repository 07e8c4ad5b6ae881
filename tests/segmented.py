"""Databases of segments that tests write from those in memory."""

from __future__ import annotations

from pathlib import Path

from core.patches.database import PatchDatabase
from core.patches.segments.database import SegmentedDatabase
from core.patches.segments.small import batches_of, header_of
from core.patches.segments.writer import MOST_ENTRIES, DatabaseWriter


def written(
    folder: Path, database: PatchDatabase, most: int = MOST_ENTRIES, index: str = "auto", size: int = 1024
) -> SegmentedDatabase:
    """The images of a database in segments of at most so many entries, written in batches of `size`, and opened."""
    with DatabaseWriter(folder, database.codebook, header_of(database), index, most) as writer:
        for batch in batches_of(database, size):
            writer.add(batch)
    return SegmentedDatabase.open(folder, database.codebook)
