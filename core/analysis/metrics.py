"""What happened in a run, in numbers that can be drawn: entropies, divergence, distances, neighbours, time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..trace import Trace, neighbours
from ..types import FloatArray, Grid
from .explain import ceiling, explain
from .provenance import effective_number, neighbour_mass

PARTS = ("model", "search", "blend")
"""What the time of a position goes to."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Numbers of the n positions of a run; NaN stands for what is not there, or was not recorded.

    entropy: [n, 3] in nats, of the model without retrieval, of the neighbours, and of what the code was drawn from;
    kl: [n] in nats, from the model without retrieval to what was drawn from; ceiling: [n] the most that it can be, by
    the weight before the gate (see `core.daid.kl_ceiling`), inf where nothing bounds it; distances: [all] squared L2 of
    all neighbours of all positions; nearest: [n] that of the nearest one; effective: [n] effective number of
    neighbours, exp of the entropy of their shares, 0 where nothing took part; milliseconds: [n, 3] of each of PARTS.
    """

    grid: Grid
    entropy: FloatArray
    kl: FloatArray
    ceiling: FloatArray
    distances: FloatArray
    nearest: FloatArray
    effective: FloatArray
    milliseconds: FloatArray

    def by_row(self, values: FloatArray) -> FloatArray:
        """Means [rows] over the rows of the picture of values [n], without those that are NaN; NaN without any."""
        rows = np.arange(len(values)) // self.grid.width
        known = np.isfinite(values)
        count = np.bincount(rows[known], minlength=rows[-1] + 1)
        total = np.bincount(rows[known], values[known], minlength=rows[-1] + 1)
        means: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
        return means

    @property
    def has_ceiling(self) -> bool:
        """Whether something was mixed somewhere, and with a weight below 1 and no blenders."""
        return bool((np.isfinite(self.ceiling) & (self.ceiling > 0)).any())

    def distance_shares(self, bins: int = 32) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Edges [bins + 1] from 0, and the shares [bins] of all distances and of the nearest ones between them."""
        top = float(self.distances.max(initial=0.0)) or 1.0
        edges = np.linspace(0, top, bins + 1, dtype=np.float32)
        nearest = self.nearest[np.isfinite(self.nearest)]
        counts = [np.histogram(values, edges)[0].astype(np.float32) for values in (self.distances, nearest)]
        everything, first = (count / max(float(count.sum()), 1.0) for count in counts)
        return edges, everything, first

    @property
    def usual_milliseconds(self) -> float:
        """The time that nearly all positions stay below, where a few take far longer; the longest time otherwise."""
        whole = self.milliseconds.sum(axis=1)
        usual, longest = 1.5 * float(np.quantile(whole, 0.97)), float(whole.max())
        return usual if longest > 2 * usual else longest


def measure(trace: Trace) -> Metrics:
    """The metrics of a trace with at least one step."""
    found = [neighbours(step) for step in trace.steps]
    explained = [explain(trace, step.position) for step in trace.steps]
    seconds = [(step.seconds.model, step.seconds.search, step.seconds.blend) for step in trace.steps]
    masses = [neighbour_mass(step, trace.settings_at(step.position))[1] for step in trace.steps]
    return Metrics(
        grid=trace.grid,
        entropy=np.array([here.entropies for here in explained], np.float32),
        kl=np.array([here.moved for here in explained], np.float32),
        ceiling=np.array([ceiling(trace, step.position) for step in trace.steps], np.float32),
        distances=np.concatenate([np.zeros(0, np.float32), *(near.distances for near in found if near)]),
        nearest=np.array([near.distances[0] if near else np.nan for near in found], np.float32),
        effective=np.array([effective_number(mass) for mass in masses], np.float32),
        milliseconds=1000 * np.array(seconds, np.float32),
    )
