"""Which source images shaped a picture, and which of its patches each of them shaped: pure functions over a trace.

Attribution is this project's own: the paper mixes distributions and does not ask where their mass came from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import entry_places
from ..daid import blend_step, neighbour_shares
from ..draw import Distribution
from ..trace import Trace, neighbours
from ..types import DecodeSettings, FloatArray, IntArray, Neighbours, StepRecord

LEAST_CREDIT = 0.01
"""A code of which no image has that much is the model's own: it belongs to none."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What M source images brought to the n positions of a picture; the image that brought most comes first.

    images: [M] their numbers in the database. mass: [n, M] the share of what each code was drawn from that an image
    brought (see `neighbour_mass`). credit: [n, M] the same for the code that was taken alone: how much of its
    probability came from there. What both lack to 1 is the model's own. cells: [n, M] raster cell in the image of the
    neighbour with most of the credit, -1 without credit.
    """

    images: IntArray
    mass: Distribution
    credit: Distribution
    cells: IntArray

    @property
    def shares(self) -> Distribution:
        """Share [M] of the whole picture's mass that each image brought."""
        return _mean(self.mass)

    @property
    def credits(self) -> Distribution:
        """Share [M] of the probability of all codes that were taken."""
        return _mean(self.credit)

    @property
    def owners(self) -> IntArray:
        """Number [n], in `images`, of the one with most credit for each code; -1 where none has LEAST_CREDIT."""
        if not len(self.images):
            return np.full(len(self.credit), -1)
        return np.where(self.credit.max(axis=1) >= LEAST_CREDIT, self.credit.argmax(axis=1), -1)

    @property
    def patches(self) -> IntArray:
        """How many positions [M] each image owns."""
        return np.bincount(self.owners + 1, minlength=len(self.images) + 1)[1:]


def _mean(shares: Distribution) -> Distribution:
    """Mean over all positions."""
    mean: Distribution = shares.mean(axis=0)
    return mean


def provenance(trace: Trace) -> Provenance:
    """What each source image brought to every position of a trace."""
    images = np.array(sorted(trace.sources), dtype=np.int64)
    size = (len(trace.steps), len(images))
    mass, credit, cells = np.zeros(size), np.zeros(size), np.full(size, -1)
    for row, step in enumerate(trace.steps):
        settings = trace.settings_at(step.position)
        found, brought = neighbour_mass(step, settings)
        if not len(found):
            continue
        places, rows, columns = entry_places(trace.origin.context, trace.grid, found.entries)
        numbers = np.searchsorted(images, places)
        credits = _credits(step, found, brought, settings)
        np.add.at(mass[row], numbers, brought)
        np.add.at(credit[row], numbers, credits)
        heaviest = np.argsort(credits, kind="stable")  # the last one that is written stays
        heaviest = heaviest[credits[heaviest] > 0]
        cells[row, numbers[heaviest]] = (rows * trace.grid.width + columns)[heaviest]
    order = np.lexsort((images, -credit.sum(axis=0), -mass.sum(axis=0)))
    return Provenance(images[order], mass[:, order], credit[:, order], cells[:, order])


def neighbour_mass(step: StepRecord, settings: DecodeSettings) -> tuple[Neighbours, Distribution]:
    """The neighbours that took part in a step, and the share [K] of what its code was drawn from that each brought.

    With DAiD that is the retrieval weight after the gate times the neighbour's share of the retrieval distribution:
    together they are the weight. FAiD alone mixes no distributions; there it is the share of the compatibility in the
    last blender, among all features that went through it: a proxy for how much a feature changed the hidden state.
    """
    found = neighbours(step)
    if found is None or not len(found):
        return _NONE, np.zeros(0)
    if settings.mixes:
        weight = blend_step(step.logits, found, settings).weight
        return found, weight * neighbour_shares(found, settings.retrieval_temperature, settings.aggregate)
    if step.faid is None:
        return _NONE, np.zeros(0)
    scores = step.faid.compatibility[-1].astype(np.float64)
    count = step.faid.present
    active = found.active
    blended = Neighbours(active.codes[:count], active.distances[:count], active.entries[:count])
    return blended, scores[:count] / max(scores.sum(), 1e-12)


_NONE = Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))


def _credits(step: StepRecord, found: Neighbours, mass: Distribution, settings: DecodeSettings) -> Distribution:
    """Share [K] of the taken code's probability that each neighbour brought; FAiD alone has no probabilities to share.

    There a neighbour with the taken code keeps its mass, and the others have no credit. Nor has anybody credit for a
    code that was chosen by hand and had no probability.
    """
    credits: Distribution = np.where(found.codes == step.code, mass, 0.0)
    if not settings.mixes or not credits.any():
        return credits
    shared: Distribution = credits / blend_step(step.logits, found, settings).blended[step.code]
    return shared


def effective_number(shares: Distribution | FloatArray) -> float:
    """How many equal shares would be as even as these: exp of their entropy; 0 when there is nothing to share."""
    positive = np.asarray(shares, np.float64)
    positive = positive[positive > 0]
    if not len(positive):
        return 0.0
    positive = positive / positive.sum()
    return float(np.exp(-(positive * np.log(positive)).sum()))
