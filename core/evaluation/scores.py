"""What every position of one picture scores under many settings at once, as arrays.

A search for the most neighbours holds those for fewer, and what is mixed matters only where it falls on the true code:
so all settings of a grid follow from one look-up of a picture and a few sums over its neighbours. The numbers are those
of `core.daid.blend_step`, which one position and one setting take. S positions of a picture, P of them look up, K
neighbours at most, V codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..types import FloatArray, IntArray, Neighbours

Numbers = npt.NDArray[np.float64]
Found = Sequence[Neighbours | None]
NOBODY = -1
"""Stands for a neighbour that there is not, since a database has fewer."""

SUM, NEAREST = 0, 1
AGGREGATES = ("sum", "nearest")
"""How codes that occur several times are put together; SUM and NEAREST are their numbers."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model predicts at every position [S] of a picture, at temperature 1.

    true: probability of the true code; entropy: in nats; favourite: the likeliest code; peak: its probability.
    """

    true: Numbers
    entropy: Numbers
    favourite: IntArray
    peak: Numbers


def predicted(logits: FloatArray, codes: IntArray) -> Predicted:
    """From logits [S, V] and the true codes [S]."""
    rows = logits.astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    mass = np.exp(rows)
    total = mass.sum(axis=1)
    chances = mass / total[:, None]
    entropy = np.log(total) - (chances * rows).sum(axis=1)
    return Predicted(
        chances[np.arange(len(codes)), codes], entropy, chances.argmax(axis=1).astype(np.int64), chances.max(axis=1)
    )


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The neighbours of a picture: places [P] that look up, and codes and distances [P, K], nearest first.

    Where there are fewer than K: NOBODY, infinitely far.
    """

    positions: int
    places: IntArray
    codes: IntArray
    distances: Numbers

    @property
    def nearest(self) -> Numbers:
        """Distance of the nearest neighbour at every position [S], infinite where nothing was found."""
        return self.spread(self.distances[:, 0] if self.codes.shape[1] else np.full(len(self.places), np.inf), np.inf)

    def spread(self, values: npt.NDArray[np.floating], otherwise: float = 0.0) -> Numbers:
        """Values [..., P] at all positions [..., S]."""
        everywhere = np.full((*values.shape[:-1], self.positions), otherwise)
        everywhere[..., self.places] = values
        return everywhere


def looked_up(found: Found) -> LookedUp:
    """What the positions of a picture found, as arrays."""
    places = np.array([p for p, neighbours in enumerate(found) if neighbours], np.int64)
    there = [neighbours for neighbours in found if neighbours]
    most = max(map(len, there), default=0)
    codes, distances = np.full((len(there), most), NOBODY, np.int64), np.full((len(there), most), np.inf)
    for row, neighbours in enumerate(there):
        codes[row, : len(neighbours)], distances[row, : len(neighbours)] = neighbours.codes, neighbours.distances
    return LookedUp(len(found), places, codes, distances)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a grid that decide on the retrieval distribution: K and tau, ascending."""

    counts: tuple[int, ...]
    temperatures: tuple[float, ...]


def true_chances(found: LookedUp, codes: IntArray, grid: Settings) -> Numbers:
    """Probability [K, tau, aggregate, S] of the true codes [S] under the neighbours; 0 where nothing was found."""
    hits = found.codes == codes[found.places, None]
    first = _first_of_their_code(found.codes)
    shares = np.zeros((len(grid.counts), len(grid.temperatures), len(AGGREGATES), len(found.places)))
    for t, masses in enumerate(_masses(found, grid)):
        for a, speaking in enumerate((masses, masses * first)):
            total, right = (_within(part, found, grid) for part in (speaking, speaking * hits))
            shares[:, t, a] = np.divide(right, total, out=np.zeros_like(total), where=total > 0)
    return found.spread(shares)


@dataclass(frozen=True, slots=True)
class Shape:
    """How retrieval distributions ("sum") look: entropy in nats and peak [K, tau, S], 0 where nothing was found.

    agree: [K, S] share of the neighbours that have the model's favourite code.
    """

    entropy: Numbers
    peak: Numbers
    agree: Numbers


def shape_of(found: LookedUp, favourites: IntArray, grid: Settings) -> Shape:
    """Entropies, peaks, and how far neighbours agree with the model's favourite codes [S]."""
    rows = np.arange(len(found.places))[:, None]
    _, groups = np.unique(np.where(found.codes < 0, 0, found.codes + 1) + rows * 2**32, return_inverse=True)
    groups = groups.reshape(found.codes.shape)
    size = int(groups.max(initial=-1)) + 1
    owner = np.zeros(size, np.int64)
    owner[groups] = np.broadcast_to(rows, groups.shape)
    entropy = np.zeros((len(grid.counts), len(grid.temperatures), len(found.places)))
    peak = np.zeros_like(entropy)
    there = _within((found.codes >= 0).astype(np.float64), found, grid)
    agree = _within((found.codes == favourites[found.places, None]).astype(np.float64), found, grid)
    agree = np.divide(agree, there, out=np.zeros_like(agree), where=there > 0)
    for t, masses in enumerate(_masses(found, grid)):
        totals, of_code = _within(masses, found, grid), np.zeros(size)
        for k, more in enumerate(_parts(found, grid)):
            of_code += np.bincount(groups[:, more].ravel(), masses[:, more].ravel(), size)
            chances = of_code / totals[k, owner]
            logs = np.log(np.where(chances > 0, chances, 1))
            entropy[k, t] = np.bincount(owner, -chances * logs, len(found.places))
            np.maximum.at(peak[k, t], owner, chances)
    return Shape(found.spread(entropy), found.spread(peak), found.spread(agree))


def _masses(found: LookedUp, grid: Settings) -> Iterator[Numbers]:
    """exp(-distance / tau) [P, K] for every tau, the nearest one's being 1."""
    for temperature in grid.temperatures:
        yield np.exp(-(found.distances - found.distances[:, :1]) / temperature)


def _parts(found: LookedUp, grid: Settings) -> Iterator[slice]:
    """The neighbours that every K adds to those of the one before it; none where nothing was looked up."""
    most, before = found.codes.shape[1], 0
    for count in grid.counts if most else ():
        last = min(count, most)
        yield slice(before, last)
        before = last


def _within(values: Numbers, found: LookedUp, grid: Settings) -> Numbers:
    """Sums [counts, P] of the first K of values [P, K], for every K."""
    sums = [values[:, part].sum(axis=1) for part in _parts(found, grid)]
    return np.cumsum(sums, axis=0) if sums else np.zeros((len(grid.counts), len(found.places)))


def _first_of_their_code(codes: IntArray) -> npt.NDArray[np.bool_]:
    """Which of the codes [P, K] stand nowhere before in their row: the nearest neighbour of each code."""
    order = np.argsort(codes, axis=1, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=1)
    first = np.ones(codes.shape, np.bool_)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    placed = np.empty_like(first)
    np.put_along_axis(placed, order, first, axis=1)
    return placed
