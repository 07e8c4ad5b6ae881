"""Contexts of all entries as sortable keys, cut into partitions that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...context import Context, retrieving_positions
from ...types import CodeArray, Grid, IntArray
from ..index import tie_rank

Keys = npt.NDArray[np.uint64]
"""Four codes of 16 bits each, the first one in the highest: ascending keys are ascending contexts."""

Ranks = npt.NDArray[np.uint32]

BLOCK = 1 << 19
"""Entries that are turned into keys at once."""

SAMPLED = 2048
"""Images that the partitions are cut by."""

FORMS = {"keys": np.uint64, "ranks": np.uint32}


def first_keys(grids: CodeArray, context: Context, place_of: npt.NDArray[np.uint16]) -> Keys:
    """Keys (TL, TR, T, L) [N * P] of all entries of token grids [N, H, W], a code standing as its place in an order.

    place_of: [V + 1], the last one for a missing cell; the context is one of radius 1.
    """
    count, height, width = grids.shape
    padded = np.full((count, height + 1, width + 2), place_of[-1], np.uint64)
    padded[:, 1:, 1:-1] = place_of.take(grids)
    cells = padded[:, :-1, :-2], padded[:, :-1, 2:], padded[:, :-1, 1:-1], padded[:, 1:, :-2]
    keys = np.zeros((count, height, width), np.uint64)
    for cell in cells:
        keys <<= np.uint64(16)
        keys |= cell
    places = retrieving_positions(context, Grid(height, width))
    chosen: Keys = keys.reshape(count, -1)[:, places].ravel()
    return chosen


def second_keys(keys: Keys) -> Keys:
    """Keys (T, L, TL, TR) of contexts with keys (TL, TR, T, L)."""
    turned: Keys = keys << np.uint64(32) | keys >> np.uint64(32)
    return turned


def codes_of(keys: Keys) -> CodeArray:
    """The four codes [U, 4] of keys [U], in the order of the key."""
    codes: CodeArray = np.ascontiguousarray(keys.astype(">u8").view(">u2").reshape(-1, 4).astype(np.uint16))
    return codes


def blocks(grids: CodeArray, context: Context, place_of: npt.NDArray[np.uint16]) -> Iterator[tuple[Keys, Ranks]]:
    """Keys and tie ranks of all entries, some images at a time; ranks are those of numbers that begin at 0."""
    positions = len(retrieving_positions(context, Grid(*grids.shape[1:])))
    step = max(1, BLOCK // positions)
    for start in range(0, len(grids), step):
        keys = first_keys(np.asarray(grids[start : start + step]), context, place_of)
        entries = np.arange(start * positions, start * positions + len(keys), dtype=np.int64)
        yield keys, tie_rank(entries).astype(np.uint32)


@dataclass(frozen=True)
class Cuts:
    """Where pairs (key, rank) are cut into partitions: the last pair of all but the last one, ascending."""

    keys: Keys
    ranks: Ranks

    def part_of(self, keys: Keys, ranks: Ranks) -> IntArray:
        """Number of the partition of each pair. A key may be cut itself: one context can have most of the entries."""
        parts = np.searchsorted(self.keys, keys, side="left")
        last = np.searchsorted(self.keys, keys, side="right")
        for place in np.unique(parts[parts < last]):
            here = np.flatnonzero((parts == place) & (last > place))
            end = last[here[0]]
            parts[here] += np.searchsorted(self.ranks[place:end], ranks[here], side="left")
        return parts


@dataclass(frozen=True)
class Sample:
    """Pairs of the entries of images at equal distances, of each only some; the partitions are cut by them."""

    keys: Keys
    ranks: Ranks

    @classmethod
    def of(cls, grids: CodeArray, context: Context, place_of: npt.NDArray[np.uint16], parts: int) -> Sample:
        """Enough for that many partitions."""
        images = np.unique(np.linspace(0, len(grids) - 1, min(len(grids), SAMPLED)).astype(np.int64))
        positions = len(retrieving_positions(context, Grid(*grids.shape[1:])))
        keys = first_keys(np.asarray(grids[images]), context, place_of)
        entries = (images[:, None] * positions + np.arange(positions)).ravel()
        step = max(1, len(keys) // (1024 * parts))
        return cls(keys[::step], tie_rank(entries[::step]).astype(np.uint32))

    def cuts(self, parts: int) -> Cuts:
        """Cuts that make parts of about equal size."""
        order = np.lexsort((self.ranks, self.keys))
        chosen = order[np.arange(1, parts) * len(order) // parts]
        return Cuts(self.keys[chosen], self.ranks[chosen])

    def second_cuts(self, parts: int) -> Keys:
        """The same for keys in the second ordering, each of which is there once: the last key of all but one part."""
        keys = np.unique(second_keys(self.keys))
        return keys[np.arange(1, parts) * len(keys) // parts]


class Spill:
    """Partitions of pairs, or of keys alone, in files of a folder that is removed in the end."""

    def __init__(self, folder: Path, parts: int, names: tuple[str, ...]) -> None:
        folder.mkdir(parents=True)
        self._folder, self._parts, self._names = folder, parts, names

    def add(self, parts: IntArray, *columns: npt.NDArray[Any]) -> None:
        """Append what lies in each partition to its files."""
        order = np.argsort(parts.astype(np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(parts, minlength=self._parts))
        for name, column in zip(self._names, columns, strict=True):
            sorted_column = column[order]
            for part, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                if begin < end:
                    with self._path(part, name).open("ab") as file:
                        file.write(sorted_column[begin:end].data)

    def parts(self) -> Iterator[list[npt.NDArray[Any]]]:
        """The columns of one partition after the other, without empty ones; their files are removed."""
        for part in range(self._parts):
            paths = [self._path(part, name) for name in self._names]
            if paths[0].exists():
                yield [np.fromfile(path, FORMS[name]) for path, name in zip(paths, self._names, strict=True)]
                for path in paths:
                    path.unlink()

    def _path(self, part: int, name: str) -> Path:
        return self._folder / f"{part:06}.{name}"
