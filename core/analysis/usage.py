"""Which images of a database speak when held-out pictures are looked up, and what is lost without the others.

No model is needed: where a blend needs one, how often each code comes in the database stands for what it predicts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..context import context_codes
from ..daid import blend, gated_weight, retrieval_distribution
from ..draw import Distribution
from ..patches.protocol import Database
from ..types import CodeArray, DecodeSettings, IntArray, Neighbours
from .holdings import known_positions

AT_ONCE: Final = 64
"""Contexts that are looked up at a time."""

Progress = Callable[[Iterable[CodeArray]], Iterable[CodeArray]]


@dataclass(frozen=True, slots=True)
class Loss:
    """What leaving images out does to held-out pictures.

    positions: how many were looked up; changed: share of them with another neighbour among the K nearest; neighbours:
    share of all neighbours that are others; distance_before, distance_after: mean to the nearest one; nats_before,
    nats_after: mean negative logarithm of what the blend gives to the code that stands there; retrieval_before,
    retrieval_after: mean probability of that code among the neighbours alone.
    """

    positions: int
    changed: float
    neighbours: float
    distance_before: float
    distance_after: float
    nats_before: float
    nats_after: float
    retrieval_before: float
    retrieval_after: float

    @property
    def nats(self) -> float:
        """How many more are needed for a code."""
        return self.nats_after - self.nats_before


def lookups(database: Database, grid: CodeArray, settings: DecodeSettings) -> Iterator[tuple[int, Neighbours]]:
    """(code that stands there, its neighbours) for each retrieving position of a token grid [H, W]."""
    positions = known_positions(database.context, database.grid, not database.knows_images)
    queries = context_codes(database.context, grid[None], positions)[0]
    codes = grid.ravel()[positions].astype(np.int64)
    k = min(settings.n_neighbours, len(database))
    for first in range(0, len(positions), AT_ONCE):
        found = database.search(queries[first : first + AT_ONCE], k)
        yield from zip(codes[first : first + AT_ONCE].tolist(), found, strict=True)


def masses(
    database: Database, images: int, grids: CodeArray, settings: DecodeSettings, progress: Progress = iter
) -> Distribution:
    """What each of so many images [N] adds to the distributions of retrieved codes, over held-out grids [M, H, W].

    A position hands out 1 in all, among its neighbours by softmax of -distance / temperature.
    """
    mass = np.zeros(images)
    for grid in progress(grids):
        for _, near in lookups(database, grid, settings):
            shares = np.exp(-(near.distances - near.distances[0]) / settings.retrieval_temperature)
            np.add.at(mass, database.provenance(near.entries)[0], shares / shares.sum())
    return mass


def loss(
    before: Database, after: Database, grids: CodeArray, frequencies: Distribution, settings: DecodeSettings,
    progress: Progress = iter,
) -> Loss:  # fmt: skip
    """What held-out grids [M, H, W] lose when some images of a database are left out; entries keep their numbers.

    frequencies: how probable each code [V] is without retrieval, none of them 0.
    """
    rows = list[tuple[float, ...]]()
    for grid in progress(grids):
        pairs = zip(lookups(before, grid, settings), lookups(after, grid, settings), strict=True)
        rows += [_compared(code, one, other, frequencies, settings) for (code, one), (_, other) in pairs]
    means = np.mean(rows, axis=0).tolist()
    return Loss(len(rows), *means)


def _compared(
    code: int, one: Neighbours, other: Neighbours, frequencies: Distribution, settings: DecodeSettings
) -> tuple[float, ...]:
    """The fields of a Loss for one position."""
    kept = len(np.intersect1d(one.entries, other.entries, assume_unique=True))
    (nats, chance), (nats_after, chance_after) = (_told(code, near, frequencies, settings) for near in (one, other))
    nearest = float(one.distances[0]), float(other.distances[0])
    lost = 1 - kept / len(one)
    return float(lost > 0), lost, *nearest, nats, nats_after, chance, chance_after


def _told(code: int, near: Neighbours, frequencies: Distribution, settings: DecodeSettings) -> tuple[float, float]:
    """Negative logarithm of what the blend gives to a code, and what the neighbours alone give it."""
    drawn = retrieval_distribution(near, len(frequencies), settings.retrieval_temperature, settings.aggregate)
    weight = gated_weight(settings.retrieval_weight, settings.gate, near.distances)
    mixed = blend(frequencies, drawn, weight)
    return -float(np.log(mixed[code])), float(drawn[code])


def frequencies_of(counts: IntArray) -> Distribution:
    """How probable each code [V] is by how often it comes; one more of each, so that none is impossible."""
    probable: Distribution = (counts + 1) / (counts.sum() + len(counts))
    return probable


def unknown_grids(grids: CodeArray, blocks: Iterable[npt.NDArray[np.integer]]) -> npt.NDArray[np.bool_]:
    """Which of some token grids [M, H, W] are not among those of a database, read a block at a time."""
    hashes = _hashes(grids)
    there = {found for block in blocks for found in _hashes(block) if found in set(hashes)}
    return np.array([found not in there for found in hashes], bool)


def _hashes(grids: npt.NDArray[np.integer]) -> Sequence[bytes]:
    return [hashlib.sha256(grid.astype("<u2").tobytes()).digest() for grid in np.asarray(grids)]


def kept_images(images: IntArray, mass: Distribution, keep: float | None, share: float = 1.0) -> IntArray:
    """Numbers of the images to keep, ascending, the most used first: at least one.

    images: [N] ascending; mass: see `masses`, by image number; keep: how large a share of the images, 0..1; None for as
    few as hold a `share` of all mass, 0..1.
    """
    order = np.argsort(-mass[images], kind="stable")
    held = np.cumsum(mass[images][order])
    few = int(np.searchsorted(held, share * held[-1] * (1 - 1e-9))) + 1 if held[-1] > 0 else 1
    wanted = few if keep is None else round(keep * len(images))
    chosen: IntArray = np.sort(images[order[: max(1, wanted)]])
    return chosen
