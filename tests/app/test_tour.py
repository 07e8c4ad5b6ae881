"""The guided tour: its stops follow from a trace, and what ships opens without a model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.library import Library
from app.session import Session
from app.tabs.learn.recording import TOUR_ID, Recording, stops_of, turning_point
from app.views import Asked
from core.trace import Trace
from core.types import DecodeSettings
from tests.app.fake import FakeBackend
from tests.app.test_views import unpack

SETTINGS = DecodeSettings(
    method="faid+daid",
    record_unblended=True,
    retrieval_weight=0.6,
    gate=0.0,
    retrieval_temperature=1.0,
    n_neighbours=24,
)


@pytest.fixture(scope="module")
def trace(session: Session) -> Trace:
    list(session.drawing.draw("ann", "sun", lambda: Asked("fake", "all", SETTINGS)))
    return session.visits.runs("ann")[0].trace


def test_the_turning_point_is_a_flip_by_mixing(trace: Trace) -> None:
    turn = turning_point(trace)
    assert turn in trace.flips()
    assert trace.explain(turn).without != trace.steps[turn].code


def test_the_words_hold_the_numbers_of_the_trace(trace: Trace) -> None:
    turn, stops = turning_point(trace), stops_of(trace)
    step, blend = trace.steps[turn], trace.blend(turn)
    by_part = {stop.part: stop for stop in stops}
    codes = by_part[".lp-codes"]
    assert codes.step == turn
    assert f"{100 * blend.model[step.code]:.1f} % under the model" in codes.text
    assert f"{100 * blend.blended[step.code]:.1f} %" in codes.text
    told = by_part[".lp-draw"].text
    assert f"taken: {step.code}." in told
    assert f"takes code {trace.explain(turn).without}: that is a flip" in told
    assert f"changed {len(trace.flips())} of 256" in by_part[".lp-overlays"].text
    assert "layers 0, 3" in by_part["[data-part=blenders]"].text
    assert "first row" in by_part[".lp-context"].text


def test_a_run_without_blenders_has_no_stop_at_them(trace: Trace) -> None:
    steps = tuple(replace(step, faid=None) for step in trace.steps)
    settings = replace(SETTINGS, method="daid")
    parts = [stop.part for stop in stops_of(replace(trace, steps=steps, settings=settings))]
    assert "[data-part=blenders]" not in parts
    assert ".lp-draw" in parts


def test_what_ships_opens_without_a_model() -> None:
    class Absent(FakeBackend):
        def start(self, *_: object) -> None:  # type: ignore[override]
            raise AssertionError("the tour ran the model")

    recording = Recording.load()
    update = Session.over(Library({"fake": Absent()}, {})).opening.recorded("ann", recording.update)
    header, arrays = unpack(update.file)
    assert (update.state, header["id"], header["prompt"]) == ("ready", TOUR_ID, recording.prompt)
    assert len(arrays["code"]) == recording.steps == 256
    assert update.step == recording.stops[0].step
    assert len(update.file) < 1_000_000
    assert all(0 <= stop.step < recording.steps for stop in recording.stops)


def test_a_recording_is_loaded_as_it_was_saved(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording.load()
    monkeypatch.setattr("app.tabs.learn.recording.FOLDER", tmp_path)
    recording.save(tmp_path)  # type: ignore[arg-type]
    assert Recording.load() == recording
