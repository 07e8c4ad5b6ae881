"""What a change would do, by hand, and against what a branch then does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import core.trace
from core.analysis.whatif import what_if
from core.backends.emoji.backend import EmojiBackend
from core.draw import Race
from core.engine import decode
from core.patches.database import PatchDatabase
from core.trace import Trace, neighbours
from core.types import Change, DecodeSettings, Neighbours, Retrieval, Seconds, StepRecord

SETTINGS = DecodeSettings(
    temperature=1.0, top_p=1.0, gate=0.0, retrieval_weight=0.5, retrieval_temperature=1.0, n_neighbours=3
)
LOGITS = np.log(np.array([0.5, 0.25, 0.25], np.float32))
FOUND = Neighbours(
    np.array([1, 2, 2]), np.array([0.0, math.log(2), math.log(4)], np.float32), np.array([7, 8, 9])
)  # masses 1, 1/2, 1/4


@pytest.fixture(scope="module")
def trace(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    settings = DecodeSettings(seed=3, retrieval_weight=0.5, n_neighbours=8, gate=0.0)
    records = [step[0] for step in decode(backend, database, ["pizza"], settings)]
    return Trace.record(backend, database, "pizza", settings, records)


def at_hand(trace: Trace, settings: DecodeSettings = SETTINGS, code: int = 1) -> Trace:
    """A trace of one position, with three codes and three neighbours; the blend is 0.25, 0.411, 0.339."""
    step = StepRecord(0, LOGITS, Retrieval(np.zeros(4, np.int64), FOUND), code, None, Seconds(0, 0, 0))
    return replace(trace, settings=settings, steps=(step,), origin=replace(trace.origin, codes=3))


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise under which code 0 wins at (1/2, 1/4, 1/4), code 1 at the blend and code 2 without the neighbour of 1."""
    monkeypatch.setattr(core.trace, "race", lambda seed, position, codes: Race(np.exp(-np.array([0.5, 0.3, 0.2]))))


@pytest.mark.usefixtures("noise")
def test_dropping_a_neighbour_by_hand(trace: Trace) -> None:
    told = what_if(at_hand(trace), 0, Change(0, weights=((7, 0.0),)))
    assert told.before.retrieval is not None
    assert told.after.retrieval is not None
    assert told.before.retrieval == pytest.approx([0, 4 / 7, 3 / 7])
    assert told.after.retrieval == pytest.approx([0, 0, 1])
    assert told.after.blended == pytest.approx([0.25, 0.125, 0.625])
    # scores before: ln 0.25 + 0.5 = -0.886, ln 0.411 + 0.3 = -0.590, ln 0.339 + 0.2 = -0.881
    # and after: -0.886, ln 0.125 + 0.3 = -1.779, ln 0.625 + 0.2 = -0.270
    assert told.codes == (1, 2)
    assert told.beyond == ()


def test_weighing_and_pinning_by_hand(trace: Trace) -> None:
    weighed = what_if(at_hand(trace), 0, Change(0, weights=((9, 4.0),))).after
    assert weighed.retrieval == pytest.approx([0, 1 / 2.5, 1.5 / 2.5])
    pinned = what_if(at_hand(trace), 0, Change(0, weights=((8, 1.0),), others=0.0)).after
    assert pinned.retrieval == pytest.approx([0, 0, 1])
    nothing = what_if(at_hand(trace), 0, Change(0, others=0.0)).after
    assert nothing.retrieval is None
    assert nothing.blended == pytest.approx([0.5, 0.25, 0.25])


@pytest.mark.usefixtures("noise")
def test_other_settings_by_hand(trace: Trace) -> None:
    told = what_if(at_hand(trace), 0, Change(0, settings=replace(SETTINGS, retrieval_weight=1.0)))
    assert told.after.blended == pytest.approx([0, 4 / 7, 3 / 7])
    fewer = what_if(at_hand(trace), 0, Change(0, settings=replace(SETTINGS, n_neighbours=1)))
    assert fewer.after.retrieval == pytest.approx([0, 1, 0])
    model = what_if(at_hand(trace), 0, Change(0, settings=replace(SETTINGS, method="model")))
    assert model.after.blended == pytest.approx([0.5, 0.25, 0.25])
    assert model.codes == (1, 0)


def test_a_gate_asks_the_nearest_of_those_that_are_heard(trace: Trace) -> None:
    gated = replace(SETTINGS, gate=1.0)
    told = what_if(at_hand(trace, settings=gated), 0, Change(0, weights=((7, 0.0),)))
    assert told.before.weight == pytest.approx(0.5)
    assert told.after.weight == pytest.approx(0.25)  # exp(-ln 2) = 1/2


def test_a_forced_code_is_what_is_taken(trace: Trace) -> None:
    assert what_if(at_hand(trace), 0, Change(0, code=0)).codes == (1, 0)


@pytest.mark.usefixtures("noise")
def test_where_a_code_was_forced_the_run_has_noise_of_its_own(trace: Trace) -> None:
    """What was forced says nothing of what a branch without the change draws."""
    forced = replace(at_hand(trace, code=2), changes=(Change(0, code=2),))
    assert forced.explain(0).without == 2
    assert what_if(forced, 0, Change(0)).codes == (1, 1)
    assert what_if(forced, 0, Change(0, weights=((7, 0.0),))).codes == (1, 2)
    assert what_if(forced, 0, Change(0, settings=replace(SETTINGS, method="model"))).codes == (1, 0)
    assert what_if(forced, 0, Change(0, code=1)).codes == (1, 1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": "faid"}, "inside the model"),
        ({"cfg_scale": 5.0}, "guidance"),
        ({"negative_share": 0.0}, "guidance"),
        ({"caption_filter": 3}, "other neighbours"),
        ({"styles": ("3d",)}, "other neighbours"),
        ({"n_neighbours": 4}, "only the 3 neighbours"),
        ({"n_neighbours": 0}, "only the 3 neighbours"),
    ],
)
def test_what_the_trace_cannot_tell_is_said(trace: Trace, changed: dict[str, object], said: str) -> None:
    new = replace(SETTINGS, **changed)  # type: ignore[arg-type]
    assert any(said in reason for reason in what_if(at_hand(trace), 0, Change(0, settings=new)).beyond)


def test_a_run_without_retrieval_cannot_tell_what_retrieval_would_do(trace: Trace) -> None:
    silent = at_hand(trace, settings=replace(SETTINGS, method="model"))
    assert what_if(silent, 0, Change(0, settings=SETTINGS)).beyond == ("this run looked nothing up",)


@pytest.mark.parametrize("position", [9, 30, 45])
def test_a_branch_takes_the_code_that_was_promised(
    backend: EmojiBackend, database: PatchDatabase, trace: Trace, position: int
) -> None:
    found = neighbours(trace.steps[position])
    assert found is not None
    changes = [
        Change(position, weights=((int(found.entries[0]), 0.0),)),
        Change(position, weights=((int(found.entries[2]), 1.0),), others=0.0),
        Change(position, settings=replace(trace.settings, retrieval_weight=1.0, retrieval_temperature=1.0)),
        Change(position, settings=replace(trace.settings, n_neighbours=2, aggregate="nearest")),
        Change(position, settings=replace(trace.settings, method="model")),
        Change(position, code=5),
    ]
    for change in changes:
        told = what_if(trace, position, change)
        branch = decode(
            backend, database, ["pizza"], trace.settings, [change], trace.codes[:position].tolist(), position
        )
        record = next(branch)[0]
        assert record.code == told.codes[1]
        assert record.u is None
        assert told.beyond == ()


def test_a_branch_at_a_forced_position_draws_what_was_promised(
    backend: EmojiBackend, database: PatchDatabase, trace: Trace
) -> None:
    """The run's own noise, as in the run without the change, and not noise in hindsight."""
    own = 0
    for position in (20, 30, 40):
        change = Change(position, code=(int(trace.codes[position]) + 1) % 48)
        codes = trace.codes[:position].tolist()
        records = [step[0] for step in decode(backend, database, ["pizza"], trace.settings, [change], codes, position)]
        forced = Trace.record(backend, database, "pizza", trace.settings, [*trace.steps[:position], *records], [change])
        for new in (trace.settings, replace(trace.settings, retrieval_weight=0.9)):
            told = what_if(forced, position, Change(position, settings=new))
            branch = decode(
                backend, database, ["pizza"], trace.settings, [Change(position, settings=new)], codes, position
            )
            assert told.codes == (trace.codes[position], next(branch)[0].code)
            branch.close()
            own += told.codes[0] != forced.explain(position).taken
    assert own
