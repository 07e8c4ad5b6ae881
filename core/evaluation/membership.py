"""Whether likelihoods tell the pictures that a model learned from, or retrieves from, from others.

Kowalczuk et al. 2025 (arXiv 2502.02514) attack image autoregressive models by the difference that the prompt makes:
log p(x | prompt) - log p(x), code by code, which removes how likely a picture is anyway. What they compute from the
differences are scores known from language models; of these there are the mean, and Min-K% (Shi et al. 2024, arXiv
2310.16789), the mean over the least likely K % of the codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from ..daid import blend
from .statistics import CHUNK, DRAWS, LEVEL, Estimate

Array = npt.NDArray[np.floating]
LEAST_SHARE: Final = 0.2
"""Of the codes, which Min-K% looks at."""

FALSE_ALARMS: Final = 0.01
"""Share of non-members that may be taken for members (Carlini et al. 2022)."""


def least(values: Array, share: float = LEAST_SHARE) -> Array:
    """Mean [N] of the smallest `share` of each row of values [N, S], of one at least."""
    count = max(1, int(values.shape[1] * share))
    found: Array = np.partition(values, count - 1, axis=1)[:, :count].mean(axis=1)
    return found


def blended(model: Array, retrieved: Array, shares: Array, weight: float) -> Array:
    """Log-probabilities [N, S] under DAiD of codes, from those of the model.

    model: log-probabilities [N, S]; retrieved: probabilities [N, S] under retrieval; shares: [N, S] what the gate
    leaves of the weight, 0 where nothing was retrieved.
    """
    chances, said, left = (np.asarray(values, np.float64) for values in (np.exp(model), retrieved, shares))
    found: Array = np.log(blend(chances, said, weight * left))
    return found


def area(members: Array, others: Array) -> Array:
    """Area under the curve of true over false alarms: how often a member [..., n] scores above another [..., m].

    Mann and Whitney 1947; equal scores count half.
    """
    above = (members[..., :, None] > others[..., None, :]).mean(axis=(-1, -2))
    equal = (members[..., :, None] == others[..., None, :]).mean(axis=(-1, -2))
    found: Array = above + equal / 2
    return found


def true_alarms(members: Array, others: Array) -> Array:
    """Share of members [..., n] above the score that at most 1 % of the others [..., m] exceed."""
    allowed = int(np.floor(FALSE_ALARMS * others.shape[-1]))
    limit = np.sort(others, axis=-1)[..., others.shape[-1] - 1 - allowed]
    found: Array = (members > limit[..., None]).mean(axis=-1)
    return found


def of_two(members: Array, others: Array, of: Callable[[Array, Array], Array]) -> Estimate:
    """A figure of members [n] against others [m], with its bootstrap interval over both; n + m is its n."""
    rng, found = np.random.default_rng(0), list[Array]()
    for _ in range(DRAWS // CHUNK):
        ours = members[rng.integers(len(members), size=(CHUNK, len(members)))]
        theirs = others[rng.integers(len(others), size=(CHUNK, len(others)))]
        found.append(of(ours, theirs))
    low, high = np.quantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(of(members, others)), float(low), float(high), len(members) + len(others))
