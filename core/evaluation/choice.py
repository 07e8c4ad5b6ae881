"""Which settings of DAiD validation pictures choose: every blend of what was looked up once, over the true codes alone.

N pictures of S positions; F caption filters, K numbers of neighbours, T retrieval temperatures, A ways to put codes
together, as `scores.true_chances` has them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..daid import blend
from ..types import DecodeSettings
from .scores import AGGREGATES, Numbers

WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
GATES = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
FILTERS, COUNTS, TEMPERATURES = (0, 32, 128), (16, 64, 256, 1024, 2048, 4096, 8192), (0.1, 0.3, 0.6, 1.0)


@dataclass(frozen=True, slots=True)
class Axes:
    """The values of every setting that are tried, ascending."""

    filters: tuple[int, ...]
    counts: tuple[int, ...]
    temperatures: tuple[float, ...]
    weights: tuple[float, ...]
    gates: tuple[float, ...]

    @classmethod
    def around(cls, settings: DecodeSettings, captions: bool = True) -> Axes:
        """The grid, with the values of some settings in it; captions: whether the database can be filtered by them."""
        return cls(
            _with(FILTERS, settings.caption_filter) if captions else (0,),
            _with(COUNTS, settings.n_neighbours),
            _with(TEMPERATURES, settings.retrieval_temperature),
            _with(WEIGHTS, settings.retrieval_weight),
            _with(GATES, settings.gate),
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Axes:
        """As `asdict` and JSON leave it."""
        return cls(**{name: tuple(values[name]) for name in cls.__slots__})

    def place(self, settings: DecodeSettings) -> Blend:
        """Where settings stand that the grid was made around."""
        return Blend(
            self.filters.index(settings.caption_filter) if settings.caption_filter in self.filters else 0,
            self.counts.index(settings.n_neighbours),
            self.temperatures.index(settings.retrieval_temperature),
            AGGREGATES.index(settings.aggregate),
            settings.retrieval_weight,
            settings.gate,
        )


def _with(values: tuple[Any, ...], own: Any) -> tuple[Any, ...]:
    return tuple(sorted({*values, own}))


@dataclass(frozen=True, slots=True)
class Blend:
    """One combination of settings: numbers of its caption filter, K, tau and aggregation in the axes; lambda, gate."""

    filter: int
    count: int
    temperature: int
    aggregate: int
    weight: float
    gate: float

    @property
    def looked_up(self) -> tuple[int, int, int, int]:
        """Its place in what was looked up."""
        return self.filter, self.count, self.temperature, self.aggregate

    def said(self, axes: Axes) -> str:
        """Its settings in words."""
        return (
            f"λ {self.weight:g}, τ {axes.temperatures[self.temperature]:g}, K {axes.counts[self.count]}, "
            f"{AGGREGATES[self.aggregate]}, gate {self.gate:g}, caption filter {axes.filters[self.filter]}"
        )

    def settings(self, axes: Axes) -> dict[str, Any]:
        """Its settings, by the names of `DecodeSettings`."""
        return {
            "retrieval_weight": self.weight,
            "retrieval_temperature": axes.temperatures[self.temperature],
            "n_neighbours": axes.counts[self.count],
            "aggregate": AGGREGATES[self.aggregate],
            "gate": self.gate,
            "caption_filter": axes.filters[self.filter],
        }

    def json(self) -> dict[str, float]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Part:
    """What the pictures of one side score; model [N, S], retrieved [N, F, K, T, A, S], nearest [N, F, S].

    model: probability of the true code under whatever is mixed into; retrieved: under the neighbours; nearest: their
    least distance, infinite where nothing was found. keys: of the pictures.
    """

    keys: tuple[str, ...]
    model: Numbers
    retrieved: npt.NDArray[np.floating]
    nearest: npt.NDArray[np.floating]

    def weights(self, chosen: Blend) -> Numbers:
        """Retrieval weight [N, S] after the gate; 0 where nothing was found."""
        return chosen.weight * speaking(self.nearest[:, chosen.filter], chosen.gate)

    def probabilities(self, chosen: Blend) -> Numbers:
        """Of the true codes [N, S] under a blend."""
        return blend(self.model, self.chances(chosen), self.weights(chosen))

    def chances(self, chosen: Blend) -> Numbers:
        """Of the true codes [N, S] under the neighbours alone; 0 where nothing was found."""
        f, k, t, a = chosen.looked_up
        return np.asarray(self.retrieved[:, f, k, t, a], np.float64)

    def nats(self, chosen: Blend | None = None) -> Numbers:
        """Mean nats per code of every picture [N], of the model alone for None."""
        return nats_of(self.model if chosen is None else self.probabilities(chosen))


def speaking(nearest: npt.NDArray[np.floating], gate: float) -> Numbers:
    """What a gate leaves of a retrieval weight of 1, as `core.daid.gated_weight`; 0 where nothing was found."""
    distances = np.asarray(nearest, np.float64)
    found = np.isfinite(distances)
    return np.where(found, np.exp(-distances / gate) if gate > 0 else 1.0, 0.0)


def nats_of(probabilities: Numbers) -> Numbers:
    """Mean nats per code [N] of probabilities [N, S] of the true codes; infinite where one of them is 0."""
    with np.errstate(divide="ignore"):
        nats: Numbers = -np.log(probabilities).mean(axis=1)
    return nats


@dataclass(frozen=True, slots=True)
class Tried:
    """A combination of settings and its mean nats per code."""

    nats: float
    blend: Blend


def ranked(part: Part, axes: Axes) -> list[Tried]:
    """All combinations of the axes, the best for the pictures of a side first; ties go to the first in the axes."""
    tried = list[Tried]()
    model, count = part.model.ravel(), part.model.size
    shares = {
        (f, gate): speaking(part.nearest[:, f], gate).ravel()
        for f, gate in itertools.product(range(len(axes.filters)), axes.gates)
    }
    families = itertools.product(*(range(size) for size in part.retrieved.shape[1:5]))
    for f, k, t, a in families:
        gained = np.asarray(part.retrieved[:, f, k, t, a], np.float64).ravel() - model
        for gate in axes.gates:
            moved = shares[f, gate] * gained
            for weight in axes.weights:
                with np.errstate(divide="ignore"):
                    nats = -float(np.log(model + weight * moved).sum()) / count
                tried.append(Tried(nats, Blend(f, k, t, a, weight, gate)))
    return sorted(tried, key=lambda trial: trial.nats)


def over_weights(part: Part, chosen: Blend, weights: Sequence[float]) -> list[Numbers]:
    """Nats per code [N] of every picture, for each retrieval weight."""
    looks = [Blend(*chosen.looked_up, weight, chosen.gate) for weight in weights]
    return [part.nats(look) for look in looks]


def over_counts(part: Part, chosen: Blend, axes: Axes) -> list[Numbers]:
    """Nats per code [N] of every picture, for each K."""
    f, _, t, a = chosen.looked_up
    return [part.nats(Blend(f, k, t, a, chosen.weight, chosen.gate)) for k in range(len(axes.counts))]
