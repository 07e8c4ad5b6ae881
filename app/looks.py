"""What codes look like: in their place in a picture, and on the average of real pictures.

A code alone has no look: the decoder makes every patch fit to its surroundings. So a code is shown in its place
wherever there is one, and else as the mean of the patches that it stands for in the pictures of a database.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from app.pictures import RGB, block_grids, continued_grid, encoded, table_of
from app.views import Array
from core.backends.protocol import Backend
from core.patches.protocol import Database
from core.trace import Trace
from core.types import CodeArray, Grid, IntArray

SAMPLE: Final = 2048
"""Most pictures that a mean is taken over, evenly spread over the database."""

DECODED: Final = 64
"""Most pictures that are decoded for it, where a database has none but codes."""

AT_ONCE: Final = 64
LISTED: Final = 4
LEAST_SHARE: Final = 0.02
"""In place are shown, at each position, what was drawn otherwise and the likeliest codes with that much."""

BUDGET_SECONDS: Final = 0.4
"""For all patches in place of a run; those of changed patches are made first."""

Decode = Callable[[CodeArray], RGB]


UNKNOWN: Final = 208
"""The grey of a code whose look is not known yet."""


@dataclass(frozen=True, slots=True)
class Looks:
    """patches: [V, side, side, 3] a look of each code; seen: [V] whether it is a mean of real pictures."""

    patches: RGB
    seen: Array

    @classmethod
    def unknown(cls, size: int, side: int) -> Looks:
        """Plain grey for each of `size` codes."""
        return cls(np.full((size, side, side, 3), UNKNOWN, np.uint8), np.zeros(size, np.bool_))

    def encoded(self) -> bytes:
        """All of them as one picture, ATLAS_COLUMNS in a row; those that are no mean have a dotted edge."""
        marked = self.patches.copy()
        for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
            dotted = marked[~self.seen]
            dotted[edge][:, ::2] = 128
            marked[~self.seen] = dotted
        return encoded(table_of(marked))


def looks_of(backend: Backend, database: Database | None, others: Looks | None = None) -> Looks:
    """The mean look of every code in a database's pictures; of those that stand in none, a block of their like.

    others: the looks of those that stand in none, for a model that is too slow to decode anything for them: then the
    pictures of a database that has none but codes are not made either.
    """
    size, decoded = backend.codebook.size, DECODED if others is None else 0
    alone = blocks_of(backend, np.arange(size)) if others is None else others.patches.copy()
    side = alone.shape[1]
    total, count = np.zeros((size, side * side * 3)), np.zeros(size, np.int64)
    for codes, patches in _patches(backend, database, side, decoded) if database is not None else ():
        order = np.argsort(codes, kind="stable")
        found, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
        total[found] += np.add.reduceat(patches[order].astype(np.float32), starts, axis=0)
        count[found] += counts
    seen = count > 0
    mean = np.rint(total[seen] / count[seen, None]).astype(np.uint8)
    alone[seen] = mean.reshape(-1, side, side, 3)
    return Looks(alone, seen)


def blocks_of(backend: Backend, codes: IntArray) -> RGB:
    """A patch [n, side, side, 3] of each of some codes [n] from inside of a block of its like; see `block_grids`."""
    grid, grids = backend.grid, block_grids(codes, backend.grid)
    images = np.concatenate([backend.decode_codes(grids[start : start + 8]) for start in range(0, len(grids), 8)])
    side = images.shape[2] // grid.width
    cells = images.reshape(len(images), grid.height, side, grid.width, side, 3)
    inner = cells[:, 1 : 4 * (grid.height // 4) : 4, :, 1 : 4 * (grid.width // 4) : 4]
    patches: RGB = inner.transpose(0, 1, 3, 2, 4, 5).reshape(-1, side, side, 3)[: len(codes)].copy()
    return patches


def _patches(backend: Backend, database: Database, side: int, decoded: int) -> Iterator[tuple[Array, Array]]:
    """Codes [n] and pixels [n, side * side * 3] of a sample of a database's pictures, some pictures at a time.

    decoded: how many pictures are decoded at most, where a database has none but codes.
    """
    has_pictures = len(database.images) > 0 and database.picture(int(database.images[0])) is not None
    most = SAMPLE if has_pictures else decoded
    images = database.images[np.linspace(0, len(database.images) - 1, min(most, len(database.images))).astype(int)]
    for start in range(0, len(images), AT_ONCE):
        numbers = [int(image) for image in images[start : start + AT_ONCE]]
        codes = np.stack([database.image_codes(number) for number in numbers]).astype(np.int64)
        if has_pictures:
            found = [_opened(database.picture(number), backend.grid, side) for number in numbers]
        else:
            found = list(backend.decode_codes(codes.astype(np.uint16)))
        kept = [i for i, picture in enumerate(found) if picture is not None]
        if kept:
            pixels = np.concatenate([cells_of(picture, side) for picture in found if picture is not None])
            yield codes[kept].reshape(-1), pixels.reshape(len(pixels), -1)


def _opened(picture: bytes | None, grid: Grid, side: int) -> RGB | None:
    """A picture in the size in which a cell is `side` pixels wide."""
    if picture is None:
        return None
    with Image.open(io.BytesIO(picture)) as image:
        sized = image.convert("RGB").resize((grid.width * side, grid.height * side), Image.Resampling.BOX)
    return np.asarray(sized, dtype=np.uint8)


def cells_of(picture: RGB, side: int) -> RGB:
    """The patches [H * W, side, side, 3] of a picture [H * side, W * side, 3], row by row."""
    height, width = picture.shape[0] // side, picture.shape[1] // side
    cells: RGB = picture.reshape(height, side, width, side, 3).transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3)
    return cells


# ---------------------------------------------------------------------------------------------------------------------
# In place


def in_place(decode: Decode, grid: CodeArray, wanted: Sequence[tuple[int, int]], reach: int | None = None) -> RGB:
    """The patches [n, side, side, 3] that codes would be at positions of a picture, with its other codes around.

    grid: [H, W]; wanted: [n] (position, code); reach: how many cells around a patch are decoded with it, None for the
    whole picture. Of a part alone the colours are a little other ones, as a decoder's norms are over all that it sees:
    so what it differs by from the part as it is, is added to the picture as it is (off by .5 Delta E in the median and
    by 4 in one of twenty with the embedded decoder and a reach of 2; exact for the code that is there).
    """
    if not wanted:
        return np.zeros((0, 1, 1, 3), np.uint8)
    patches = _decoded(decode, grid, wanted, reach)
    if reach is None:
        return patches
    side, places = patches.shape[1], sorted({position for position, _ in wanted})
    codes = grid.reshape(-1)
    parts = _decoded(decode, grid, [(place, int(codes[place])) for place in places], reach).astype(np.int16)
    picture = cells_of(decode(grid[None])[0], side).astype(np.int16)
    shift = dict(zip(places, picture[places] - parts, strict=True))
    mended = patches + np.stack([shift[position] for position, _ in wanted])
    right: RGB = np.clip(mended, 0, 255).astype(np.uint8)
    return right


def _decoded(decode: Decode, grid: CodeArray, wanted: Sequence[tuple[int, int]], reach: int | None) -> RGB:
    """The patches as they come out of the decoder, each with what is within its reach, moved into the picture."""
    height, width = grid.shape
    tall, wide = (height, width) if reach is None else (min(2 * reach + 1, height), min(2 * reach + 1, width))
    windows, cells = np.empty((len(wanted), tall, wide), np.uint16), []
    for window, (position, code) in zip(windows, wanted, strict=True):
        row, col = divmod(position, width)
        top, left = min(max(row - tall // 2, 0), height - tall), min(max(col - wide // 2, 0), width - wide)
        window[:] = grid[top : top + tall, left : left + wide]
        window[row - top, col - left] = code
        cells.append((row - top) * wide + col - left)
    images = decode(windows)
    side = images.shape[2] // wide
    patches: RGB = np.stack([cells_of(image, side)[cell] for image, cell in zip(images, cells, strict=True)])
    return patches


@dataclass(frozen=True, slots=True)
class Places:
    """The patches in place of a run.

    patches: [n, side, side, 3]; index: [steps, codes] which of them a listed code is at a position, -1 for none; seen:
    [steps] mean difference (0..255) of what was taken and what had been taken with nothing looked up, NaN where that is
    the same or not known.
    """

    patches: RGB
    index: Array
    seen: Array


def places_of(
    trace: Trace,
    arrays: Mapping[str, Array],
    decode: Decode,
    reach: int | None = None,
    seconds: float = BUDGET_SECONDS,
    each: float = 0.0,
) -> Places:
    """The patches in place of the codes that are listed at each position, as many as there are seconds for.

    each: seconds that a whole picture takes; where patches need one each, no more are begun at once than fit.
    """
    grid, listed = continued_grid([step.code for step in trace.steps], trace.grid), arrays["top_code"]
    index, wanted = np.full(listed.shape, -1, np.int16), _wanted(arrays)
    made: list[RGB] = []
    until = time.perf_counter() + seconds
    few = reach is None and each > 0 and seconds / each < AT_ONCE
    at_once = max(1, int(seconds / each)) if few else AT_ONCE
    for start in range(0, len(wanted), at_once):
        part = wanted[start : start + at_once]
        made.append(in_place(decode, grid, part, reach))
        for number, (position, code) in enumerate(part, start=start):
            index[position, np.flatnonzero(listed[position] == code)] = number
        if time.perf_counter() > until:
            break
    patches = np.concatenate(made) if made else np.zeros((0, 1, 1, 3), np.uint8)
    return Places(patches, index, _seen(arrays, index, patches))


def _seen(arrays: Mapping[str, Array], index: Array, patches: RGB) -> Array:
    """How much each change is seen; see `Places`."""
    seen = np.full(len(index), np.nan, np.float32)
    for position in np.flatnonzero(arrays["pick"] != arrays["without"]):
        here = arrays["top_code"][position]
        pair = [int(index[position, here == arrays[name][position]].max(initial=-1)) for name in ("pick", "without")]
        if min(pair) >= 0:
            one, other = patches[pair].astype(np.float32)
            seen[position] = np.abs(one - other).mean()
    return seen


def _wanted(arrays: Mapping[str, Array]) -> list[tuple[int, int]]:
    """Positions and codes to show in place: positions that were changed first, then those with the likeliest others."""
    listed, taken = arrays["top_code"].astype(np.int64), arrays["code"]
    share = np.maximum.reduce([arrays[f"top_{name}"] for name in ("model", "retrieval", "blended")])
    ranked = np.argsort(-share, axis=1, kind="stable")[:, :LISTED]
    codes: list[list[int]] = []
    order: list[tuple[bool, float, int]] = []
    for position, places in enumerate(ranked):
        pair = [int(arrays[name][position]) for name in ("pick", "without")]
        changed = pair if pair[0] != pair[1] else []
        others = [place for place in places if share[position, place] >= LEAST_SHARE]
        likely = [int(listed[position, place]) for place in others if listed[position, place] != taken[position]]
        codes.append(list(dict.fromkeys([*changed, *likely])))
        order.append((bool(changed), max((float(share[position, place]) for place in others), default=0.0), position))
    first = [position for *_, position in sorted(order, reverse=True)]
    return [(position, code) for position in first for code in codes[position]]
