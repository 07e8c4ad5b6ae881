"""Which source images shaped a picture, which of its patches each of them shaped, and which regions are copies.

Pure functions over a trace. Attribution is this project's own: the paper mixes distributions and does not ask where the
mass came from. A copied region is one that a single source image explains at a single offset.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.context import Context, entry_places
from core.daid import Distribution, blend_step, neighbour_shares
from core.trace import Trace, neighbours
from core.types import DecodeSettings, FloatArray, Grid, IntArray, Neighbours, StepRecord

LEAST_POSITIONS, LEAST_CODES = 4, 2
"""A region smaller than that, or of one code alone, is no copy: plain ground looks alike everywhere."""

NEAREST = 256
"""Neighbours of a position that may show that it is a copy; farther ones are left out, however many were retrieved."""

Place = tuple[int, int, int]
"""An image, and the rows and columns from a position to where it came from in that image."""

# ---------------------------------------------------------------------------------------------------------------------
# Shares


@dataclass(frozen=True, slots=True)
class Provenance:
    """What M source images brought to the n positions of a picture; the image that brought most comes first.

    images: [M] their numbers in the database. mass: [n, M] the share of what each code was drawn from that an image
    brought (see `neighbour_mass`). credit: [n, M] the same for the code that was taken alone: how much of its
    probability came from there. What both lack to 1 is the model's own. cells: [n, M] raster cell in the image of the
    neighbour with most of the credit, -1 without credit.
    """

    images: IntArray
    mass: Distribution
    credit: Distribution
    cells: IntArray

    @property
    def shares(self) -> Distribution:
        """Share [M] of the whole picture's mass that each image brought."""
        return _mean(self.mass)

    @property
    def credits(self) -> Distribution:
        """Share [M] of the probability of all codes that were taken."""
        return _mean(self.credit)

    @property
    def owners(self) -> IntArray:
        """Number [n], in `images`, of the one with most credit for each code; -1 where none has any."""
        if not len(self.images):
            return np.full(len(self.credit), -1)
        return np.where(self.credit.max(axis=1) > 0, self.credit.argmax(axis=1), -1)

    @property
    def patches(self) -> IntArray:
        """How many positions [M] each image owns."""
        return np.bincount(self.owners + 1, minlength=len(self.images) + 1)[1:]


def _mean(shares: Distribution) -> Distribution:
    """Mean over all positions."""
    mean: Distribution = shares.mean(axis=0)
    return mean


def provenance(trace: Trace) -> Provenance:
    """What each source image brought to every position of a trace."""
    images = np.array(sorted(trace.sources), dtype=np.int64)
    size = (len(trace.steps), len(images))
    mass, credit, cells = np.zeros(size), np.zeros(size), np.full(size, -1)
    for row, step in enumerate(trace.steps):
        found, brought = neighbour_mass(step, trace.settings)
        if not len(found):
            continue
        places, rows, columns = entry_places(trace.origin.context, trace.grid, found.entries)
        numbers = np.searchsorted(images, places)
        credits = _credits(step, found, brought, trace.settings)
        np.add.at(mass[row], numbers, brought)
        np.add.at(credit[row], numbers, credits)
        heaviest = np.argsort(credits, kind="stable")  # the last one that is written stays
        heaviest = heaviest[credits[heaviest] > 0]
        cells[row, numbers[heaviest]] = (rows * trace.grid.width + columns)[heaviest]
    order = np.lexsort((images, -credit.sum(axis=0), -mass.sum(axis=0)))
    return Provenance(images[order], mass[:, order], credit[:, order], cells[:, order])


def neighbour_mass(step: StepRecord, settings: DecodeSettings) -> tuple[Neighbours, Distribution]:
    """The neighbours that took part in a step, and the share [K] of what its code was drawn from that each brought.

    With DAiD that is the retrieval weight after the gate times the neighbour's share of the retrieval distribution:
    together they are the weight. FAiD alone mixes no distributions; there it is the share of the compatibility in the
    last blender, among all features that went through it: a proxy for how much a feature changed the hidden state.
    """
    found = neighbours(step)
    if found is None or not len(found):
        return _NONE, np.zeros(0)
    if settings.mixes:
        weight = blend_step(step.logits, found, settings).weight
        return found, weight * neighbour_shares(found, settings.retrieval_temperature, settings.aggregate)
    if step.faid is None:
        return _NONE, np.zeros(0)
    scores = step.faid.compatibility[-1].astype(np.float64)
    count = step.faid.present
    blended = Neighbours(found.codes[:count], found.distances[:count], found.entries[:count])
    return blended, scores[:count] / max(scores.sum(), 1e-12)


_NONE = Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))


def _credits(step: StepRecord, found: Neighbours, mass: Distribution, settings: DecodeSettings) -> Distribution:
    """Share [K] of the taken code's probability that each neighbour brought; FAiD alone has no probabilities to share.

    There a neighbour with the taken code keeps its mass, and the others have no credit.
    """
    credits: Distribution = np.where(found.codes == step.code, mass, 0.0)
    return credits / blend_step(step.logits, found, settings).blended[step.code] if settings.mixes else credits


def effective_number(shares: Distribution | FloatArray) -> float:
    """How many equal shares would be as even as these: exp of their entropy; 0 when there is nothing to share."""
    positive = np.asarray(shares, np.float64)
    positive = positive[positive > 0]
    if not len(positive):
        return 0.0
    positive = positive / positive.sum()
    return float(np.exp(-(positive * np.log(positive)).sum()))


# ---------------------------------------------------------------------------------------------------------------------
# Copies


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
