"""How one code is drawn from a distribution, so that draws from different distributions can be compared: numpy only.

Gumbel-max (an exponential race): every code v of a position has one random number g_v, its noise, and the code with the
largest log p_v + g_v is taken. Its marginal is p. The noise belongs to the position and not to the distribution, so one
noise answers for all of them, and the answers are counterfactually stable (Oberst & Sontag 2019, arXiv 1905.05824): the
winner changes from a to b only if b became likelier by a larger factor than a did. Language models have it (Chatzi et
al. 2024, arXiv 2409.17027; Ravfogel et al. 2024, arXiv 2411.07180). Inverse CDF, which traces before version 4 were
drawn by, has not: mass that is added to one code shifts all codes behind it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from .types import ConfigError

Distribution = npt.NDArray[np.float64]
Rule = Literal["gumbel", "inverse cdf"]
"""How the codes of a trace were drawn; the second one only in traces of versions 2 and 3."""

LEAST = 1e-280
"""A code of a smaller probability was never drawn, and what its noise would have been is beyond float64."""

CLOSE = 1e-3
"""A race whose first two are nearer than this, in nats, may be decided by how a model's sums were rounded."""

_HINDSIGHT = 1 << 64
"""Added to the key of the generator, so that noise in hindsight shares nothing with the noise of the runs."""


class Luck(Protocol):
    """The randomness of one position; the same for every distribution that is asked for its code."""

    def draw(self, distribution: Distribution) -> int:
        """The code that is taken from a distribution [V]; never one of probability 0. ConfigError without mass."""
        ...


@dataclass(frozen=True, slots=True)
class Race:
    """Gumbel-max as an exponential race; waits: [V] standard exponentials, one for each code.

    A code of probability p arrives after wait / p, and the first one is taken. That is the code with the largest
    log p + noise, noise = -log(wait) being a standard Gumbel; without the logarithms it takes a third of the time.
    """

    waits: Distribution

    @property
    def noise(self) -> Distribution:
        """The Gumbels [V]."""
        noise: Distribution = -np.log(self.waits)
        return noise

    def scores(self, distribution: Distribution) -> Distribution:
        """log p + noise [V] of a distribution [V], -inf where p is 0."""
        with np.errstate(divide="ignore"):
            scores: Distribution = np.log(distribution) + self.noise
        return scores

    def draw(self, distribution: Distribution) -> int:
        """The winner: the code with the largest score; ConfigError without finite mass."""
        if not 0 < (total := float(distribution.sum())) < math.inf:
            raise ConfigError(f"draw: got a distribution of mass {total}, expected a positive one")
        return int((distribution / self.waits).argmax())

    def is_close(self, distribution: Distribution) -> bool:
        """Whether the winner's score exceeds another one's by less than CLOSE."""
        speeds = distribution / self.waits
        return bool(np.count_nonzero(speeds > speeds.max() * math.exp(-CLOSE)) > 1)

    def margin(self, distribution: Distribution) -> float:
        """By how much the winner's score exceeds the next one's, in nats; inf when no other code has a probability."""
        second, first = np.partition(np.append(self.scores(distribution), -math.inf), -2)[-2:]
        return float(first - second)


@dataclass(frozen=True, slots=True)
class UnitInterval:
    """Inverse CDF in code order by one uniform u in [0, 1]; how traces of versions 2 and 3 were drawn."""

    u: float

    def draw(self, distribution: Distribution) -> int:
        """The code that u falls on."""
        cumulative = np.cumsum(distribution)
        total = float(cumulative[-1])
        if not 0 <= self.u <= 1 or not 0 < total < math.inf:
            raise ConfigError(f"draw: got u = {self.u}, mass = {total}; expected u in [0, 1] and a positive mass")
        code = int(np.searchsorted(cumulative, self.u * total, side="right"))
        # u = 1, or a product that rounds up to the total, points behind the last code
        return code if code < len(cumulative) else int(np.flatnonzero(distribution)[-1])


@lru_cache(maxsize=64)
def race(seed: int, position: int, codes: int) -> Race:
    """The noise of one position of the run with this seed, over a codebook of so many codes.

    It follows from the three alone (a counter-based generator), so that nothing has to be stored.
    """
    waits = -np.log(_uniforms(seed, position, codes))
    waits.setflags(write=False)  # asked for again by the guess, the draw and what explains it
    return Race(waits)


def hindsight(seed: int, position: int, distribution: Distribution, code: int) -> Race:
    """Noise of a position as it may have been, given that `code` won the race under `distribution` [V].

    For a code that was not drawn: one of an image that is read, or one that somebody chose. Sampled top-down (Maddison
    et al. 2014, arXiv 1411.0030): the winner's score is a Gumbel shifted by the log of the total mass, whatever won;
    the others are Gumbels at their own logs, truncated at it. The noise of codes of probability 0 is a plain Gumbel:
    it says nothing that they lost. Raises ConfigError for a code of probability 0, or of less than LEAST.
    """
    uniforms = _uniforms(seed + _HINDSIGHT, position, len(distribution))
    if not distribution[code] >= LEAST:
        got = f"one of probability {distribution[code]:g}"
        raise ConfigError(f"code {code}: got {got}, expected one that can have been drawn")
    with np.errstate(divide="ignore"):
        logs = np.log(distribution)
    best = np.log(distribution.sum()) - np.log(-np.log(uniforms[code]))
    # a Gumbel at m, truncated at b: m - log(exp(m - b) - log U)
    waits = np.exp(logs - best) - np.log(uniforms)
    waits[code] = np.exp(logs[code] - best)
    return Race(waits)


def _uniforms(key: int, position: int, count: int) -> Distribution:
    """Uniforms [count] in (0, 1) of a key and a position; the raw bits of Philox, which numpy promises to keep."""
    bits = np.random.Philox(key=key, counter=position << 64).random_raw(count)
    uniforms: Distribution = np.maximum((bits >> np.uint64(11)) * 2.0**-53, 2.0**-54)
    return uniforms
