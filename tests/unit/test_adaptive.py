"""The gate that gives every position a weight of its own."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.adaptive import learn
from core.types import ConfigError


def test_a_gate_learns_to_trust_where_trust_is_right() -> None:
    told = np.array([0.0, 1.0] * 50)
    model, retrieved = np.where(told > 0, 0.001, 0.5), np.where(told > 0, 0.9, 0.0)
    gate = learn(("told", "constant"), np.column_stack([told, np.ones(100)]), model, retrieved)
    never, always = gate.weights(np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert never < 0.01
    assert always > 0.99


def test_where_signs_say_nothing_the_best_fixed_weight_is_found() -> None:
    """Half of the codes only the model knows, half only the neighbours: (1 - w) * w is largest at 1/2."""
    model, retrieved = np.array([0.8, 0.0] * 10), np.array([0.0, 0.6] * 10)
    gate = learn(("nothing",), np.zeros((20, 1)), model, retrieved)
    assert gate.weights(np.zeros(1)) == pytest.approx(0.5)
    three_of_four = np.array([0.0, 0.6, 0.6, 0.6] * 10), np.array([0.8, 0.0, 0.0, 0.0] * 10)
    gate = learn(("nothing",), np.zeros((40, 1)), three_of_four[1], three_of_four[0])
    assert gate.weights(np.zeros(1)) == pytest.approx(0.75, abs=1e-3)


def test_the_same_positions_give_the_same_gate() -> None:
    rng = np.random.default_rng(0)
    signs, model, retrieved = rng.normal(size=(200, 3)), rng.random(200), rng.random(200)
    first, again = (learn(("a", "b", "c"), signs, model, retrieved) for _ in range(2))
    assert (first.coefficients == again.coefficients).all()


def test_no_position_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no position"):
        learn(("a",), np.zeros((0, 1)), np.zeros(0), np.zeros(0))
