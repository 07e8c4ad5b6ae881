"""Whether look-ups helped: the verdict on figures that are worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.analysis.reading import LITTLE, Verdict, judge

ALONE = np.array([1, 1, 2, 2, 3, 3, 2, 2], np.float32)


def test_the_error_is_that_of_the_means_of_the_rows() -> None:
    """Rows of two with changes -0.5, -0.3, -0.4 and -0.4: mean -0.4, deviation sqrt(0.02 / 3), error that / 2."""
    method = ALONE + np.array([-0.9, -0.1, -0.3, -0.3, -0.4, -0.4, -0.8, 0], np.float32)
    verdict = judge(ALONE, method, 2)
    assert verdict.nats == pytest.approx(1.6)
    assert verdict.change == pytest.approx(-0.4)
    assert verdict.error == pytest.approx(math.sqrt(0.02 / 3) / 2, rel=1e-5)
    assert verdict.word == "helps"
    assert judge(method, ALONE, 2).word == "hurts"


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        (-0.05, 0.02, "helps"),
        (0.05, 0.02, "hurts"),
        (-0.05, 0.026, "unclear"),
        (0.05, 0.026, "unclear"),
        (0.9 * LITTLE, 0.0001, "little"),
        (-0.9 * LITTLE, 1.0, "little"),
        (0.0, 0.0, "nothing"),
        (0.5, math.inf, "unclear"),
    ],
)
def test_the_word_of_a_verdict(change: float, error: float, word: str) -> None:
    assert Verdict(1.0, change, error).word == word


def test_one_row_tells_nothing() -> None:
    assert judge(ALONE, ALONE - 1, 8).word == "unclear"


def test_a_method_that_changes_nothing_is_told_as_such() -> None:
    assert judge(ALONE, ALONE, 4) == Verdict(2.0, 0.0, 0.0)
    assert judge(ALONE, ALONE, 4).word == "nothing"
