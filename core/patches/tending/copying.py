"""Some images of a database as a database of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ...types import IntArray
from ..segments.segment import Batch
from ..segments.writer import DatabaseWriter
from .arriving import arriving
from .contents import Holding, batches, header_of

Progress = Callable[[Iterable[Batch]], Iterable[Batch]]


def write_some(database: Holding, images: IntArray, out: Path, index: str = "auto", progress: Progress = iter) -> None:
    """Write some images [M], by their numbers, as a new database, which appears when it is whole."""
    view = database.subset(images)
    with arriving(out) as folder, DatabaseWriter(folder, database.codebook, header_of(database), index) as writer:
        for batch in progress(batches(view)):
            writer.add(batch)
