"""How one position is drawn, and how a race is decided that is all but tied.

A pass of a model over one position, over several, or over several pictures adds up in other orders, so that logits
differ in their last digits. That changes a code only where the first two of a race are that near. There, logits count
that depend on the codes alone (`core.backends.protocol.Settling`): neither drafts nor the other rows of a batch change
a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .daid import blend_step
from .draw import race
from .types import DecodeSettings, FloatArray, Neighbours


@dataclass(frozen=True, slots=True)
class Drawn:
    """The code of a position, the logits [V] that it was drawn from, and whether these settled a tie."""

    logits: FloatArray
    code: int
    settled: bool = False


def draw(
    logits: FloatArray,
    neighbours: Neighbours | None,
    settings: DecodeSettings,
    position: int,
    settle: Callable[[], FloatArray] | None,
) -> Drawn:
    """The code that a position's noise takes from the blend.

    logits: [V] guided; settle: gives those that count in a race that is all but tied, None where a model has none.
    """
    noise = race(settings.seed, position, len(logits))
    blended = blend_step(logits, neighbours, settings).blended
    if settle is None or not noise.is_close(blended):
        return Drawn(logits, noise.draw(blended))
    logits = settle()
    return Drawn(logits, noise.draw(blend_step(logits, neighbours, settings).blended), settled=True)
