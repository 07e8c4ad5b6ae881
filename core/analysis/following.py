"""How a picture goes on from its sources: which neighbours continue those of the patch before, and how far back.

A neighbour stands in a picture at an offset from the patch that it was found for. It continues the patch to the left or
above where the same picture was found there at the same offset. Patches that are connected in this way are a chain; it
says where a source was found again and again, and, of each patch, whether the source's code was taken. Read from a
trace alone; this project's own, after the pointers of RetoMaton (Alon et al. 2022, arXiv 2201.12431).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..context import Context, entry_places
from ..trace import Trace, neighbours
from ..types import Grid, IntArray, Neighbours
from .copying import NEAREST, Place

LEFT, ABOVE = 1, 2
"""Of the ways in which a neighbour continues another one; both together are 3."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Connected positions for which one picture was found at one offset: position + offset is the cell there.

    positions: ascending; taken: of each whether its code is the one that stands in that cell of the picture.
    """

    image: int
    offset: tuple[int, int]
    positions: tuple[int, ...]
    taken: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Continued:
    """How the neighbours of one position go on from those beside it.

    ways: [K] LEFT, ABOVE, their sum, or 0 for a neighbour that continues none; sizes: [K] how many patches its chain
    has, up to this one and with it; leading: place, among the neighbours with the taken code, of the one with the
    longest chain of at least two, the nearest of equals; -1 for none. K is NEAREST at most.
    """

    ways: IntArray
    sizes: IntArray
    leading: int


@dataclass(frozen=True, slots=True)
class Following:
    """How a picture goes on from its sources.

    continued: [n] of every position; chains: those that lead at some position, as they are in the finished picture;
    leading: [n] which of them does, -1 for none. Up to a position, a chain is what is connected with it of those that
    are not behind it.
    """

    continued: tuple[Continued, ...]
    chains: tuple[Chain, ...]
    leading: IntArray


def following(codes: Sequence[int], found: Sequence[Neighbours | None], context: Context, grid: Grid) -> Following:
    """How a picture goes on; codes: [n] its own, in raster order, found: [n] what each position retrieved."""
    places = [places_of(near, position, context, grid) for position, near in enumerate(found)]
    said = [_said(code, near) for code, near in zip(codes, found, strict=True)]
    every = tuple(_continued(places, said, grid.width))
    return Following(every, *_chains(every, places, said, grid.width))


def following_of(trace: Trace) -> Following:
    """How the picture of a trace goes on."""
    found = [neighbours(step) for step in trace.steps]
    return following(trace.codes.tolist(), found, trace.origin.context, trace.grid)


def _said(code: int, near: Neighbours | None) -> IntArray:
    """1 for each of the nearest neighbours of a position that says its code, 0 for the others."""
    return np.zeros(0, np.int64) if near is None else (near.codes[:NEAREST] == code).astype(np.int64)


def _continued(places: Sequence[Sequence[Place]], said: Sequence[IntArray], width: int) -> Iterator[Continued]:
    """Of every position; a chain is as long as what is connected once it is there: two that meet are one from then."""
    forest = _Forest()
    met = [frozenset(here) for here in places]
    for position, (here, same) in enumerate(zip(places, said, strict=True)):
        left = met[position - 1] if position % width else frozenset()
        above = met[position - width] if position >= width else frozenset()
        for place in here:
            forest.add(place, position, place in left, place in above, width)
        ways = np.array([LEFT * (place in left) + ABOVE * (place in above) for place in here], np.int64)
        sizes = np.array([forest.size(place, position) for place in here], np.int64)
        longest = np.where(sizes > 1, sizes, 0) * same
        yield Continued(ways, sizes, int(longest.argmax()) if longest.any() else -1)


def _chains(
    every: Sequence[Continued], places: Sequence[Sequence[Place]], said: Sequence[IntArray], width: int
) -> tuple[tuple[Chain, ...], IntArray]:
    """The chains that lead somewhere, and the number of the one that does at each position."""
    cells: dict[Place, dict[int, bool]] = {}
    for position, (here, same) in enumerate(zip(places, said, strict=True)):
        for place, taken in zip(here, same.tolist(), strict=True):
            cells.setdefault(place, {})[position] = bool(taken)
    chains: list[Chain] = []
    numbers: dict[tuple[Place, int], int] = {}
    leading = np.full(len(every), -1, np.int64)
    for position, one in enumerate(every):
        if one.leading < 0:
            continue
        place = places[position][one.leading]
        if (place, position) not in numbers:
            part = _connected(position, cells[place], width)
            numbers |= {(place, cell): len(chains) for cell in part}
            chains.append(Chain(place[0], place[1:], part, tuple(cells[place][cell] for cell in part)))
        leading[position] = numbers[place, position]
    return tuple(chains), leading


def places_of(near: Neighbours | None, position: int, context: Context, grid: Grid) -> list[Place]:
    """The picture and the offset of each of the nearest neighbours of a position."""
    if near is None:
        return []
    images, rows, columns = entry_places(context, grid, near.entries[:NEAREST])
    row, column = grid.row_col(position)
    return list(zip(images.tolist(), (rows - row).tolist(), (columns - column).tolist(), strict=True))


def _connected(first: int, cells: Collection[int], width: int) -> tuple[int, ...]:
    """The positions among `cells` that are connected with the first one through edges, ascending."""
    part, seen = [first], {first}
    for cell in part:  # grows while it is walked through
        column = cell % width
        beside = [cell - 1] * (column > 0) + [cell + 1] * (column < width - 1)
        for near in (cell - width, *beside, cell + width):
            if near in cells and near not in seen:
                seen.add(near)
                part.append(near)
    return tuple(sorted(part))


class _Forest:
    """Sets of positions of each place that grow and meet: a forest whose roots know their sizes."""

    def __init__(self) -> None:
        self._parents: dict[tuple[Place, int], tuple[Place, int]] = {}
        self._sizes: dict[tuple[Place, int], int] = {}

    def add(self, place: Place, position: int, left: bool, above: bool, width: int) -> None:
        """Add a position, connected with those beside it that are there."""
        self._parents[place, position], self._sizes[place, position] = (place, position), 1
        for there, other in ((left, position - 1), (above, position - width)):
            if there:
                self._join((place, position), (place, other))

    def size(self, place: Place, position: int) -> int:
        """How many are connected with a position."""
        return self._sizes[self._root((place, position))]

    def _root(self, name: tuple[Place, int]) -> tuple[Place, int]:
        while self._parents[name] != name:
            self._parents[name] = self._parents[self._parents[name]]
            name = self._parents[name]
        return name

    def _join(self, one: tuple[Place, int], other: tuple[Place, int]) -> None:
        """Two sets become one; the root of the larger one stays."""
        one, other = self._root(one), self._root(other)
        if one == other:
            return
        small, large = sorted((one, other), key=lambda root: self._sizes[root])
        self._parents[small] = large
        self._sizes[large] += self._sizes[small]
