"""What a change would do at one position, and what of that a trace cannot tell; nothing here runs a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..daid import Blend, blend_step, neighbour_shares
from ..draw import Distribution
from ..trace import Trace, neighbours
from ..types import Change, DecodeSettings, Neighbours, StepRecord
from .explain import Explanation, explain

_SEARCHES = ("caption_filter", "position_weight", "styles")
"""Settings that decide which neighbours are found."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One position as it was, and as a change would make it.

    was: what happened there; before, after: what the code is drawn from; neighbours: those of the position with the
    weights of the change, None without, and their shares [K] then; codes: what the noise of the position picks before
    and after, as in a branch from here (or what the change says); beyond: what the change does besides, which only the
    model or the database can tell.
    """

    was: Explanation
    before: Blend
    after: Blend
    neighbours: Neighbours | None
    shares: Distribution
    codes: tuple[int, int]
    beyond: tuple[str, ...]


def what_if(trace: Trace, position: int, change: Change) -> WhatIf:
    """What a change at a position of the trace would have picked there, by the code that made the picture."""
    was = explain(trace, position)
    step, old = was.step, was.settings
    new = change.settings or old
    found = _kept(neighbours(step), new.n_neighbours)
    weighed = change.weighed(found) if found else None
    before = was.blend if was.drawn else trace.blend(position)
    after = blend_step(step.logits, weighed, new)
    picked = trace.luck(position).draw(after.blended) if change.code is None else change.code
    shares = neighbour_shares(weighed, new.retrieval_temperature, new.aggregate) if weighed else np.zeros(0)
    return WhatIf(was, before, after, weighed, shares, (was.own, picked), _beyond(step, old, new, change))


def _kept(found: Neighbours | None, count: int) -> Neighbours | None:
    """The nearest `count` neighbours (0: all) of those that are recorded, without the weights of an earlier change."""
    if found is None:
        return None
    kept = slice(0, count or None)
    return Neighbours(found.codes[kept], found.distances[kept], found.entries[kept], lost=found.lost)


def _beyond(step: StepRecord, old: DecodeSettings, new: DecodeSettings, change: Change) -> tuple[str, ...]:
    """What the trace cannot tell of a change, in words for the reader."""
    found = neighbours(step)
    reasons = []
    if old.blends != new.blends:
        reasons.append("FAiD works inside the model")
    elif new.blends and (new.n_neighbours != old.n_neighbours or change.weights or change.others != 1):
        reasons.append("the blenders would get other features")
    if (old.cfg_scale, old.negative_share) != (new.cfg_scale, new.negative_share):
        reasons.append("guidance needs the model again")
    if new.retrieves and not old.retrieves:
        reasons.append("this run looked nothing up")
    elif new.retrieves and any(getattr(old, name) != getattr(new, name) for name in _SEARCHES):
        reasons.append("other neighbours would be found")
    elif found and new.retrieves and not 0 < new.n_neighbours <= len(found) and old.n_neighbours == len(found):
        reasons.append(f"only the {len(found)} neighbours that were looked up are counted")
    return tuple(reasons)
