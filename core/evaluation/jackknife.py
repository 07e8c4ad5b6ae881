"""Intervals of what is no mean over pictures, such as a Fréchet distance: delete-a-group jackknife.

A bootstrap draws pictures twice, which a covariance and a kernel's mean over pairs take for agreement: both move away
from what is estimated. Leaving pictures out does not. Efron and Tibshirani 1993, chapter 11; groups: Kott 2001.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .statistics import Estimate

GROUPS = 12
"""Parts that are left out, one after the other."""

NORMAL = 1.959963984540054
"""What 97.5 % of a standard normal distribution do not exceed."""

Of = Callable[[npt.NDArray[np.integer]], float]
"""A figure of some of the pictures, by their numbers."""


def jackknife(of: Of, count: int, groups: int = GROUPS) -> Estimate:
    """A figure of `count` pictures with an interval of 1.96 standard errors; low = high = value below 4 pictures.

    The n-th picture is of group n modulo `groups`, so that pictures that follow one another are left out apart.
    """
    return estimate(*leave_out(of, count, groups), count)


def leave_out(of: Of, count: int, groups: int = GROUPS) -> tuple[float, Sequence[float]]:
    """The figure of all pictures, and without each group in turn; none below 4 pictures."""
    numbers, parts = np.arange(count), min(groups, count // 2)
    kept = [numbers[numbers % parts != part] for part in range(parts)] if count >= 4 else []
    return of(numbers), [of(chosen) for chosen in kept]


def estimate(value: float, without: Sequence[float], count: int) -> Estimate:
    """The interval around a figure of so many pictures, from those without each group."""
    if not without:
        return Estimate(value, value, value, count)
    parts = np.asarray(without)
    spread = NORMAL * float(np.sqrt((len(parts) - 1) / len(parts) * np.square(parts - parts.mean()).sum()))
    return Estimate(value, value - spread, value + spread, count)


def difference(ours: tuple[float, Sequence[float]], theirs: tuple[float, Sequence[float]], count: int) -> Estimate:
    """`ours - theirs` of the same pictures in the same order, each as `leave_out` gives it."""
    without = [one - other for one, other in zip(ours[1], theirs[1], strict=True)]
    return estimate(ours[0] - theirs[0], without, count)
