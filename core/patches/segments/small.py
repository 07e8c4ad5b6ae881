"""A database that is held in memory, as the batches of one of segments."""

from __future__ import annotations

from collections.abc import Iterator

from ..database import PatchDatabase
from .images import ImageRow
from .manifest import Header
from .segment import Batch, blocks


def header_of(database: PatchDatabase) -> Header:
    """Header of a database of the same images."""
    vectors = database.caption_vectors(database.images[:1])
    return Header(
        codebook=database.codebook.fingerprint,
        grid=database.grid,
        context=database.context,
        captions=None if vectors is None else vectors.shape[1],
        caption_encoder=database.caption_encoder,
        pictures=any(database.picture(image) for image in database.images.tolist()),
    )


def batches_of(database: PatchDatabase, size: int = 1024) -> Iterator[Batch]:
    """The images of a view, in order, as a writer takes them, with what is said of them."""
    pictures = header_of(database).pictures
    for first, last in blocks(len(database.images), size):
        images = database.images[first:last]
        yield Batch(
            database.grids[images],
            [ImageRow(database.image_info(image)) for image in images.tolist()],
            database.caption_vectors(images),
            [database.picture(image) or b"" for image in images.tolist()] if pictures else None,
        )
