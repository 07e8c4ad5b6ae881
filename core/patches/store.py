"""What all views of a database share: token grids, metadata and captions of its images, and its unique contexts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..context import Context, context_codes, numbered, retrieving_positions
from ..types import CodeArray, DatabaseError, Grid, IntArray
from .index import DistanceTables, tie_rank, transposed_vectors
from .protocol import ImageInfo

UNIT_TOLERANCE: Final = 0.01
"""How far the length of a caption vector may be from 1; float16 alone makes it 0.0005."""

Float16Array = npt.NDArray[np.float16]
ByteArray = npt.NDArray[np.uint8]
Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Store:
    """What all views of a database share: N images, P retrieving positions, U unique contexts of n codes."""

    codebook: Codebook
    context: Context
    grid: Grid
    tables: DistanceTables
    grids: CodeArray  # [N, H, W]
    metadata: tuple[ImageInfo, ...]  # [N]
    captions: Float16Array | None  # [N, E]
    caption_encoder: str  # what made the captions, "" when that is not known
    pictures: ByteArray | None  # the bytes of all pictures, one after the other
    picture_offsets: IntArray  # [N + 1]
    positions: IntArray  # [P]
    contexts: CodeArray  # [n, U]
    context_of: Int32Array  # [P, N]: number of the unique context at each position of each image

    def picture(self, image: int) -> bytes | None:
        """Encoded bytes of an image, None when there are none of it."""
        first, last = self.picture_offsets[image : image + 2]
        return None if self.pictures is None or first == last else self.pictures[first:last].tobytes()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that search and the caption and style filters depend on, and of what is said of the images."""
        said = [self.codebook.fingerprint, asdict(self.context), self.grids.shape, self.caption_encoder]
        digest = hashlib.sha256(json.dumps([said, [asdict(info) for info in self.metadata]]).encode())
        digest.update(self.grids.astype("<u2").tobytes())
        if self.captions is not None:
            digest.update(f"{self.captions.shape}".encode() + self.captions.astype("<f2").tobytes())
        return digest.hexdigest()


def make_store(
    codebook: Codebook,
    context: Context,
    grids: npt.NDArray[np.integer],
    metadata: tuple[ImageInfo, ...],
    captions: Float16Array | None,
    caption_encoder: str,
    pictures: ByteArray | None,
    picture_offsets: IntArray,
) -> Store:
    """Check everything that the files or the caller claim, and number the unique contexts."""
    check_grids(grids, codebook, context)
    count = len(grids)
    if len(metadata) != count:
        raise DatabaseError(f"metadata: got {len(metadata)} images, expected {count}, one for each token grid")
    if captions is not None:
        check_captions(captions, count)
    _check_pictures(pictures, picture_offsets, count)
    grid = Grid(*grids.shape[1:])
    positions = retrieving_positions(context, grid)
    if len(positions) == 0:
        raise DatabaseError(f"grid {grid.height} x {grid.width}: got no position with a context; use a larger one")
    codes = np.asarray(grids).astype(np.uint16, copy=False)
    contexts, context_of = _unique_contexts(codebook, context, codes, positions)
    return Store(
        codebook=codebook,
        context=context,
        grid=grid,
        tables=DistanceTables(transposed_vectors(codebook)),
        grids=read_only(codes),
        metadata=metadata,
        captions=captions,
        caption_encoder="" if captions is None else caption_encoder,
        pictures=pictures,
        picture_offsets=picture_offsets,
        positions=positions,
        contexts=contexts,
        context_of=context_of,
    )


def check_grids(grids: npt.NDArray[np.integer], codebook: Codebook, context: Context) -> None:
    """Raise DatabaseError unless the token grids are [N, H, W] of the codebook's codes, of a size that fits."""
    if grids.ndim != 3 or len(grids) == 0 or not np.issubdtype(grids.dtype, np.integer):
        raise DatabaseError(f"grids: got {grids.dtype} {grids.shape}, expected whole numbers [images, height, width]")
    if grids.size >= 2**31 or grids[0].size > 65536:
        raise DatabaseError(f"grids: got {grids.shape}, expected fewer than 2^31 codes, 65536 an image; split it")
    if grids.size and not 0 <= grids.min() <= grids.max() < codebook.size:
        got = f"{grids.min()}..{grids.max()}"
        raise DatabaseError(f"grids: got codes {got}, expected 0..{codebook.size - 1}; encode with this tokenizer")
    if context.border == "zero" and codebook.size > 65535:
        raise DatabaseError(f"border zero: got {codebook.size} codes, expected at most 65535; use border skip")


def check_captions(captions: Float16Array, count: int) -> None:
    """Raise DatabaseError unless they are one unit vector for each image, or zero where no word is known."""
    if captions.ndim != 2 or len(captions) != count or not np.isfinite(captions).all():
        raise DatabaseError(f"captions: got {captions.shape}, expected finite unit vectors [{count}, E]; rebuild")
    lengths = np.sqrt(np.einsum("ij,ij->i", captions, captions, dtype=np.float32))
    wrong = np.flatnonzero((np.abs(lengths - 1) > UNIT_TOLERANCE) & (lengths != 0))
    if len(wrong):
        got = f"got a vector of length {lengths[wrong[0]]:.4g} for image {wrong[0]}"
        raise DatabaseError(f"captions: {got}, expected unit vectors, or zero for a caption without a word; rebuild")


def _check_pictures(pictures: ByteArray | None, offsets: IntArray, count: int) -> None:
    """Raise DatabaseError unless the offsets [N + 1] cut the bytes into one picture each."""
    size = 0 if pictures is None else len(pictures)
    if len(offsets) != count + 1:
        raise DatabaseError(f"pictures: got {len(offsets) - 1}, expected {count}, one for each image")
    if offsets[0] != 0 or offsets[-1] != size or (np.diff(offsets) < 0).any():
        expected = f"expected them to cut {size} bytes into {count} parts"
        raise DatabaseError(f"pictures: got offsets {offsets[0]}..{offsets[-1]}, {expected}; build it again")


def _unique_contexts(
    codebook: Codebook, context: Context, grids: CodeArray, positions: IntArray
) -> tuple[CodeArray, Int32Array]:
    """Unique contexts [n, U] in ascending order, and the number of the one at every position of every image [P, N].

    A missing cell becomes code V.
    """
    columns = np.empty((context.size, len(positions), len(grids)), np.uint16)
    for start in range(0, len(grids), 512):  # a block of images at a time keeps the int64 contexts small
        codes = context_codes(context, grids[start : start + 512], positions)
        columns[:, :, start : start + 512] = np.where(codes < 0, codebook.size, codes).T
    flat = columns.reshape(context.size, -1)
    rank, example = numbered(flat)
    return flat[:, example], rank.astype(np.int32).reshape(len(positions), len(grids))


def sorted_entries(context_of: Int32Array, images: IntArray) -> IntArray:
    """(context << 32 | tie rank) of all entries [P, N] of some images [N], ascending."""
    positions = len(context_of)
    entries = images * positions + np.arange(positions)[:, None]
    return np.sort((context_of.astype(np.int64) << 32 | tie_rank(entries)).ravel())


def read_only(array: Any) -> Any:
    """The same array, closed for writing: it is shared."""
    array.setflags(write=False)
    return array
