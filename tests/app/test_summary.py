"""A run in one sentence, and where it is opened; by hand on small arrays, and on a real run of the fake model."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.sources import shown_sources
from app.summary import start_of, summary_of
from app.views import Asked, step_arrays
from core.trace import Trace

ORIGIN = {"mixes": True, "listed": [{"credit": 0.4, "mass": 0.5, "patches": 3}], "places": [2]}


def arrays(**changed: Any) -> dict[str, Any]:
    """Six positions, of which the last four looked something up, and of those two were changed."""
    return {
        "reason": np.array([0, 0, -1, -1, -1, -1], np.int8),
        "drawn": np.array([1, 1, 1, 1, 1, 0], np.uint8),
        "pick": np.array([5, 6, 7, 5, 6, 5]),
        "without": np.array([5, 6, 7, 9, 8, 8]),
        "kl": np.array([np.nan, np.nan, 0.9, 0.2, 0.1, 0.75], np.float32),
        "mix": np.array([0, 0, 0.1, 0.2, 0.3, 0.4], np.float32),
        "top_code": np.array([[5, 0], [6, 0], [7, 1], [9, 5], [6, 8], [5, 8]]),
        "top_retrieval": np.array([[0, 0], [0, 0], [0.9, 0.1], [0.1, 0.9], [0.7, 0.3], [0.2, 0.8]]),
        **changed,
    }


def run(**changed: Any) -> Any:
    """What of a trace is asked for."""
    return SimpleNamespace(**{"complete": True, "flips_known": True, "steps": [None] * 6, **changed})


def test_changes_of_drawn_patches_are_counted_and_those_in_hindsight_are_not() -> None:
    told = summary_of(run(), arrays(), ORIGIN)
    assert (told.looked_up, told.steps, told.drawn, told.changed, told.hindsight) == (4, 6, 5, 2, 1)
    assert (told.place, told.share, told.weight) == (2, 0.4, pytest.approx(0.25))
    assert told.agreed == pytest.approx(2 / 4)  # 7 and 8 are drawn without, too; 5 and 6 are not
    assert told.why == ""


def test_few_changes_have_a_reason() -> None:
    none = arrays(without=np.array([5, 6, 7, 5, 6, 8]))
    agreed = summary_of(run(), none, ORIGIN)
    assert (agreed.changed, agreed.why) == (
        0,
        "In 100 % of its places the model alone draws what they favour",
    )
    apart = {**none, "top_retrieval": none["top_retrieval"][:, ::-1]}
    assert summary_of(run(), apart, ORIGIN).why == ""  # a weight of .25 is not little
    light = summary_of(run(), {**apart, "mix": none["mix"] / 10}, ORIGIN)
    assert light.why == "Look-ups had little weight here: 0.03 on average"
    read = summary_of(run(), {**none, "drawn": np.zeros(6, np.uint8), "mix": none["mix"] / 10}, ORIGIN)
    assert (read.drawn, read.changed, read.hindsight, read.why) == (0, 0, 1, "")


def test_what_was_not_recorded_is_not_told() -> None:
    told = summary_of(run(flips_known=False), arrays(), {**ORIGIN, "mixes": False})
    assert (told.changed, told.place, told.share, told.agreed, told.why) == (None, -1, 0.0, 0.0, "")


def test_it_starts_at_the_change_that_is_seen_most() -> None:
    assert start_of(run(), arrays()) == 3  # the change with the largest KL; 2 moved more and changed nothing
    assert start_of(run(), arrays(), np.array([np.nan, np.nan, np.nan, 1.0, 9.0, 20.0])) == 4  # 5 was not drawn
    assert start_of(run(), arrays(without=arrays()["pick"])) == 2  # nothing changed: where most was moved
    assert start_of(run(), arrays(reason=np.zeros(6, np.int8), without=arrays()["pick"])) == 5
    assert start_of(run(complete=False), arrays()) == 5


def test_a_real_run(traced: Trace) -> None:
    settings = replace(traced.settings)
    packed, origin = step_arrays(traced), shown_sources(traced, Asked("fake", "all", settings))
    told = summary_of(traced, {**packed, **origin.arrays}, {**origin.header, "places": list(range(99))})
    flips = [int(p) for p in np.flatnonzero(packed["pick"] != packed["without"])]
    assert told.changed == len(traced.flips()) == len(flips) > 0
    assert told.start in flips
    assert 0 < told.share <= 1
