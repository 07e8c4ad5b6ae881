"""Traces that version 3 of the format wrote: they open, are drawn by their old rule, and stay what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.draw import UnitInterval
from core.trace import Trace

FOLDER = Path(__file__).parent / "old_traces"
"""Written by the code before version 4 with the tiny model of the tests: seed 5, DAiD and FAiD + DAiD."""

FLIPS = [10, 11, 12, 14, 29, 30, 33, 34, 37, 41, 43, 49, 51, 58, 59, 60]
"""What the old code said of the first one."""


@pytest.mark.parametrize("name", ["daid", "faid"])
def test_an_old_trace_is_drawn_by_its_own_rule(name: str, tmp_path: Path) -> None:
    trace = Trace.load(FOLDER / f"{name}.npz")
    assert trace.rule == "inverse cdf"
    assert trace.unfiltered is None
    assert trace.origin.machine is None
    for step in trace.steps:
        luck = trace.luck(step.position)
        assert isinstance(luck, UnitInterval)
        assert luck.draw(trace.blend(step.position).blended) == step.code == trace.explain(step.position).taken
    trace.save(tmp_path / "again.npz")
    again = Trace.load(tmp_path / "again.npz")
    assert again.rule == trace.rule
    assert again.flips().tolist() == trace.flips().tolist()
    np.testing.assert_array_equal(again.codes, trace.codes)


def test_flips_of_an_old_trace_are_what_they_were() -> None:
    assert Trace.load(FOLDER / "daid.npz").flips().tolist() == FLIPS


def test_an_old_trace_of_blenders_does_not_tell_what_retrieval_changed() -> None:
    trace = Trace.load(FOLDER / "faid.npz")
    assert not trace.flips_known
    assert trace.flips().tolist() == trace.shifts().tolist() == []
    told = trace.explain(30)
    assert told.nothing is None
    assert told.bare is not None
    assert (told.without, told.flip, told.shift) == (None, False, False)
