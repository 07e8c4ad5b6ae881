"""Pictures of the page, as pure functions: encoding, a drawing under way, the atlas of all codes, thumbnails."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.inputs.picture import open_picture
from core.patches.protocol import Database
from core.picture_file import About, write
from core.types import CodeArray, Grid, IntArray

ATLAS_COLUMNS = 32
THUMBNAIL, THUMBNAIL_BYTES = 64, 540
"""Side in pixels of a small source picture, and what one takes at most in a sheet of many, as measured."""

RGB = npt.NDArray[np.uint8]


def continued_grid(codes: Sequence[int], grid: Grid) -> CodeArray:
    """Token grid of a picture that is still being drawn; each missing code repeats the one above it.

    Decoders look at the surroundings of a patch: this keeps the edge of the drawing free of foreign colours.
    """
    filled = list(codes[: grid.positions])
    for position in range(len(filled), grid.positions):
        above = position - grid.width
        filled.append(filled[above] if above >= 0 else filled[-1])
    return np.array(filled, dtype=np.uint16).reshape(grid.height, grid.width)


def encoded(image: RGB, quality: int = 90, about: About | None = None) -> bytes:
    """An RGB image [H, W, 3] as WebP, which says how it was made if that is given."""
    buffer = io.BytesIO()
    if about is None:
        Image.fromarray(image).save(buffer, "WEBP", quality=quality, method=2)
    else:
        write(Image.fromarray(image), buffer, "WEBP", about, quality=quality, method=2)
    return buffer.getvalue()


def block_grids(codes: IntArray, grid: Grid) -> CodeArray:
    """Token grids in which each of some codes fills a block of 4x4 cells, so that it is seen among its like."""
    per_row, per_col = grid.width // 4, grid.height // 4
    count = -(-len(codes) // (per_row * per_col))
    filled = np.zeros(count * per_row * per_col, np.uint16)
    filled[: len(codes)] = codes
    blocks = filled.reshape(count, per_col, per_row)
    grids: CodeArray = np.zeros((count, grid.height, grid.width), np.uint16)
    grids[:, : 4 * per_col, : 4 * per_row] = blocks.repeat(4, axis=1).repeat(4, axis=2)
    return grids


def table_of(tiles: RGB, columns: int = ATLAS_COLUMNS) -> RGB:
    """One picture of square tiles [N, side, side, 3], `columns` in a row."""
    count, side = tiles.shape[:2]
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, side, side, 3), np.uint8)
    padded[:count] = tiles
    table = padded.reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
    picture: RGB = table.reshape(rows * side, columns * side, 3)
    return picture


def decoded(picture: bytes) -> RGB:
    """An encoded picture as RGB [H, W, 3]."""
    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def thumbnail(picture: bytes) -> RGB:
    """A small version [THUMBNAIL, THUMBNAIL, 3] of an encoded picture."""
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def thumbnail_of(database: Database, image: int) -> RGB | None:
    """A small version of an image of a database; None where the database has no pictures."""
    picture = database.picture(image)
    return thumbnail(picture) if picture else None


@lru_cache(maxsize=256)
def small(picture: bytes, side: int = 36) -> bytes:
    """A very small version of an encoded picture, for lists."""
    with Image.open(io.BytesIO(picture)) as image:
        tiny = image.convert("RGB").resize((side, side), Image.Resampling.BOX)
    return encoded(np.asarray(tiny, dtype=np.uint8), quality=60)


def opened(data: bytes, name: str, side: int) -> RGB:
    """A picture that a visitor brought as RGB [side, side, 3], filled up to a square; ConfigError as `open_picture`."""
    return open_picture(data, name, side).padded(side)
