"""Which regions of a picture are copies, how much that is, and how much it is for pictures that are none.

A copied region is one whose codes stand in a single source image at a single offset, as the neighbours tell. Plain
ground and common shapes are found in any database, so the figures mean something only beside those of `references`,
which `python -m core evaluate copying` measures. The measure is this project's own.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..assets import ASSETS
from ..context import Context, entry_places
from ..trace import Trace, neighbours
from ..types import ConfigError, DecodeSettings, Grid, IntArray, Neighbours

LEAST_POSITIONS, LEAST_CODES = 4, 2
"""A region smaller than that, or of one code alone, is no copy: plain ground looks alike everywhere."""

NEAREST = 256
"""Neighbours of a position that may show that it is a copy; farther ones are left out, however many were retrieved."""

MEASURED = ASSETS / "copying.json"
"""The references that ship."""

Place = tuple[int, int, int]
"""An image, and the rows and columns from a position to where it came from in that image."""

# ---------------------------------------------------------------------------------------------------------------------
# Copied regions


@dataclass(frozen=True, slots=True)
class Region:
    """Connected positions whose codes stand in one image at one offset: position + offset is the cell they came from.

    offset: rows and columns; positions: ascending, connected through edges.
    """

    image: int
    offset: tuple[int, int]
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Copying:
    """How much of a picture is copied.

    largest: positions of the largest copied region; share: of the positions that were looked up, how many are in copied
    regions (0..1); sources: how many different images the copied regions come from.
    """

    largest: int
    share: float
    sources: int


def copied_regions(
    codes: Sequence[int], found: Sequence[Neighbours | None], context: Context, grid: Grid
) -> list[Region]:
    """The copied regions of a picture, the largest first; no position is in two of them.

    codes: [n] the picture's, in raster order; found: [n] what each position retrieved, entries numbered by `context`.
    A position can be explained by every neighbour with its own code. Where regions overlap, the larger one has the
    position, and what is left of the other one counts if it is still large enough; equally large ones go by image,
    offset and position.
    """
    queue = [
        (-len(part), place, part)
        for place, positions in _explained(codes, found, context, grid).items()
        for part in _parts(positions, codes, grid.width)
    ]
    heapq.heapify(queue)
    taken: set[int] = set()
    regions = []
    while queue:
        _, place, positions = heapq.heappop(queue)
        left = [position for position in positions if position not in taken]
        if len(left) < len(positions):
            for part in _parts(left, codes, grid.width):
                heapq.heappush(queue, (-len(part), place, part))
            continue
        taken.update(positions)
        regions.append(Region(place[0], (place[1], place[2]), positions))
    return regions


def _explained(
    codes: Sequence[int], found: Sequence[Neighbours | None], context: Context, grid: Grid
) -> dict[Place, list[int]]:
    """For every image and offset the positions, ascending, that have a neighbour with their own code there."""
    explained: dict[Place, list[int]] = defaultdict(list)
    for position, (code, near) in enumerate(zip(codes, found, strict=True)):
        if near is None:
            continue
        same = near.entries[:NEAREST][near.codes[:NEAREST] == code]
        row, col = grid.row_col(position)
        images, rows, columns = entry_places(context, grid, same)
        for place in zip(images.tolist(), (rows - row).tolist(), (columns - col).tolist(), strict=True):
            explained[place].append(position)
    return explained


def _parts(positions: Sequence[int], codes: Sequence[int], width: int) -> Iterable[tuple[int, ...]]:
    """The connected parts of ascending positions that are large and varied enough to count as copies."""
    left = set(positions)
    if len(left) < LEAST_POSITIONS:
        return
    for first in positions:
        if first in left:
            part = _connected(first, left, width)
            if len(part) >= LEAST_POSITIONS and len({codes[position] for position in part}) >= LEAST_CODES:
                yield tuple(sorted(part))


def _connected(first: int, left: set[int], width: int) -> list[int]:
    """The positions of `left` that are connected with the first one through edges; they are taken out of it."""
    left.remove(first)
    part = [first]
    for position in part:  # grows while it is walked through
        column = position % width
        beside = [position - 1] * (column > 0) + [position + 1] * (column < width - 1)
        for near in (position - width, *beside, position + width):
            if near in left:
                left.remove(near)
                part.append(near)
    return part


def regions_of(trace: Trace) -> list[Region]:
    """The copied regions of a trace."""
    found = [neighbours(step) for step in trace.steps]
    return copied_regions(trace.codes.tolist(), found, trace.origin.context, trace.grid)


def region_numbers(regions: Sequence[Region], count: int) -> IntArray:
    """For each of `count` positions the number of its copied region, from 1 for the largest; 0 where nothing is."""
    numbers = np.zeros(count, np.int64)
    for number, region in enumerate(regions, start=1):
        numbers[list(region.positions)] = number
    return numbers


def copying(regions: Sequence[Region], looked_up: int) -> Copying:
    """The measure of copied regions, of a picture of which that many positions were looked up."""
    copied = sum(len(region.positions) for region in regions)
    largest = max((len(region.positions) for region in regions), default=0)
    return Copying(largest, copied / max(looked_up, 1), len({region.image for region in regions}))


# ---------------------------------------------------------------------------------------------------------------------
# What the figures are for pictures that are no copies


Quantiles = tuple[float, float, float]
"""10 %, 50 % and 90 %."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The measure of many pictures that are no copies, in one database: quantiles of each figure of `Copying`.

    model: what drew the pictures, "" for held-out real ones; n_neighbours, caption_filter, position_weight: how they
    were looked up, as in DecodeSettings; pictures: how many there were.
    """

    model: str
    database: str
    n_neighbours: int
    caption_filter: int
    position_weight: float
    pictures: int
    largest: Quantiles
    share: Quantiles
    sources: Quantiles

    def looked_up_like(self, settings: DecodeSettings) -> bool:
        """Whether a run with these settings looks positions up in exactly this way."""
        mine = (self.n_neighbours, self.caption_filter, self.position_weight)
        theirs = (settings.n_neighbours, settings.caption_filter, settings.position_weight)
        return mine == theirs and not settings.styles

    def unlikeness(self, settings: DecodeSettings) -> float:
        """How differently a run with these settings looks positions up; with a position term is unlike without one."""
        term = (self.position_weight > 0) != (settings.position_weight > 0)
        limits = ((self.caption_filter, settings.caption_filter), (self.n_neighbours, settings.n_neighbours))
        return 100 * term + sum(abs(math.log((one or _NO_LIMIT) / (other or _NO_LIMIT))) for one, other in limits)


_NO_LIMIT = 10_000
"""What a limit of 0 counts as."""


def references(path: Path = MEASURED) -> tuple[Reference, ...]:
    """The references of a file; ConfigError when it is missing or damaged."""
    try:
        return tuple(_reference(row) for row in json.loads(path.read_text(encoding="utf-8"))["references"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: got {error!r}; make it with python -m core evaluate copying") from error


def _reference(row: dict[str, Any]) -> Reference:
    """One reference from JSON."""
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(Reference)}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Reference(**values | lists)


def nearest_reference(
    known: Iterable[Reference], model: str, database: str, settings: DecodeSettings
) -> Reference | None:
    """The one for a model ("" for real pictures) and a database that was looked up most like a run with the settings.

    None when nothing was measured with them.
    """
    rows = [row for row in known if (row.model, row.database) == (model, database)]
    return min(rows, key=lambda row: row.unlikeness(settings), default=None)
