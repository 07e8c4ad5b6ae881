"""Whether look-ups helped with a picture that was given: how surprising its codes were with and without them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ..types import FloatArray

LITTLE = 0.01
"""Nats a code below which a change counts as little: the probability of a code changes by 1 % on average."""

ERRORS = 2.0
"""Standard errors below which a change is not told from none: one reading in twenty would show as much by chance."""

Word = Literal["helps", "hurts", "little", "unclear", "nothing"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a method made of a picture, against the model alone.

    nats: its mean surprise per code; change: by how much that is above the model's, so that less than 0 is a help;
    error: standard error of the change. All in nats.
    """

    nats: float
    change: float
    error: float

    @property
    def word(self) -> Word:
        """Helps or hurts where the change is no little one, and at least ERRORS standard errors from 0."""
        if self.change == 0 and self.error == 0:
            return "nothing"
        if abs(self.change) < LITTLE:
            return "little"
        if not abs(self.change) >= ERRORS * self.error:
            return "unclear"
        return "helps" if self.change < 0 else "hurts"


def judge(alone: FloatArray, method: FloatArray, width: int) -> Verdict:
    """The verdict on a method, from the surprise [n] of the codes of `n / width` whole rows, in nats.

    Neighbouring patches are alike, so that their changes are no independent samples: the standard error is that of the
    means of the rows, which on held-out pictures is up to twice that over the codes. It is infinite for a single row.
    """
    changes = (method.astype(float) - alone.astype(float)).reshape(-1, width).mean(axis=1)
    count = len(changes)
    error = float(changes.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    return Verdict(float(method.mean()), float(changes.mean()), error)
