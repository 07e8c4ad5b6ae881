"""What is said of answers that a part of the database is missing from: kept in traces, told wherever a run is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.views import notice_of
from core.engine import generate
from core.picture_file import about
from core.trace import Trace
from core.types import DecodeSettings, Retrieval, TraceError
from tests.tampering import rewrite
from tests.tiny import tiny_backend, tiny_database

SETTINGS = DecodeSettings(n_neighbours=4, seed=3)


@pytest.fixture(scope="module")
def partial() -> Trace:
    """A run in which a quarter of the database did not answer at positions 11 and 20."""
    backend = tiny_backend()
    trace = generate(backend, tiny_database(backend), "pizza", SETTINGS)
    steps = list(trace.steps)
    for position in (11, 20):
        answer = steps[position].retrieval
        assert isinstance(answer, Retrieval)
        lost = replace(answer, neighbours=replace(answer.neighbours, lost=0.25))
        steps[position] = replace(steps[position], retrieval=lost)
    return replace(trace, steps=tuple(steps))


def test_a_trace_keeps_where_the_database_was_incomplete(partial: Trace, tmp_path: Path) -> None:
    partial.save(tmp_path / "partial.npz")
    loaded = Trace.load(tmp_path / "partial.npz")
    assert loaded.incomplete == partial.incomplete == (11, 20)
    kept = loaded.steps[20].retrieval
    assert isinstance(kept, Retrieval)
    assert kept.neighbours.lost == 0.25
    assert kept.neighbours.active.lost == 0.25


def test_it_is_told_with_the_run_and_its_picture_has_no_link(partial: Trace) -> None:
    assert notice_of(partial) == "Part of the database did not answer at 2 positions."
    assert "did not answer" in about(partial).note
    assert about(partial).link == ""
    whole = replace(partial, steps=partial.steps[:11])
    assert (whole.incomplete, notice_of(whole)) == ((), "")


@pytest.mark.parametrize("lost", [{"0": 0.5}, {"11": 0.0}, {"11": 2.0}, {"11": True}, {"11": "x"}, {"x": 0.5}, [11]])
def test_a_file_with_impossible_shares_is_refused(partial: Trace, tmp_path: Path, lost: object) -> None:
    partial.save(tmp_path / "bad.npz")

    def change(members: dict[str, bytes]) -> None:
        members["meta.json"] = json.dumps({**json.loads(members["meta.json"]), "lost": lost}).encode()

    with pytest.raises(TraceError, match="lost: got"):
        Trace.load(rewrite(tmp_path / "bad.npz", change))
