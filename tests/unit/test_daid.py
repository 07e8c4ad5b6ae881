"""The blend of model and retrieval: numbers computed by hand, and what holds for all numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.daid import (
    _truncate,
    blend,
    blend_step,
    gated_weight,
    kl_ceiling,
    model_distribution,
    neighbour_shares,
    retrieval_distribution,
)
from core.draw import Distribution
from core.trace import kl_divergence
from core.types import Aggregate, ConfigError, DecodeSettings, FloatArray, Neighbours

HALF = 1 / math.log(2)  # at this temperature one unit of distance halves the mass
CHEAP = settings(deadline=None, max_examples=60)


def neighbours(codes: list[int] | npt.NDArray[Any], distances: list[float] | npt.NDArray[Any]) -> Neighbours:
    order = np.argsort(distances, kind="stable")
    return Neighbours(
        np.asarray(codes, np.int64)[order], np.asarray(distances, np.float32)[order], np.arange(len(codes))
    )


some_neighbours = st.lists(st.tuples(st.integers(0, 9), st.floats(0, 16, width=32)), min_size=1, max_size=30).map(
    lambda pairs: neighbours([code for code, _ in pairs], [distance for _, distance in pairs])
)
some_logits = arrays(np.float32, 10, elements=st.floats(-30, 30, width=32))


# -- retrieval_distribution -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("sum", [0, 1.25 / 2, 0.5 / 2, 0.25 / 2]), ("nearest", [0, 1 / 1.75, 0.5 / 1.75, 0.25 / 1.75])],
)
def test_retrieval_by_hand(aggregate: Aggregate, expected: list[float]) -> None:
    """Codes 1, 2, 3, 1 at distances 3, 4, 5, 5 weigh 1, 1/2, 1/4, 1/4."""
    found = retrieval_distribution(neighbours([1, 2, 3, 1], [3, 4, 5, 5]), 4, HALF, aggregate)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("aggregate", "expected"), [("sum", [0.5, 0.25, 0.125, 0.125]), ("nearest", [1 / 1.75, 0.5 / 1.75, 0.25 / 1.75, 0])]
)
def test_shares_of_neighbours_by_hand(aggregate: Aggregate, expected: list[float]) -> None:
    """The same four neighbours, codes 1, 2, 3, 1: under "nearest" the second one with code 1 brings nothing."""
    shares = neighbour_shares(neighbours([1, 2, 3, 1], [3, 4, 5, 5]), HALF, aggregate)
    np.testing.assert_allclose(shares, expected, atol=1e-12)


@CHEAP
@given(some_neighbours, st.sampled_from(["sum", "nearest"]), st.floats(1e-2, 100))
def test_shares_of_neighbours_add_up_to_the_retrieval_distribution(
    found: Neighbours, aggregate: Aggregate, temperature: float
) -> None:
    shares = neighbour_shares(found, temperature, aggregate)
    together = np.bincount(found.codes, shares, minlength=10)
    np.testing.assert_allclose(together, retrieval_distribution(found, 10, temperature, aggregate), atol=1e-12)


def test_900_of_1000_neighbours_agree() -> None:
    """The mass of duplicates is what makes retrieval confident: 0.90, and 1 of 91 codes without it."""
    codes = np.r_[np.zeros(900, np.int64), 1 + np.arange(100) % 90]
    found = neighbours(codes, np.ones(1000))
    assert retrieval_distribution(found, 1024, 0.1, "sum")[0] == pytest.approx(0.9)
    assert retrieval_distribution(found, 1024, 0.1, "nearest")[0] == pytest.approx(0.011, abs=5e-4)


@CHEAP
@given(some_neighbours, st.sampled_from(["sum", "nearest"]), st.floats(1e-4, 100))
def test_retrieval_is_a_distribution_over_the_retrieved_codes(
    found: Neighbours, aggregate: Aggregate, temperature: float
) -> None:
    result = retrieval_distribution(found, 10, temperature, aggregate)
    assert result.dtype == np.float64
    assert (result >= 0).all()
    assert result.sum() == pytest.approx(1)
    assert set(np.flatnonzero(result)) <= set(found.codes.tolist())
    assert result[found.codes[0]] > 0


@CHEAP
@given(some_neighbours)
def test_aggregates_agree_without_duplicates(found: Neighbours) -> None:
    codes, first = np.unique(found.codes, return_index=True)
    single = neighbours(codes, found.distances[first])
    nearest = retrieval_distribution(found, 10, 1.0, "nearest")
    np.testing.assert_allclose(nearest, retrieval_distribution(single, 10, 1.0, "sum"), atol=1e-12)
    np.testing.assert_allclose(nearest, retrieval_distribution(single, 10, 1.0, "nearest"), atol=1e-12)


@CHEAP
@given(some_neighbours, st.floats(0, 16))
def test_a_common_distance_does_not_matter(found: Neighbours, shift: float) -> None:
    moved = Neighbours(found.codes, (found.distances + shift).astype(np.float32), found.entries)
    once, again = (retrieval_distribution(n, 10, 1.0, "sum") for n in (found, moved))
    np.testing.assert_allclose(once, again, atol=1e-4)


def test_far_neighbours_do_not_underflow() -> None:
    np.testing.assert_allclose(retrieval_distribution(neighbours([2, 1], [16, 16]), 3, 1e-4, "sum"), [0, 0.5, 0.5])


@pytest.mark.parametrize("codes", [[], [4], [-1]])
def test_retrieval_refuses_what_is_no_code(codes: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"got .* expected"):
        retrieval_distribution(neighbours(codes, [0.0] * len(codes)), 4, 1.0, "sum")


# -- gate, model, blend -----------------------------------------------------------------------------------------------


def test_gate() -> None:
    distances = np.array([1, 2], np.float32)
    assert gated_weight(0.4, 0, distances) == 0.4
    assert gated_weight(0.4, HALF, distances) == pytest.approx(0.2)
    assert gated_weight(0.4, 1.0, np.zeros(1, np.float32)) == 0.4


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "expected"),
    [
        (1.0, 0, 1.0, [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
        (0.5, 0, 1.0, [64 / 85, 16 / 85, 4 / 85, 1 / 85]),
        (1.0, 2, 1.0, [2 / 3, 1 / 3, 0, 0]),
        (1.0, 0, 0.7, [2 / 3, 1 / 3, 0, 0]),
        (1.0, 0, 0.01, [1, 0, 0, 0]),
        (1.0, 3, 0.9, [8 / 14, 4 / 14, 2 / 14, 0]),  # top_p counts what top_k left: 12 / 14 < 0.9
        (1.0, 3, 0.85, [2 / 3, 1 / 3, 0, 0]),
        (1.0, 99, 1.0, [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
    ],
)
def test_model_by_hand(temperature: float, top_k: int, top_p: float, expected: list[float]) -> None:
    logits = np.log(np.array([8, 4, 2, 1], np.float32)) + 100
    np.testing.assert_allclose(model_distribution(logits, temperature, top_k, top_p), expected, atol=1e-5)


def test_equal_logits_are_kept_lowest_code_first() -> None:
    np.testing.assert_array_equal(model_distribution(np.zeros(4, np.float32), 1.0, top_k=2), [0.5, 0.5, 0, 0])


def test_codes_may_be_forbidden() -> None:
    logits = np.array([0, -np.inf, 0], np.float32)
    np.testing.assert_array_equal(model_distribution(logits, 1.0, top_p=0.99), [0.5, 0, 0.5])


@CHEAP
@given(some_logits, st.floats(0.01, 10), st.integers(0, 12), st.floats(0.01, 1))
def test_model_is_a_distribution_that_keeps_its_best_code(
    logits: FloatArray, temperature: float, top_k: int, top_p: float
) -> None:
    found = model_distribution(logits, temperature, top_k, top_p)
    assert found.sum() == pytest.approx(1)
    best = int(found.argmax())
    assert found[best] > 0
    assert logits[best] == pytest.approx(logits.max(), abs=1e-6)  # what differs by less may round to the same mass
    assert np.count_nonzero(found) <= (top_k or 10)
    full = model_distribution(logits, temperature, top_k, 1.0)
    assert full[found > 0].sum() >= top_p - 1e-9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_damaged_logits_are_refused(bad: float) -> None:
    with pytest.raises(ConfigError, match="logits"):
        model_distribution(np.array([0, bad, 1], np.float32), 1.0)
    with pytest.raises(ConfigError, match="logits"):
        model_distribution(np.full(3, -np.inf, np.float32), 1.0)


def test_blend_by_hand() -> None:
    np.testing.assert_allclose(blend(np.array([1.0, 0]), np.array([0.5, 0.5]), 0.3), [0.85, 0.15])


def test_step_without_neighbours_is_the_model() -> None:
    logits = np.arange(4, dtype=np.float32)
    options = DecodeSettings(temperature=1.0, top_p=1.0)
    for none in (None, neighbours([], [])):
        step = blend_step(logits, none, options)
        assert step.retrieval is None
        assert step.weight == 0
        np.testing.assert_array_equal(step.blended, model_distribution(logits, 1.0))


def test_step_by_hand() -> None:
    options = DecodeSettings(
        temperature=1.0, top_p=1.0, top_k=1, retrieval_weight=0.8, retrieval_temperature=HALF, gate=HALF
    )
    step = blend_step(np.array([0, 9, 0], np.float32), neighbours([2, 1], [1, 2]), options)
    assert step.weight == pytest.approx(0.4)
    assert step.retrieval is not None
    np.testing.assert_allclose(step.model, [0, 1, 0])
    np.testing.assert_allclose(step.retrieval, [0, 1 / 3, 2 / 3])
    np.testing.assert_allclose(step.blended, [0, 0.6 + 0.4 / 3, 0.8 / 3])


@CHEAP
@given(some_logits, some_neighbours, st.floats(0, 1), st.floats(0, 10), st.sampled_from(["sum", "nearest"]))
def test_step_is_a_distribution_between_its_two_sides(
    logits: FloatArray, found: Neighbours, weight: float, gate: float, aggregate: Aggregate
) -> None:
    options = DecodeSettings(retrieval_weight=weight, gate=gate, aggregate=aggregate)
    step = blend_step(logits, found, options)
    assert step.retrieval is not None
    assert 0 <= step.weight <= weight
    assert step.blended.sum() == pytest.approx(1)
    assert (step.blended >= np.minimum(step.model, step.retrieval) - 1e-12).all()
    assert (step.blended <= np.maximum(step.model, step.retrieval) + 1e-12).all()


def test_method_model_ignores_neighbours_but_shows_them() -> None:
    step = blend_step(np.zeros(3, np.float32), neighbours([1], [0]), DecodeSettings(method="model"))
    assert step.retrieval is not None
    np.testing.assert_array_equal(step.blended, step.model)


some_distributions = (
    arrays(np.float64, 6, elements=st.floats(0, 1))
    .filter(lambda mass: mass.sum() > 1e-6)
    .map(lambda mass: mass / mass.sum())
)


@CHEAP
@given(some_distributions, some_distributions, st.floats(0, 0.999), st.floats(0, 1))
def test_no_mix_moves_a_distribution_above_the_ceiling(
    model: npt.NDArray[np.float64], retrieval: npt.NDArray[np.float64], weight: float, gate: float
) -> None:
    moved = kl_divergence(model, blend(model, retrieval, weight * gate))
    assert moved <= kl_ceiling(weight) + 1e-9


def test_the_ceiling_is_reached_where_retrieval_gives_nothing_to_what_the_model_may_draw() -> None:
    model, retrieval = np.array([0.25, 0.75, 0]), np.array([0, 0, 1.0])
    assert kl_divergence(model, blend(model, retrieval, 0.75)) == pytest.approx(kl_ceiling(0.75))
    assert kl_ceiling(0.75) == pytest.approx(math.log(4))
    assert (kl_ceiling(0.0), kl_ceiling(1.0)) == (0.0, math.inf)


def sorted_codes(mass: Distribution, top_k: int, top_p: float) -> Distribution:
    """Truncation by its rule: all codes in falling order, equal ones lowest first, until they hold their share."""
    order = np.argsort(-mass, kind="stable")[: top_k or None]
    if top_p < 1:
        cumulative = np.cumsum(mass[order])
        order = order[: int(np.searchsorted(cumulative, top_p * cumulative[-1])) + 1]
    kept = np.zeros_like(mass)
    kept[order] = mass[order]
    return kept


@CHEAP
@given(
    arrays(np.float64, st.integers(1, 40), elements=st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0]) | st.floats(0, 1)),
    st.integers(0, 41),
    st.floats(0.001, 1),
)
def test_truncation_follows_its_rule_with_ties(mass: Distribution, top_k: int, top_p: float) -> None:
    np.testing.assert_array_equal(_truncate(mass, top_k, top_p), sorted_codes(mass, top_k, top_p))


@CHEAP
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 20), st.sampled_from([0, 5, 300]), st.integers(0, 5), st.booleans())
def test_truncation_of_many_codes_follows_its_rule_where_a_share_ends(
    seed: int, spread: float, top_k: int, digits: int, inside: bool
) -> None:
    """Flat and steep masses, many of them tied, and shares that end just at one of them, or between two."""
    rng = np.random.default_rng(seed)
    mass = np.exp(spread * np.round(rng.normal(size=1000), digits))
    cumulative = np.cumsum(np.sort(mass)[::-1][: top_k or None])
    place = int(rng.integers(len(cumulative)))
    share = min(1.0, float(cumulative[place] / cumulative[-1]) * (0.999 if inside else 1))
    np.testing.assert_array_equal(_truncate(mass, top_k, share), sorted_codes(mass, top_k, share))
