"""One segment of a database: its files, mapped when they are first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...codebook import Codebook
from ...inputs.arrays import open_array, unreadable
from ...types import CodeArray, ConfigError, DatabaseError, FloatArray, IntArray
from ..store import Float16Array
from .ask import Ground, SegmentIndex
from .images import ImageRow, ImageTable
from .kinds import KINDS
from .manifest import SEGMENTS, Header, SegmentRecord

_OWNER: Final = "patch database"
_REMEDY: Final = "copy it again"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive images as they are written and read.

    grids: [B, H, W] whole numbers; rows: one each; captions: unit vectors [B, E] or zero, None in a database without
    them; pictures: encoded, b"" for none, None in a database without them.
    """

    grids: npt.NDArray[np.integer]
    rows: Sequence[ImageRow]
    captions: npt.NDArray[np.floating] | None = None
    pictures: Sequence[bytes] | None = None

    def __len__(self) -> int:
        return len(self.rows)


class Segment:
    """Reads a range of consecutive images; numbers within it count from 0. Safe to share between threads."""

    def __init__(self, root: Path, record: SegmentRecord, header: Header, codebook: Codebook, first_image: int) -> None:
        """Checks that the files are there and as long as the manifest says: DatabaseError; maps none of them."""
        self.folder = root / SEGMENTS / record.name
        self.record, self.header, self.first_image = record, header, first_image
        self.codebook = codebook
        for name, expected in record.files.items():
            try:
                size = (self.folder / name).stat().st_size
            except OSError as error:
                raise unreadable(self.folder / name, error, _OWNER, _REMEDY) from error
            if size != expected.size:
                raise DatabaseError(f"{self.folder / name}: got {size} bytes, expected {expected.size}; {_REMEDY}")

    def __len__(self) -> int:
        """Number of images."""
        return self.record.images

    @property
    def first_entry(self) -> int:
        """Number of its first entry in the whole database."""
        return self.first_image * self.header.positions

    @cached_property
    def grids(self) -> CodeArray:
        """Token grids [N, H, W], mapped."""
        shape = (len(self), self.header.grid.height, self.header.grid.width)
        grids: CodeArray = self._array("grids.npy", "<u2", shape)
        return grids

    @cached_property
    def styles(self) -> npt.NDArray[np.uint16]:
        """Number of the style of each image [N], NO_STYLE for none."""
        styles: npt.NDArray[np.uint16] = self._array("styles.npy", "<u2", (len(self),))
        return styles

    @cached_property
    def captions(self) -> Float16Array | None:
        """Caption vectors [N, E], mapped; None without them."""
        size = self.header.captions
        return None if size is None else self._array("captions.npy", "<f2", (len(self), size))

    @cached_property
    def table(self) -> ImageTable:
        """What is said of the images."""
        return ImageTable(self.folder / "images.parquet", len(self), self.header.columns)

    @cached_property
    def index(self) -> SegmentIndex:
        """Its index; DatabaseError for a kind that this release does not know."""
        kind = KINDS.get(self.record.index)
        if kind is None:
            got = f"got an index of kind {self.record.index!r}, expected one of {', '.join(KINDS)}"
            raise DatabaseError(f"{self.folder}: {got}; update the program, or run `database tune`")
        context = self.header.context
        return kind.open(Ground(self.folder / "index", self.grids, self.codebook, context, self.first_entry))

    def codes(self, images: IntArray, positions: IntArray) -> IntArray:
        """Codes [M] at raster positions of images."""
        found = self.grids.reshape(len(self), -1)[images, positions].astype(np.int64)
        if len(found) and found.max() >= self.codebook.size:
            got = f"got code {found.max()}, expected 0..{self.codebook.size - 1}"
            raise DatabaseError(f"{self.folder / 'grids.npy'}: {got}; {_REMEDY}")
        return found

    def picture(self, image: int) -> bytes | None:
        """Encoded bytes of an image, None when there are none of it; DatabaseError when the file lacks them."""
        if not self.header.pictures:
            return None
        shard, offset, length = map(int, self.places[image])
        if length == 0:
            return None
        name = f"pictures/{shard:06d}.bin"
        known = self.record.files.get(name)
        if known is None or not 0 <= offset <= offset + length <= known.size:
            raise DatabaseError(f"{self.folder / 'pictures.npy'}: got a place outside of its files; {_REMEDY}")
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise unreadable(self.folder / name, error, _OWNER, _REMEDY) from error

    @property
    def picture_count(self) -> int:
        """How many images have a picture."""
        return int((self.places[:, 2] > 0).sum()) if self.header.pictures else 0

    def read(self, first: int, last: int) -> Batch:
        """Images first..last - 1, as SegmentWriter.add takes them."""
        if not 0 <= first < last <= len(self):
            raise ConfigError(f"images: got {first}..{last - 1}, expected some of 0..{len(self) - 1}")
        numbers = range(first, last)
        return Batch(
            self.grids[first:last],
            list(self.table.rows(first, last)),
            None if self.captions is None else self.captions[first:last],
            [self.picture(i) or b"" for i in numbers] if self.header.pictures else None,
        )

    def similarities(self, vector: FloatArray, first: int, last: int) -> FloatArray:
        """Cosines of the caption vectors of images first..last - 1 with a unit vector [E].

        Each is summed by itself: the bits do not depend on how many are asked for at a time, as in a matrix product.
        """
        assert self.captions is not None
        part = self.captions[first:last].astype(np.float32)
        found: FloatArray = np.einsum("ij,j->i", part, vector.astype(np.float32))
        return found

    @cached_property
    def places(self) -> IntArray:
        """Shard, offset and length of the picture of every image [N, 3]."""
        places: IntArray = self._array("pictures.npy", "<i8", (len(self), 3))
        return places

    def _array(self, name: str, dtype: str, shape: tuple[int, ...]) -> Any:
        """Memory map of an array; DatabaseError unless it has exactly that type and shape."""
        array = open_array(self.folder / name, _OWNER, _REMEDY)
        if array.dtype != np.dtype(dtype) or array.shape != shape:
            got = f"got {array.dtype} {array.shape}, expected {dtype} {shape}"
            raise DatabaseError(f"{self.folder / name}: {got}; {_REMEDY}")
        return array


def blocks(count: int, size: int) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of the parts of a range."""
    return ((start, min(start + size, count)) for start in range(0, count, size))
