"""A run in one sentence, and the position that says most of it: pure functions over what the stepper gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.views import Array
from core.trace import Trace

FEW = 0.05
"""Fewer changes than that share of the look-ups need a reason."""

LIGHT = 0.2
"""Look-ups with less weight than that, on average, have little."""

AGREED = 0.5
"""From that share of the look-ups on, they are said to tell the model what it draws anyway."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What look-ups did to a run.

    looked_up: positions that asked the database; drawn: positions whose code was drawn, not given or chosen; changed:
    drawn patches that look-ups changed, None where that was not recorded; hindsight: the same of those that were not
    drawn, where it is what look-ups would have changed; place, share: the source (by its place in the stepper's table
    of sources) that most of the picture comes from, and that share of all patches (mean credit, see
    `core.analysis.provenance`), -1 and 0 where no look-up is mixed in; weight: mean retrieval weight of the look-ups,
    after the gate; agreed: share of the look-ups whose favourite code is drawn with nothing retrieved, too (0 where
    nothing is mixed in); start: where to stand at first.
    """

    looked_up: int
    steps: int
    drawn: int
    changed: int | None
    hindsight: int | None
    place: int
    share: float
    weight: float
    agreed: float
    start: int

    @property
    def why(self) -> str:
        """Why so little was changed, "" where much was, or where that is not known."""
        if self.changed is None or not self.drawn or not self.looked_up or self.changed >= FEW * self.looked_up:
            return ""
        if self.agreed >= AGREED:
            return f"In {100 * self.agreed:.0f} % of its places the model alone draws what they favour"
        light = self.place >= 0 and self.weight < LIGHT
        return f"Look-ups had little weight here: {self.weight:.2f} on average" if light else ""


def summary_of(
    trace: Trace, arrays: Mapping[str, Array], origin: Mapping[str, Any], seen: Array | None = None
) -> Summary:
    """What look-ups did; arrays, origin: as `pack_trace` sends them; seen: see `start_of`."""
    asked, drawn = arrays["reason"] < 0, arrays["drawn"] == 1
    differ = arrays["pick"] != arrays["without"]
    best = origin["listed"][0] if origin["mixes"] and origin["listed"] else None
    favourites = arrays["top_code"][np.arange(len(asked)), arrays["top_retrieval"].argmax(axis=1)]
    agreed = favourites == arrays["without"]
    return Summary(
        looked_up=int(asked.sum()),
        steps=len(trace.steps),
        drawn=int(drawn.sum()),
        changed=int((drawn & differ).sum()) if trace.flips_known else None,
        hindsight=int((~drawn & differ).sum()) if trace.flips_known else None,
        place=int(origin["places"][0]) if best else -1,
        share=float(best["credit"]) if best else 0.0,
        weight=float(arrays["mix"][asked].mean()) if asked.any() else 0.0,
        agreed=float(agreed[asked].mean()) if asked.any() and origin["mixes"] else 0.0,
        start=start_of(trace, arrays, seen),
    )


def start_of(trace: Trace, arrays: Mapping[str, Array], seen: Array | None = None) -> int:
    """The position to stand at first: the change that one sees most, or else where a look-up moved the prediction most.

    seen: [steps] how much a change is seen, NaN where nothing was changed; without it a change is as large as the
    prediction was moved. A run that was paused goes on at its end, and is shown there.
    """
    last = len(trace.steps) - 1
    if not trace.complete:
        return last
    flips = (arrays["drawn"] == 1) & (arrays["pick"] != arrays["without"])
    moved = np.nan_to_num(arrays["kl"], nan=-1.0)
    if flips.any():
        size = moved if seen is None else np.nan_to_num(seen, nan=-1.0)
        return int(np.where(flips, size, -np.inf).argmax())
    asked = arrays["reason"] < 0
    return int(np.where(asked, moved, -np.inf).argmax()) if asked.any() else last
