"""Branches of pictures that an older version drew: their codes are given, all that is drawn is drawn by the race."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from app import branches
from app.library import Library
from app.session import Session
from app.views import Asked
from app.visits import Kept
from core.trace import Trace
from core.types import Change, DecodeSettings
from tests.app.fake import FakeBackend, fake_database

SETTINGS = DecodeSettings(seed=3, n_neighbours=24, retrieval_weight=0.5, gate=0.0)


def old_run(session: Session, steps: int = 0) -> Kept:
    """A run, or its first steps, whose codes lie in the middle of their shares of the unit interval."""
    plan = branches.Plan("a disc", Asked("fake", "all", SETTINGS), pause=steps)
    kept = session.visits.find("v", list(session.drawing.carry_out("v", lambda: plan))[-1].kept)
    records = []
    for step in kept.trace.steps:
        blended = kept.trace.blend(step.position).blended
        u = float(np.cumsum(blended)[step.code] - blended[step.code] / 2)
        records.append(replace(step, u=u))
    kept = replace(kept, trace=replace(kept.trace, steps=tuple(records), rule="inverse cdf"), ahead=None)
    session.visits.keep("v", kept)
    return kept


def test_what_goes_on_from_an_old_run_is_drawn_by_the_race(tmp_path: Path) -> None:
    backend = FakeBackend()
    session = Session.over(Library({"fake": backend}, {"all": fake_database(backend, images=12)}))
    change = Change(100, settings=replace(SETTINGS, retrieval_weight=1.0, retrieval_temperature=2.0))
    parent, stopped = old_run(session), old_run(session, 30)
    branch = session.drawing.branch("v", parent.id, change)
    for updates, old, count in ((branch, parent, 100), (session.drawing.go_on("v", stopped.id, "row"), stopped, 30)):
        trace = session.visits.find("v", list(updates)[-1].kept).trace
        assert (trace.rule, trace.given) == ("gumbel", count)
        assert trace.codes[:count].tolist() == old.trace.codes[:count].tolist()
        assert len(trace.steps) > count
        for step in trace.steps:
            assert step.u is None
            told = trace.explain(step.position)
            assert (told.without if step.position < count else told.taken) == step.code
        trace.save(tmp_path / "run.npz")
        assert Trace.load(tmp_path / "run.npz").flips().tolist() == trace.flips().tolist()
