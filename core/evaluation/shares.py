"""Shares with intervals where each prompt has several pictures, or questions: prompts are what is resampled.

Pictures of one prompt are no independent sample, so that a bootstrap over pictures would give too narrow intervals
(cluster bootstrap: Davison and Hinkley 1997, section 3.8). Strata, such as tags, are resampled by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .statistics import CHUNK, DRAWS, LEVEL, Estimate

Counts = npt.NDArray[np.float64]
"""[n, 2]: for each of n prompts, the sum of what counts and of how many it is, which is more than 0."""


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
