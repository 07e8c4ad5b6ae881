"""What likelihoods give away, by hand."""

from __future__ import annotations

import numpy as np

from core.evaluation import membership
from tests.closeness import assert_close


def test_the_area_counts_pairs_in_order_and_half_of_the_equal_ones() -> None:
    members, others = np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0])
    assert_close(membership.area(members, others), (3 + 1 + 0.5) / 6)
    assert membership.area(others + 10, members) == 1
    assert membership.area(np.zeros(4), np.zeros(5)) == 0.5


def test_true_alarms_allow_one_false_one_in_a_hundred() -> None:
    others = np.arange(200.0)  # two of these may be above the limit, which is 197
    members = np.array([197.0, 197.5, 198.0, 500.0, -1.0])
    assert_close(membership.true_alarms(members, others), 3 / 5)
    assert_close(membership.true_alarms(members, others[:50]), 4 / 5)  # none of fifty may: all above 49 are found


def test_intervals_are_over_both_sides() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.normal(1, 1, 60), rng.normal(0, 1, 40)
    found = membership.of_two(members, others, membership.area)
    assert found.n == 100
    assert found.low < found.value < found.high
    apart = membership.of_two(members + 100, others, membership.area)
    assert (apart.low, apart.value, apart.high) == (1, 1, 1)


def test_min_k_is_the_mean_of_the_least_likely_fifth() -> None:
    values = np.array([[5.0, 1.0, 4.0, 3.0, 2.0, 9.0, 9.0, 9.0, 9.0, 0.0], [1.0] * 10])
    assert_close(membership.least(values), [0.5, 1.0])


def test_blended_is_the_mixture_of_both_at_the_weight_that_the_gate_leaves() -> None:
    model, retrieved, shares = np.log([[0.5, 0.5, 0.5]]), np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 0.5, 0.0]])
    found = membership.blended(model, retrieved, shares, 0.4)
    assert_close(np.exp(found), [[0.6 * 0.5 + 0.4, 0.8 * 0.5 + 0.2, 0.5]])
