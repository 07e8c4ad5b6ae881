"""DAiD (distribution-augmentation in decoding): mix what was retrieved into what the model predicts.

Pure functions over float64 distributions [V]. The engine and every derived view of a trace go through `blend_step`, so
that "what would another retrieval weight have chosen here" is answered by the code that made the picture.
Source: Qi et al. 2025 (arXiv 2506.06962), where not said otherwise at the function.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from .draw import Distribution
from .types import METHODS, Aggregate, ConfigError, DecodeSettings, FloatArray, Neighbours


@dataclass(frozen=True, slots=True)
class Blend:
    """Distributions [V] of one position: the model's, the neighbours' (None: no neighbours), and their mix.

    weight is the retrieval weight after the gate, 0 where nothing was retrieved.
    """

    model: Distribution
    retrieval: Distribution | None
    blended: Distribution
    weight: float


def blend_step(logits: FloatArray, neighbours: Neighbours | None, settings: DecodeSettings) -> Blend:
    """Everything between the logits [V] of one position and the distribution that its code is drawn from.

    Neighbours that a change has given the weight 0 are left out, as if they had not been found.
    """
    model = model_distribution(logits, settings.temperature, settings.top_k, settings.top_p)
    neighbours = neighbours.active if neighbours else None
    if not neighbours:
        return Blend(model, None, model, 0.0)
    if settings.mixes:
        return mix_of(settings.method).mix(model, neighbours, settings)
    retrieval = retrieval_distribution(neighbours, len(model), settings.retrieval_temperature, settings.aggregate)
    return Blend(model, retrieval, model, 0.0)


class Mix(Protocol):
    """How a method mixes what was retrieved into what the model predicts."""

    def mix(self, model: Distribution, neighbours: Neighbours, settings: DecodeSettings) -> Blend:
        """The distributions of a position from the model's [V] and K >= 1 neighbours, all of which have a say."""
        ...


class Daid:
    """(1 - lambda) * model + lambda * retrieval, lambda being gated by the nearest distance."""

    def mix(self, model: Distribution, neighbours: Neighbours, settings: DecodeSettings) -> Blend:
        """See `Mix`."""
        retrieval = retrieval_distribution(neighbours, len(model), settings.retrieval_temperature, settings.aggregate)
        weight = gated_weight(settings.retrieval_weight, settings.gate, neighbours.distances)
        return Blend(model, retrieval, blend(model, retrieval, weight), weight)


@cache
def mix_of(method: str) -> Mix:
    """What a method of METHODS mixes with, imported when it is first asked for."""
    module, _, name = METHODS[method].mix.partition(":")
    made: Mix = getattr(importlib.import_module(module, __package__), name)()
    return made


def retrieval_distribution(
    neighbours: Neighbours, vocab_size: int, temperature: float, aggregate: Aggregate
) -> Distribution:
    """Distribution [V] over the codes of the neighbours: softmax of -distance / temperature.

    A code that occurs several times gets the mass of all its occurrences under "sum" (the paper's formula, as in
    kNN-LM) and of its nearest one only under "nearest" (released code). temperature is in units of squared L2. Weights
    of the neighbours, if there are any, are factors of their masses (this project's, not the paper's).
    Raises ConfigError without neighbours or when one of their codes is not in the vocabulary.
    """
    codes = neighbours.codes
    if len(codes) == 0:
        raise ConfigError("neighbours: got none, expected at least one; use the model's distribution instead")
    if codes.min() < 0 or codes.max() >= vocab_size:
        raise ConfigError(f"neighbours: got codes {codes.min()}..{codes.max()}, expected 0..{vocab_size - 1}")
    total = np.zeros(vocab_size)
    gather = np.add if aggregate == "sum" else np.maximum
    gather.at(total, codes, neighbour_masses(neighbours, temperature))
    return _normalised(total)


def neighbour_shares(found: Neighbours, temperature: float, aggregate: Aggregate) -> Distribution:
    """Share [K] of `retrieval_distribution` that each neighbour brings; they sum to 1.

    Under "nearest" only the neighbour with the largest mass speaks for its code, the others bring nothing. All are 0
    when a change has dropped every neighbour. K is at least 1.
    """
    if not found.active:
        return np.zeros(len(found))
    mass = neighbour_masses(found, temperature)
    if aggregate == "nearest":
        order, first = np.argsort(-mass, kind="stable"), np.zeros(len(mass), dtype=bool)
        first[order[np.unique(found.codes[order], return_index=True)[1]]] = True
        mass = np.where(first, mass, 0.0)
    shares: Distribution = mass / mass.sum()
    return shares


def neighbour_masses(neighbours: Neighbours, temperature: float) -> Distribution:
    """Mass [K] of each of K >= 1 neighbours before duplicates are put together: exp(-distance / temperature) * weight.

    They are scaled so that the largest is 1; at least one weight must not be 0.
    """
    logs = -neighbours.distances.astype(np.float64) / temperature
    if neighbours.weights is not None:
        with np.errstate(divide="ignore"):
            logs = logs + np.log(neighbours.weights.astype(np.float64))
    masses: Distribution = np.exp(logs - logs.max())
    return masses


def gated_weight(weight: float, gate: float, distances: FloatArray) -> float:
    """Retrieval weight scaled by exp(-d_min / gate), so that far neighbours do not speak; gate 0 leaves it as it is.

    distances: [K] squared L2, K >= 1. The gate is this project's, not the paper's.
    """
    return weight * math.exp(-float(distances.min()) / gate) if gate > 0 else weight


def model_distribution(logits: FloatArray, temperature: float, top_k: int = 0, top_p: float = 1.0) -> Distribution:
    """The model's distribution [V]: softmax of logits / temperature, truncated and renormalised.

    top_k (0: off) keeps the k likeliest codes; top_p (1: off) then keeps the fewest codes that hold that share of the
    mass (Holtzman et al. 2020), at least one. Equal codes go lowest first. Raises ConfigError without a finite maximum.
    """
    peak = float(logits.max())
    if not math.isfinite(peak):
        remedy = "take dtype float32, or restore the weights"
        raise ConfigError(f"logits: got a maximum of {peak}, expected finite numbers; {remedy}")
    mass = np.exp((logits.astype(np.float64) - peak) / temperature)
    if 0 < top_k < len(mass) or top_p < 1:
        mass = _truncate(mass, top_k, top_p)
    return _normalised(mass)


def _normalised(mass: Distribution) -> Distribution:
    """Masses as a distribution that sums to 1."""
    distribution: Distribution = mass / mass.sum()
    return distribution


def _truncate(mass: Distribution, top_k: int, top_p: float) -> Distribution:
    """Masses with all but the top_k, then all but the top_p share of what is left, set to zero.

    Only values are sorted, which is many times faster than sorting codes by them: the least value that is kept decides
    on all codes but those that have just this one, and of these the lowest are kept.
    """
    most = np.partition(mass, -top_k)[-top_k:] if 0 < top_k < len(mass) else mass
    falling = _largest(most, top_p) if top_p < 1 else np.sort(most)[::-1]
    least = falling[-1]
    kept = np.where(mass >= least, mass, 0.0)
    if (too_many := np.count_nonzero(kept) - len(falling)) > 0:
        kept[np.flatnonzero(mass == least)[-too_many:]] = 0.0
    return kept


ROUNDING = 1e-9
"""More than sums of masses in another order differ by, relative to them."""


def _largest(mass: Distribution, share: float) -> Distribution:
    """The fewest of the masses [n] that hold a share < 1 of all, at least one, falling.

    Those below (1 - share) / n of the total hold less than 1 - share together, so they are not among them and need not
    be sorted. Where the share ends within rounding of a sum, the sum of all in falling order decides.
    """
    total = float(mass.sum())
    falling = np.sort(mass[mass >= (1 - ROUNDING) * (1 - share) * total / len(mass)])[::-1]
    cumulative = np.cumsum(falling)
    end = int(cumulative.searchsorted((1 - ROUNDING) * share * total))
    if end < len(falling) and cumulative[end] >= (1 + ROUNDING) * share * total:
        return falling[: end + 1]
    falling = np.sort(mass)[::-1]
    cumulative = np.cumsum(falling)
    return falling[: int(np.searchsorted(cumulative, share * cumulative[-1])) + 1]


def blend(model: Distribution, retrieval: Distribution, weight: float | Distribution) -> Distribution:
    """(1 - weight) * model + weight * retrieval, after guidance and truncation of the model's side.

    Of distributions [V], or of the probabilities [n] of one code each at n positions, with a weight [n] for each.
    """
    return (1 - weight) * model + weight * retrieval


def kl_ceiling(weight: float) -> float:
    """The most that mixing with a retrieval weight lambda can move a distribution: -ln(1 - lambda), in nats.

    The blend b = (1 - lambda) m + lambda r is at least (1 - lambda) m at every code, since r is nowhere below 0. So
    ln(m / b) <= -ln(1 - lambda) wherever m > 0, and KL(m || b), which is its mean under m, is at most that: it is
    reached where retrieval gives nothing to any code that the model may draw. A gate only lowers lambda, so what holds
    for the full one holds for what it leaves. Infinite for a weight of 1. This is so for the mix alone: what blenders
    do to m has no such bound.
    """
    return math.inf if weight >= 1 else -math.log1p(-weight)
