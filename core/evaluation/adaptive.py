"""A retrieval weight for every position: a logistic gate that is learned on validation pictures; sources below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..types import ConfigError
from .scores import Numbers

SOURCES = (
    "After He, Neubig and Berg-Kirkpatrick 2021 (arXiv 2109.04212, adaptive retrieval), who let a small network tell λ "
    "from the confidence and the entropy of the language model and from counts, and train it for the likelihood of the "
    "mixture on held-out text; Drozdov et al. 2022 (2210.15859) make λ depend on how near the neighbours are. Here it "
    "is one linear layer over both kinds of signs, so that its coefficients can be read, fitted by "
    "expectation-maximisation (Jordan and Jacobs 1994: a mixture of two experts with a logistic gate), one Newton step "
    "a turn, which is deterministic."
)

TURNS, ENOUGH = 1000, 1e-10
"""Most turns of the fit; it ends when the mean log-likelihood grows by less than this."""

RIDGE = 1e-6
"""Of the squared coefficients, for each position: only there so that a sign that never changes does no harm."""

LARGEST = 30.0
"""Bound on what the gate's exponential gets."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gate:
    """lambda = sigmoid(bias + sum of coefficient * (sign - centre) / scale); all [D], in the order of the names."""

    names: tuple[str, ...]
    centre: Numbers
    scale: Numbers
    coefficients: Numbers
    bias: float
    turns: int

    def weights(self, signs: Numbers) -> Numbers:
        """Retrieval weights [...] for signs [..., D]."""
        standard = (signs - self.centre) / self.scale
        return _sigmoid(standard @ self.coefficients + self.bias)


def learn(names: tuple[str, ...], signs: Numbers, model: Numbers, retrieved: Numbers) -> Gate:
    """The gate that makes the true codes of n positions likeliest.

    signs: [n, D]; model, retrieved: probabilities [n] of the true codes under the two that are mixed. Raises
    ConfigError for no position at all.
    """
    if len(signs) == 0:
        raise ConfigError("adaptive gate: got no position that retrieved something, expected some; measure more")
    centre, scale = signs.mean(axis=0), signs.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    rows = np.column_stack([(signs - centre) / scale, np.ones(len(signs))])
    fitted, turns = _fitted(rows, model, retrieved)
    return Gate(names, centre, scale, fitted[:-1], float(fitted[-1]), turns)


def _fitted(rows: Numbers, model: Numbers, retrieved: Numbers) -> tuple[Numbers, int]:
    """Coefficients [D + 1], the last one for the column of ones, and after how many turns."""
    found = np.zeros(rows.shape[1])
    ridge = RIDGE * len(rows) * np.eye(rows.shape[1])
    before, turn = _likelihood(rows @ found, model, retrieved), 0
    for turn in range(1, TURNS + 1):  # noqa: B007 - how many it took is told
        gate = _sigmoid(rows @ found)
        mixed = (1 - gate) * model + gate * retrieved
        owed = np.where(mixed > 0, gate * retrieved / np.where(mixed > 0, mixed, 1), gate)
        slope = rows.T @ (owed - gate) - ridge @ found
        bend = rows.T @ (rows * (gate * (1 - gate))[:, None]) + ridge
        step = np.linalg.solve(bend, slope)
        found, after = _risen(rows, found, step, before, model, retrieved)
        if after - before < ENOUGH:
            break
        before = after
    return found, turn


def _risen(
    rows: Numbers, found: Numbers, step: Numbers, before: float, model: Numbers, retrieved: Numbers
) -> tuple[Numbers, float]:
    """The coefficients after a step, halved until the likelihood does not fall."""
    for halving in range(20):
        moved = found + step / 2**halving
        after = _likelihood(rows @ moved, model, retrieved)
        if after >= before:
            return moved, after
    return found, before


def _likelihood(logits: Numbers, model: Numbers, retrieved: Numbers) -> float:
    """Mean log-likelihood of the true codes; codes that neither side deems possible are left out."""
    gate = _sigmoid(logits)
    mixed = (1 - gate) * model + gate * retrieved
    return float(np.log(mixed[mixed > 0]).sum() / len(mixed))


def _sigmoid(logits: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-np.clip(logits, -LARGEST, LARGEST)))
