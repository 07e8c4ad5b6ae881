"""The metrics of a run against numbers computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core.analysis.metrics import measure
from core.context import Context
from core.trace import Origin, Trace
from core.types import DecodeSettings, FaidStep, Grid, Neighbours, Retrieval, Seconds, Skipped, StepRecord

LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))
FOUND = Neighbours(np.array([2, 2, 1]), np.array([0.0, 0.0, math.log(2)], np.float32), np.array([0, 2, 1]))
SETTINGS = DecodeSettings(
    temperature=1.0, top_p=1.0, retrieval_weight=0.5, retrieval_temperature=1.0, gate=0.0, n_neighbours=3
)


def trace_of(settings: DecodeSettings = SETTINGS) -> Trace:
    """Two rows of three; only position 4 retrieves: 2 ms of the model, 1 of the search, 0.5 of the blend."""
    skipped = Skipped("edge")
    steps = [StepRecord(p, LOGITS, skipped, 0, None, Seconds(0.001, 0, 0)) for p in range(6)]
    steps[4] = StepRecord(4, LOGITS, Retrieval(np.zeros(4, np.int64), FOUND), 2, None, Seconds(2e-3, 1e-3, 5e-4))
    origin = Origin("fake", "m", None, "c", 4, "d", Context())
    return Trace("a prompt", settings, origin, Grid(2, 3), tuple(steps), {})


def test_metrics_by_hand() -> None:
    seen = measure(trace_of())
    assert seen.entropy[4] == pytest.approx([1.2130, 0.5004, 1.2127], abs=1e-3)
    assert seen.entropy[0] == pytest.approx([1.2130, math.nan, 1.2130], abs=1e-3, nan_ok=True)
    assert seen.kl == pytest.approx([0, 0, 0, 0, 0.2960, 0], abs=1e-4)
    assert seen.distances == pytest.approx([0, 0, math.log(2)])
    assert seen.nearest == pytest.approx([math.nan] * 4 + [0, math.nan], nan_ok=True)
    # shares 0.4, 0.4, 0.2
    assert seen.effective == pytest.approx([0, 0, 0, 0, math.exp(-0.8 * math.log(0.4) - 0.2 * math.log(0.2)), 0])
    assert seen.milliseconds[4] == pytest.approx([2, 1, 0.5])
    assert seen.milliseconds[0] == pytest.approx([1, 0, 0])


def test_means_by_row_leave_out_what_is_not_known() -> None:
    seen = measure(trace_of())
    assert seen.by_row(seen.kl) == pytest.approx([0, 0.2960 / 3], abs=1e-4)
    assert seen.by_row(seen.entropy[:, 1]) == pytest.approx([math.nan, 0.5004], abs=1e-3, nan_ok=True)


def test_a_stopped_run_has_the_rows_that_it_reached() -> None:
    whole = trace_of()
    seen = measure(replace(whole, steps=whole.steps[:4]))
    assert seen.by_row(seen.kl).tolist() == [0, 0]
    assert len(seen.distances) == 0


def test_what_blenders_changed_is_not_known_unless_it_was_recorded() -> None:
    """The compatibilities 0.6 and 0.2 of two neighbours, besides a blank feature: the shares are 3 to 1."""
    scores = np.array([[0.6, 0.2, 0.7]], np.float32)
    nothing = np.zeros((1, 3), np.float32)
    blended = FaidStep(np.array([0]), np.array([1]), 2, scores, nothing, nothing[:, 0], nothing, nothing)
    plain = trace_of(replace(SETTINGS, method="faid", faid_neighbours=3))
    seen = measure(replace(plain, steps=tuple(replace(step, faid=blended) for step in plain.steps)))
    assert np.isnan(seen.kl).all()
    assert np.isnan(seen.entropy[:, 0]).all()
    assert seen.effective[4] == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)), abs=1e-5)


def test_shares_of_distances_by_hand() -> None:
    edges, everything, nearest = measure(trace_of()).distance_shares(bins=2)
    assert edges == pytest.approx([0, math.log(2) / 2, math.log(2)])
    assert everything == pytest.approx([2 / 3, 1 / 3])
    assert nearest == pytest.approx([1, 0])


def test_without_neighbours_there_are_no_distances() -> None:
    whole = trace_of()
    edges, everything, nearest = measure(replace(whole, steps=whole.steps[:4])).distance_shares(bins=2)
    assert edges.tolist() == [0, 0.5, 1]
    assert everything.tolist() == nearest.tolist() == [0, 0]


@pytest.mark.parametrize(("slowest", "usual"), [(9.0, 9.0), (500.0, 6.0)])
def test_one_slow_position_does_not_set_the_scale_of_time(slowest: float, usual: float) -> None:
    seen = measure(trace_of())
    milliseconds = np.zeros((100, 3), np.float32)
    milliseconds[:, 0] = 4.0
    milliseconds[50, 1] = slowest - 4
    assert replace(seen, milliseconds=milliseconds).usual_milliseconds == pytest.approx(usual)
