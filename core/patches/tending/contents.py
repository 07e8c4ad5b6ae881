"""The images of a database of either version, in order and a block at a time, as writers take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...assets import licences
from ..database import PatchDatabase
from ..segments import small
from ..segments.database import SegmentedDatabase
from ..segments.manifest import Header
from ..segments.segment import Batch, blocks

BLOCK = 1024
"""Images that are held at a time."""

Holding = PatchDatabase | SegmentedDatabase
"""A database that knows all of its images, in memory or in segments."""


def image_count(database: Holding) -> int:
    """Number of images of a database or view."""
    return database.image_count if isinstance(database, SegmentedDatabase) else len(database.images)


def header_of(database: Holding) -> Header:
    """What its images share, as a database in segments keeps it."""
    if isinstance(database, SegmentedDatabase):
        return database.manifest.header
    return small.header_of(database)


def batches(database: Holding, size: int = BLOCK, with_pictures: bool = True) -> Iterator[Batch]:
    """All that is known of its images, `size` at a time; pictures are read from disk only where they are wanted.

    Licences of images in memory are those of the collections that ship.
    """
    if isinstance(database, SegmentedDatabase):
        yield from database.read(size) if with_pictures else _without_pictures(database, size)
        return
    for batch in small.batches_of(database, size):
        yield replace(batch, rows=[replace(row, licence=licences().get(row.info.source, "")) for row in batch.rows])


def licence_of(database: SegmentedDatabase, image: int) -> str:
    """The licence that an image of all open segments has, "" when that is not known."""
    for segment in database.segments:
        if segment.first_image <= image < segment.first_image + len(segment):
            return segment.table.row(image - segment.first_image).licence
    return ""


def picture_count(database: Holding) -> int:
    """How many images of a whole database have a picture."""
    if isinstance(database, SegmentedDatabase):
        return sum(segment.picture_count for segment in database.segments)
    return sum(database.picture(image) is not None for image in database.images.tolist())


def _without_pictures(database: SegmentedDatabase, size: int) -> Iterator[Batch]:
    """The same of all open segments, whatever the view."""
    for segment in database.segments:
        for first, last in blocks(len(segment), size):
            captions = None if segment.captions is None else segment.captions[first:last]
            yield Batch(segment.grids[first:last], list(segment.table.rows(first, last)), captions)


def fitted(batch: Batch, header: Header) -> Batch:
    """A batch for a database that keeps other columns, no caption vectors, or pictures of some images."""
    rows = [
        row if row.extra.keys() == header.columns.keys()
        else replace(row, extra={name: row.extra.get(name) for name in header.columns})
        for row in batch.rows
    ]  # fmt: skip
    captions = None if header.captions is None else batch.captions
    pictures = (batch.pictures or [b""] * len(batch)) if header.pictures else None
    return Batch(batch.grids, rows, captions, pictures)
