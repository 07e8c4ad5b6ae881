"""Means and shares with intervals: percentile bootstrap over the items of a run, paired where two arms share them.

Efron and Tibshirani 1993, chapter 13. The generator's seed is fixed, so that the same values give the same interval.
Where a prompt has several pictures, or questions, prompts are what is resampled: pictures of one prompt are no
independent sample, so that a bootstrap over pictures would give too narrow intervals (cluster bootstrap: Davison and
Hinkley 1997, section 3.8). Strata, such as tags, are resampled by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = Sequence[float] | npt.NDArray[np.floating]
Counts = npt.NDArray[np.float64]
"""[n, 2]: for each of n prompts, the sum of what counts and of how many it is, which is more than 0."""

DRAWS, LEVEL = 2000, 0.95
CHUNK = 100
"""Resamples that are held in memory at once."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value over n items, and the interval that holds it in `LEVEL` of resampled runs; low = high = value for one."""

    value: float
    low: float
    high: float
    n: int


def mean(values: Values) -> Estimate:
    """Mean of [n] values, n >= 1, with its interval."""
    rows = np.asarray(values, np.float64)
    return statistic(rows, lambda drawn: drawn.mean(axis=-1))


def difference(ours: Values, theirs: Values) -> Estimate:
    """Mean of `ours - theirs`, [n] values each of the same items in the same order."""
    return mean(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))


def statistic(
    values: npt.NDArray[np.float64], of: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
) -> Estimate:
    """Any statistic of [n] values: `of` maps [..., n] to [...]."""
    if len(values) == 0:
        raise ValueError("got no values, expected at least one")
    rng, found = np.random.default_rng(0), []
    for _ in range(DRAWS // CHUNK):
        chosen = rng.integers(len(values), size=(CHUNK, len(values)))
        found.append(of(values[chosen]))
    low, high = np.quantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(of(values)), float(low), float(high), len(values))


def share(counts: Counts) -> Estimate:
    """What counts, of all."""
    return mean_of_shares([counts])


def mean_of_shares(strata: Sequence[Counts]) -> Estimate:
    """Mean over strata of what counts in each, whatever their sizes; n: prompts of all of them."""
    if not strata or any(len(counts) == 0 for counts in strata):
        raise ValueError("got a stratum without prompts, expected at least one")
    rng, found = np.random.default_rng(0), []
    for _ in range(DRAWS // CHUNK):
        drawn = [_share(counts[rng.integers(len(counts), size=(CHUNK, len(counts)))]) for counts in strata]
        found.append(np.mean(drawn, axis=0))
    low, high = np.quantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(np.mean([_share(counts) for counts in strata]))
    return Estimate(value, float(low), float(high), sum(map(len, strata)))


def _share(counts: Counts) -> npt.NDArray[np.float64]:
    """[...] of [..., n, 2]."""
    total = counts.sum(axis=-2)
    return np.asarray(total[..., 0] / total[..., 1])
