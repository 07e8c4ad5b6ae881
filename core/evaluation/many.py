"""Distances between tens of thousands of pictures, whose features or packets do not fit into memory at once.

Formulas are those of `distances` and `wavelets`; here rows come in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from .distances import CMMD_SCALE, CMMD_WIDTH, Features, Moments, frechet, squared_distances
from .suite import Pixels
from .wavelets import level_of, packets

Parts = Callable[[], Iterable[Features]]
"""Gives features [n, d] in parts, from the begin each time."""


def moments_of(parts: Parts) -> Moments:
    """Mean and covariance of all of them."""
    found = Moments()
    for part in parts():
        found.add(part)
    return found


def cmmd_of(drawn: Parts, real: Parts) -> float:
    """CMMD (Jayasumana et al. 2024) of unit vectors: the biased estimate, which takes every pair; O(n^2) time."""
    return CMMD_SCALE * (_mean_kernel(drawn, drawn) + _mean_kernel(real, real) - 2 * _mean_kernel(drawn, real))


def _mean_kernel(ours: Parts, theirs: Parts) -> float:
    """Mean of the kernel over all pairs, a part with a part at a time."""
    total, pairs = 0.0, 0
    for one in ours():
        for other in theirs():
            total += float(np.exp(-squared_distances(one, other) / (2 * CMMD_WIDTH**2)).sum())
            pairs += len(one) * len(other)
    return total / pairs


def wavelet_distance_of(drawn: Iterable[Pixels], real: Iterable[Pixels]) -> float:
    """Fréchet wavelet distance of pictures [N, H, W, 3] that come in parts, all of one size.

    Keeps a covariance for each packet: at 256 pixels 256 of 768 x 768 numbers, 1.2 GB for each of both sides.
    """
    ours, theirs = _packet_moments(drawn), _packet_moments(real)
    return float(np.mean([frechet(one, other) for one, other in zip(ours, theirs, strict=True)]))


def _packet_moments(parts: Iterable[Pixels]) -> list[Moments]:
    found: list[Moments] = []
    for pixels in parts:
        split = packets(pixels, level_of(min(pixels.shape[1:3])))
        found = found or [Moments() for _ in split]
        for kept, rows in zip(found, split, strict=True):
            kept.add(rows)
    return found


def in_parts(rows: Iterable[npt.NDArray[np.generic]], size: int) -> Iterator[npt.NDArray[np.generic]]:
    """Arrays [n, ...] as ones of about `size` rows, in the same order."""
    held: list[npt.NDArray[np.generic]] = []
    for each in rows:
        held.append(each)
        if sum(map(len, held)) >= size:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
