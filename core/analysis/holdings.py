"""What a database holds: codes by frequency, contexts that repeat, maps of two dimensions, and what a run used of it.

Everything is computed of token grids, or of a sample of them (`sample`), so that work and memory stay bounded however
large a database is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..context import Context, context_codes, entry_places, numbered, retrieving_positions
from ..patches.protocol import Database
from ..trace import Trace, neighbours
from ..types import CodeArray, FloatArray, Grid, IntArray, Neighbours
from .provenance import neighbour_mass

NEAREST: Final = 64
"""Entries that each context of a picture looks up, when pictures like it are looked for."""

MOST_CONTEXTS: Final = 64
"""Contexts of a picture that are looked up then, evenly chosen among its different ones."""

# ---------------------------------------------------------------------------------------------------------------------
# Which images and positions are looked at


def sample(images: IntArray, most: int, seed: int = 0) -> IntArray:
    """All image numbers, or `most` of them drawn at random but always the same ones; ascending."""
    if len(images) <= most:
        return np.asarray(images)
    chosen = np.random.default_rng(seed).choice(len(images), most, replace=False, shuffle=False)
    return np.asarray(images)[np.sort(chosen)]


def known_positions(context: Context, grid: Grid, inner: bool) -> IntArray:
    """Raster positions [P] whose contexts are known: all that retrieve.

    inner: of each grid only the codes below the first row and between the first and last column are known, so that only
    contexts which keep to them count.
    """
    positions = retrieving_positions(context, grid)
    if not inner:
        return positions
    rows, cols = np.divmod(positions, grid.width)
    reach = context.radius
    return positions[(rows > reach) & (cols > reach) & (cols < grid.width - 1 - reach)]


# ---------------------------------------------------------------------------------------------------------------------
# Codes and contexts


def code_counts(grids: CodeArray, size: int, inner: bool = False) -> IntArray:
    """How many cells [V] of token grids [N, H, W] hold each code; inner: see `known_positions`."""
    cells = grids[:, 1:, 1:-1] if inner else grids
    return np.bincount(cells.ravel().astype(np.int64), minlength=size)


def codes_of_half(counts: IntArray) -> int:
    """How many of the most frequent codes fill half of all cells."""
    ordered = np.sort(counts)[::-1].cumsum()
    return int(np.searchsorted(ordered, ordered[-1] / 2)) + 1 if len(ordered) and ordered[-1] else 0


@dataclass(frozen=True, slots=True)
class Frequent:
    """A context that occurs more than once.

    codes: [n], MISSING outside of the grid; count: how many entries have it; images: in how many images; example: the
    first of them, as (place of its grid, raster position); followers: the codes that came next and how often, the most
    frequent ones first; different: how many different codes came next.
    """

    codes: tuple[int, ...]
    count: int
    images: int
    example: tuple[int, int]
    followers: tuple[tuple[int, int], ...]
    different: int


@dataclass(frozen=True, slots=True)
class Repeats:
    """How contexts repeat among some entries.

    entries, distinct: how many there are, and how many different contexts they have; repeated: contexts that more than
    one entry has; covered: entries with such a context; frequent: those that most entries have, in that order.
    """

    entries: int
    distinct: int
    repeated: int
    covered: int
    frequent: tuple[Frequent, ...]


def repeats(grids: CodeArray, context: Context, positions: IntArray, listed: int, followers: int = 5) -> Repeats:
    """How the contexts at some positions [P] of token grids [N, H, W] repeat; `listed` are told one by one.

    Of equally frequent ones the lower codes come first, and so for followers.
    """
    contexts = context_codes(context, grids, positions).reshape(-1, context.size)
    if not len(contexts):
        return Repeats(0, 0, 0, 0, ())
    number, _ = numbered((contexts & 0xFFFF).astype(np.uint16).T)  # MISSING is the highest one
    counts = np.bincount(number)
    most = np.argsort(-counts, kind="stable")[:listed]
    following = grids.reshape(len(grids), -1)[:, positions].ravel().astype(np.int64)
    frequent = [
        _frequent(np.flatnonzero(number == one), contexts, following, positions, followers)
        for one in most[counts[most] > 1]
    ]
    again = counts > 1
    return Repeats(len(contexts), len(counts), int(again.sum()), int(counts[again].sum()), tuple(frequent))


def _frequent(rows: IntArray, contexts: IntArray, following: IntArray, positions: IntArray, followers: int) -> Frequent:
    """What is told of a context that stands at some rows of the entries."""
    codes, counts = np.unique(following[rows], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:followers]
    image, slot = divmod(int(rows[0]), len(positions))
    return Frequent(
        codes=tuple(contexts[rows[0]].tolist()),
        count=len(rows),
        images=len(np.unique(rows // len(positions))),
        example=(image, int(positions[slot])),
        followers=tuple(zip(codes[order].tolist(), counts[order].tolist(), strict=True)),
        different=len(codes),
    )


def standing(grids: CodeArray, context: Context, positions: IntArray, query: IntArray) -> tuple[IntArray, IntArray]:
    """Where exactly the context [n] stands: places of the grids and raster positions [M] of its entries."""
    contexts = context_codes(context, grids, positions)
    images, slots = np.nonzero((contexts == query).all(axis=2))
    return images, positions[slots]


def typical_cells(codes: IntArray, looks: npt.NDArray[np.floating], size: int) -> IntArray:
    """For each code [V] the number of the cell that looks most like the mean of all cells with it; -1 without one.

    codes: [M] of the cells; looks: [M, F] some numbers each, such as colours.
    """
    counts = np.bincount(codes, minlength=size)
    sums = np.stack([np.bincount(codes, weights=column, minlength=size) for column in looks.T], axis=1)
    means = sums / np.maximum(counts, 1)[:, None]
    away = ((looks - means[codes]) ** 2).sum(axis=1)
    order = np.lexsort((away, codes))
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    found = np.full(size, -1)
    found[codes[order][first]] = order[first]
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Maps


@dataclass(frozen=True, slots=True)
class Plane:
    """N points in the two directions in which they differ most.

    places: [N, 2]; shares: of all variance, how much lies in each of the two directions (0..1).
    """

    places: npt.NDArray[np.float64]
    shares: tuple[float, float]


def plane(vectors: FloatArray) -> Plane:
    """The first two principal components of vectors [N, D]; zeros where there are fewer.

    Each direction points to where its largest weight is positive, so that it does not turn from one machine to another.
    """
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
    if centred.shape[1] < 2:
        centred = np.pad(centred, ((0, 0), (0, 2 - centred.shape[1])))
    variances, directions = np.linalg.eigh(centred.T @ centred)
    chosen = directions[:, [-1, -2]]
    chosen = chosen * np.where(chosen[np.abs(chosen).argmax(axis=0), [0, 1]] < 0, -1, 1)
    total = max(float(variances.clip(0).sum()), 1e-12)
    first, second = (float(max(variances[-i], 0) / total) for i in (1, 2))
    return Plane(centred @ chosen, (first, second))


def mean_contexts(codebook: Codebook, grids: CodeArray, context: Context, positions: IntArray) -> FloatArray:
    """The mean key [N, n * d] of each grid over some positions: code vectors of its contexts, cell by cell."""
    cells = context_codes(context, grids, positions)
    vectors = np.vstack([codebook.vectors, np.zeros((1, codebook.dim), np.float32)])  # the last one is MISSING's
    means = [vectors[cells[:, :, cell]].mean(axis=1) for cell in range(context.size)]
    joined: FloatArray = np.concatenate(means, axis=1)
    return joined


# ---------------------------------------------------------------------------------------------------------------------
# Pictures that are alike


@dataclass(frozen=True, slots=True)
class Alike:
    """Which images stand nearest to a picture's contexts.

    images: [M] their numbers; counts: [M] for how many contexts each is among the nearest, the most first; contexts:
    how many were counted; plain: how many were left out, because they stand in more places than were looked up.
    """

    images: IntArray
    counts: IntArray
    contexts: int
    plain: int


def distinct_contexts(grid: CodeArray, context: Context, positions: IntArray) -> IntArray:
    """The different contexts [M, n] of a token grid [H, W] at some positions."""
    found: IntArray = np.unique(context_codes(context, grid[None], positions)[0], axis=0)
    return found


def alike(found: Sequence[Neighbours], images: Sequence[IntArray], asked: int, without: int = -1) -> Alike:
    """Which images are among the nearest entries of most of a picture's different contexts.

    found, images: for each context its neighbours, and the image that each of them is in; asked: how many neighbours
    were asked for: when so many are at distance 0, the context is plain and says nothing; without: an image that does
    not count, -1 for none.
    """
    plain = [len(near) >= asked and not near.distances.any() for near in found]
    kept = [np.unique(own[own != without]) for own, dull in zip(images, plain, strict=True) if not dull]
    every = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    numbers, counts = np.unique(every, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return Alike(numbers[order], counts[order], len(kept), sum(plain))


def pictures_like(database: Database, codes: CodeArray, inner: bool = False, without: int = -1) -> Alike:
    """Images that are among the NEAREST entries of most of the different contexts of a token grid [H, W].

    Of more than MOST_CONTEXTS contexts, as many are looked up, evenly spread over their order.
    """
    positions = known_positions(database.context, database.grid, inner)
    contexts = distinct_contexts(codes, database.context, positions)
    if len(contexts) > MOST_CONTEXTS:
        contexts = contexts[np.linspace(0, len(contexts) - 1, MOST_CONTEXTS).astype(int)]
    asked = min(NEAREST, len(database))
    found = database.search(contexts, asked)
    return alike(found, [database.provenance(near.entries)[0] for near in found], asked, without)


# ---------------------------------------------------------------------------------------------------------------------
# What a run used


@dataclass(frozen=True, slots=True)
class Use:
    """An entry of an image that a position of a run retrieved.

    position: in the run; cell: raster position in the image; rank: from 0, the nearest; distance: as it was looked up;
    code: what came next there; taken: whether that is the code of the run; share: of what the code was drawn from
    (0..1, see `neighbour_mass`), 0 for one that took no part.
    """

    position: int
    cell: int
    rank: int
    distance: float
    code: int
    taken: bool
    share: float


def uses(trace: Trace, image: int) -> list[Use]:
    """What each entry of an image was used for in a run: in the order of the positions, then of the ranks."""
    listed = []
    for step in trace.steps:
        near = neighbours(step)
        if near is None or not len(near):
            continue
        images, rows, columns = entry_places(trace.origin.context, trace.grid, near.entries)
        ranks = np.flatnonzero(images == image)
        if not len(ranks):
            continue
        found, mass = neighbour_mass(step, trace.settings_at(step.position))
        shares = dict(zip(found.entries.tolist(), mass.tolist(), strict=True))
        for rank in ranks.tolist():
            listed.append(
                Use(
                    position=step.position,
                    cell=int(rows[rank] * trace.grid.width + columns[rank]),
                    rank=rank,
                    distance=float(near.distances[rank]),
                    code=int(near.codes[rank]),
                    taken=int(near.codes[rank]) == step.code,
                    share=float(shares.get(int(near.entries[rank]), 0.0)),
                )
            )
    return listed
