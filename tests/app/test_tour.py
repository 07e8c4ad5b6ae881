"""The guided tour: its stops follow from a trace, and what ships opens without a model."""

from __future__ import annotations

import pytest

from app.library import Library
from app.session import Session
from app.tabs.learn.recording import TOUR_ID, Recording, stops_of
from app.views import Asked
from core.trace import Trace
from core.types import ConfigError, DecodeSettings
from tests.app.asking import first_run
from tests.app.fake import FakeBackend
from tests.app.stocked import PATCHES
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
    return first_run(session, "ann").trace


def test_the_words_hold_the_numbers_of_the_trace(trace: Trace) -> None:
    turn = int(trace.flips()[0])
    stops = stops_of(trace, turn, 0.25)
    here, blend = trace.explain(turn), trace.blend(turn)
    code = here.step.code
    assert [stop.step for stop in stops] == [turn] * 5
    by_part = {stop.part: stop.text for stop in stops}
    assert f"Marked are the {len(trace.flips())} of {PATCHES} patches" in by_part[".lp-frame"]
    assert f"the nearest is {here.found.distances[0]:.2f} away" in by_part[".lp-asked"]
    assert f"code {code}, had {100 * blend.model[code]:.1f} % under the model" in by_part[".lp-codes"]
    assert f"makes {100 * blend.blended[code]:.1f} %" in by_part[".lp-codes"]
    assert f"taken: {code}. With nothing looked up, the same luck takes {here.without}:" in by_part[".lp-draw"]
    assert "25 % of this one" in by_part[".lp-overlays"]


def test_a_position_where_nothing_was_changed_makes_no_tour(trace: Trace) -> None:
    with pytest.raises(ConfigError, match="got position 0, expected one where a look-up changed"):
        stops_of(trace, 0, 0.0)


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
