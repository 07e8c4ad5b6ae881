"""Two ways of doing the same, timed in turns: what else the machine does then falls on both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm


@dataclass(frozen=True, slots=True)
class Paired:
    """Medians over pairs: seconds of both ways, and how many times faster the second one is."""

    before: float
    after: float
    speedup: float


def paired(
    before: Callable[[int], object],
    after: Callable[[int], object],
    rounds: int,
    name: str = "pairs",
    clock: Callable[[], float] = time.process_time,
) -> Paired:
    """Time both with the number of each round (a seed, say), after a warm-up; which one goes first alternates.

    The ratio is the median of the ratios of the pairs. CPU time by default, which waiting for a core is not part of.
    """
    times = [_pair(before, after, turn, clock) for turn in tqdm(range(-1, rounds), desc=name)][1:]
    first, second = np.array(times).T
    return Paired(float(np.median(first)), float(np.median(second)), float(np.median(first / second)))


def _pair(
    before: Callable[[int], object], after: Callable[[int], object], turn: int, clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds of both in one round."""
    seed = max(0, turn)
    if turn % 2:
        late = _seconds(after, seed, clock)
        return _seconds(before, seed, clock), late
    early = _seconds(before, seed, clock)
    return early, _seconds(after, seed, clock)


def _seconds(work: Callable[[int], object], seed: int, clock: Callable[[], float]) -> float:
    begin = clock()
    work(seed)
    return clock() - begin
