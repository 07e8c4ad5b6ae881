"""How many different things a long stream has, and how many of them come twice, in memory that does not grow with it.

Adaptive sampling (Wegman; Flajolet 1990): every thing has a hash, and only those whose hash begins with enough zeros
are counted, one zero more whenever there are too many. Exact as long as there are not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ..types import IntArray

MOST: Final = 1 << 21
"""Different things that are counted one by one; with as many, the relative error of the estimate is about 0.1 %."""

Hashes = npt.NDArray[np.uint64]


class Distinct:
    """Counts the different ones of some hashes."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._zeros = most, 0
        self._hashes: Hashes = np.zeros(0, np.uint64)
        self._counts: IntArray = np.zeros(0, np.int64)

    def add(self, hashes: Hashes) -> None:
        """Some more hashes [M], of 64 bits that are evenly spread."""
        fresh, counts = np.unique(hashes[self._wanted(hashes)], return_counts=True)
        every = np.concatenate([self._hashes, fresh])
        self._hashes, places = np.unique(every, return_inverse=True)
        weights = np.concatenate([self._counts, counts])
        self._counts = np.bincount(places, weights, len(self._hashes)).astype(np.int64)
        while len(self._hashes) > self._most:
            self._zeros += 1
            kept = self._wanted(self._hashes)
            self._hashes, self._counts = self._hashes[kept], self._counts[kept]

    def _wanted(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Which of them begin with enough zeros."""
        wanted: npt.NDArray[np.bool_] = hashes < np.uint64(1 << (64 - self._zeros)) if self._zeros else hashes == hashes
        return wanted

    @property
    def exact(self) -> bool:
        """Whether everything was counted."""
        return self._zeros == 0

    @property
    def different(self) -> int:
        """How many different ones there are, about."""
        return len(self._hashes) << self._zeros

    @property
    def repeated(self) -> int:
        """How many of them come more than once, about."""
        return int((self._counts > 1).sum()) << self._zeros


def hashed(columns: npt.NDArray[np.integer]) -> Hashes:
    """Hashes [M] of rows given as columns [n, M]: a multiplication and a shift of 64 bits for each (splitmix64)."""
    found = np.full(columns.shape[1], 0x9E3779B97F4A7C15, np.uint64)
    for column in columns:
        found = _mixed(found ^ column.astype(np.uint64))
    return found


def _mixed(values: Hashes) -> Hashes:
    """The finalizer of splitmix64 (Steele et al. 2014), which is a bijection."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed
