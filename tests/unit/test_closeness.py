"""The measure that other tests use must itself be able to fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.closeness import RELATIVE, assert_close

VALUES = np.random.default_rng(0).normal(size=(7, 50))


def is_close(got: object, expected: object, relative: float = RELATIVE) -> bool:
    try:
        assert_close(got, expected, relative)
    except AssertionError:
        return False
    return True


@given(st.floats(-8, 8))
def test_what_is_allowed_follows_the_size(exponent: float) -> None:
    values = VALUES * 10.0**exponent if exponent > -5 else VALUES
    for factor in (1 - 1e-3, 1 + 1e-3, -1):
        assert not is_close(values * factor, values)
    assert is_close(values * (1 + 1e-5), values)
    assert is_close((values * (1 + 1e-5)).astype(np.float32), values)


@given(st.integers(0, VALUES.size - 1), st.sampled_from([-1, 1]))
def test_one_value_is_enough_to_fail(place: int, sign: int) -> None:
    changed = VALUES.copy()
    changed.flat[place] += sign * 1e-3  # of a size of 1
    assert not is_close(changed, VALUES)
    changed.flat[place] = VALUES.flat[place] + sign * 1e-5
    assert is_close(changed, VALUES)


def test_small_values_beside_large_ones_have_the_tolerance_of_the_large_ones() -> None:
    assert is_close([100.0, 0.001], [100.0, 0.0])
    assert not is_close([100.0, 0.02], [100.0, 0.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_never_close(bad: float) -> None:
    assert not is_close([1.0, bad], [1.0, 2.0])
    assert not is_close([1.0, 2.0], [1.0, bad])
    assert not is_close([1.0, bad], [1.0, bad])


def test_shapes_must_agree_and_one_number_stands_for_all() -> None:
    assert not is_close(np.ones((2, 3)), np.ones((3, 2)))
    assert not is_close(np.ones((2, 3)), np.ones(3))
    assert not is_close(np.ones(3), np.ones((1, 3)))
    assert is_close(np.ones((2, 3)), 1)
    assert not is_close(np.ones((2, 3)), 1.001)
    assert is_close(torch.ones(2), [1, 1])


def test_zeros_are_close_to_zeros_only() -> None:
    assert is_close(np.zeros(3), np.zeros(3))
    assert not is_close([0, 1e-9, 0], np.zeros(3))
    assert_close([0, 1e-5, 0], np.zeros(3), least=1)
    with pytest.raises(AssertionError, match=r"1e-05 instead of 0\.0 at \(1,\): off by 1\.0e-05 of 1, allowed 1e-06"):
        assert_close([0, 1e-5, 0], np.zeros(3), 1e-6, least=1)
