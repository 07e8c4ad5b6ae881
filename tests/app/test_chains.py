"""How a picture goes on from its sources, as the stepper gets it, and what is said of a run that followed them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app import packing
from app.chains import WAYS, chained, packed
from app.views import Asked, notice_of
from core.trace import Trace
from core.types import DecodeSettings, Followed, Retrieval
from tests.app.test_views import sources_of, unpack
from tests.traces import PLAIN, near, trace_of

ASKED = Asked("emoji", "emoji", DecodeSettings())


def followed_trace() -> Trace:
    """Image 3 in the same place at 7, 8 and 14; the look-up at 8 searched nothing, and that at 14 was bounded."""
    found = {7: near((3, 7, 1), (5, 8, 0)), 8: near((8, 9, 0), (3, 8, 2)), 14: near((3, 14, 0))}
    trace = trace_of(found, {7: 1, 8: 2}, PLAIN)
    did = {7: Followed(0, "searched"), 8: Followed(2, "kept"), 14: Followed(3, "bounded")}
    steps = tuple(
        replace(step, retrieval=replace(step.retrieval, followed=did[step.position]))
        if isinstance(step.retrieval, Retrieval) else step
        for step in trace.steps
    )  # fmt: skip
    return replace(trace, steps=steps)


def test_the_chains_of_a_run_are_packed() -> None:
    header, arrays = unpack(packing.pack_trace(followed_trace(), "id", sources_of(10), 1.0, ASKED))
    ((place, offset),) = header["chains"]
    assert (header["sources"][place][0], offset) == (3, [0, 0])
    assert arrays["chain_cells"].tolist() == [7, 8, 14]
    assert arrays["chain_taken"].tolist() == [1, 1, 1]
    assert arrays["chain_ends"].tolist() == [3]
    assert np.flatnonzero(arrays["chain"] == 0).tolist() == [8, 14]
    assert arrays["chain_size"][[7, 8, 14]].tolist() == [0, 2, 3]
    assert arrays["near_way"].reshape(24, -1)[8, :3].tolist() == [0, 1, 0]
    assert arrays["near_way"].reshape(24, -1)[14, :2].tolist() == [2, 0]
    assert arrays["near_chain"].reshape(24, -1)[14, 0] == 3
    assert arrays["continuing"][[7, 8, 14]].tolist() == [0, 1, 1]
    assert arrays["follow"][[0, 7, 8, 14]].tolist() == [0, 1, 1 + WAYS.index("kept"), 1 + WAYS.index("bounded")]
    assert ["searches saved", "1 of 3"] in header["facts"]


def test_what_was_kept_is_said_because_it_may_change_the_picture() -> None:
    assert "At 1 of 3 look-ups nothing was searched" in notice_of(followed_trace())
    found = {7: near((3, 7, 1))}
    assert notice_of(trace_of(found, {7: 1}, PLAIN)) == ""


def test_a_run_that_follows_nothing_says_nothing_of_it() -> None:
    trace = trace_of({7: near((3, 7, 1))}, {7: 1}, PLAIN)
    header, arrays = unpack(packing.pack_trace(trace, "id", sources_of(10), 1.0, ASKED))
    assert "follow" not in arrays
    assert header["chains"] == []
    assert not any(name == "searches saved" for name, _ in header["facts"])
    assert packed(chained(trace), np.array([3])) == []
