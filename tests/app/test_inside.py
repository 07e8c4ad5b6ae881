"""The inside of the model on the page: what is remembered and for whom, what is answered, what stages would draw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client

from app import inside, looking
from app.api import generate_endpoint, inside_endpoint
from app.library import Library
from app.session import Session
from app.tabs.inside.layout import at_of, on_keep, on_look, on_patches
from core.analysis.inside import look_at
from core.backends.protocol import Inspection
from core.trace import Trace
from core.types import ConfigError, Grid
from tests.app.asking import PROMPT, STRONG, somebody
from tests.app.fake import FakeBackend, fake_database
from tests.app.stocked import stock
from tests.app.test_views import unpack


@pytest.fixture(scope="module")
def session() -> Session:
    """One whose pictures have 256 patches."""
    return Session.over(stock(side=16))


def drawn(session: Session, who: str = "ann", **settings: Any) -> str:
    """Id of a new run of somebody."""
    return str(generate_endpoint(session)(somebody(who), PROMPT, settings={**STRONG, **settings})[0]["run"])


def event(**data: Any) -> gr.EventData:
    """What a script sent."""
    return gr.EventData(None, data)


@pytest.fixture
def passes(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompt of every pass that is made from now on."""
    made: list[str] = []
    inspect = FakeBackend.inspect

    def counted(self: FakeBackend, prompt: str, *others: Any, **named: Any) -> Inspection:
        made.append(prompt)
        return inspect(self, prompt, *others, **named)

    monkeypatch.setattr(FakeBackend, "inspect", counted)
    return made


# -- What is remembered -----------------------------------------------------------------------------------------------


def test_one_pass_answers_all_positions_of_a_run(session: Session, passes: list[str]) -> None:
    run = drawn(session)
    ask = at_of(session)
    assert ask({"run": run, "step": 3}) == {"missing": True}
    assert on_look(session)(event(run=run), somebody())["kind"] == "look"
    for step in (3, 200):
        answer = ask({"run": run, "step": step})
        weights = [weight for _, weight in answer["words"]] + answer["cells"]
        assert (answer["run"], answer["step"], len(answer["cells"])) == (run, step, step)
        assert sum(weights) == pytest.approx(1, abs=2e-3)
    session.looking.look("ann", run)
    assert passes == [PROMPT]


def test_a_visitor_has_a_few_runs_and_the_oldest_is_forgotten(
    session: Session, passes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "RUNS_SEEN", 2)
    first, second, third = (drawn(session, "bea", seed=seed) for seed in range(3))
    for run in (first, second, first, third):
        session.looking.look("bea", run)
    assert session.looking.seen(second) is None
    assert session.looking.seen(first) is not None
    assert session.looking.seen(third) is not None
    assert len(passes) == 3


def test_what_takes_too_much_room_costs_its_own_visitor_first(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, first, second = drawn(session, "cat"), drawn(session, "dan", seed=1), drawn(session, "dan", seed=2)
    size = session.looking.look("cat", theirs).nbytes
    monkeypatch.setattr(looking, "BYTES_SEEN", 2 * size)
    session.looking.forget("ann")
    session.looking.forget("bea")
    session.looking.look("dan", first)
    session.looking.look("dan", second)
    assert session.looking.seen(first) is None
    assert session.looking.seen(theirs) is not None


def test_nobody_looks_into_the_run_of_somebody_else(session: Session) -> None:
    run = drawn(session, "eve")
    with pytest.raises(ConfigError, match="not kept any more"):
        session.looking.look("mallory", run)
    told = on_patches(session)(event(run=run, step=3), somebody("mallory"))
    assert "not kept any more" in told["error"]


def test_what_was_seen_goes_with_its_visitor(session: Session) -> None:
    run = drawn(session, "fay")
    session.looking.look("fay", run)
    session.leave("fay")
    assert "not kept any more" in at_of(session)({"run": run, "step": 3})["error"]


def test_something_newer_ends_a_pass(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    run, inspect = drawn(session, "gus"), FakeBackend.inspect

    def slow(self: FakeBackend, *given: Any, **named: Any) -> Inspection:
        session.runs.supersede("gus")
        return inspect(self, *given, **named)

    monkeypatch.setattr(FakeBackend, "inspect", slow)
    told = on_look(session)(event(run=run), somebody("gus"))
    assert "it was stopped before the last layer" in told["error"]
    assert session.looking.seen(run) is None


def test_a_model_that_shows_nothing_says_so() -> None:
    backend = FakeBackend()
    session = Session.over(Library({"fake": backend}, {"all": fake_database(backend, images=12)}))
    run = drawn(session)

    with pytest.MonkeyPatch.context() as patched:
        patched.delattr(FakeBackend, "inspect")
        told = on_look(session)(event(run=run), somebody())
    assert told["error"] == "backend fake: it shows nothing of its inside; add inspect to it"


def test_a_picture_of_a_model_that_is_not_here_says_so(session: Session) -> None:
    kept = session.visits.find("ann", drawn(session))
    session.visits.keep("ann", replace(kept, asked=replace(kept.asked, model="fake (another model)")))
    with pytest.raises(ConfigError, match="the model that drew this picture is not here"):
        session.looking.look("ann", kept.id)


# -- What is kept -----------------------------------------------------------------------------------------------------


def test_what_was_seen_is_kept_in_the_trace_and_needs_no_pass_then(
    session: Session, passes: list[str], tmp_path: Path
) -> None:
    run = drawn(session, "hal")
    seen = session.looking.look("hal", run)
    size = session.visits.find("hal", run).nbytes
    assert "error" not in on_keep(session)(event(run=run), somebody("hal"))
    kept = session.visits.find("hal", run)
    assert kept.nbytes > size
    kept.trace.save(tmp_path / "kept.npz")
    found = Trace.load(tmp_path / "kept.npz").inside
    assert found is not None
    np.testing.assert_allclose(look_at(found, 90).cells, look_at(seen, 90).cells, atol=1e-3)
    session.looking.forget("hal")
    assert session.looking.look("hal", run).attention.shape[1] == 1
    assert len(passes) == 1
    answer = at_of(session)({"run": run, "step": 90})
    assert (answer["layers"], answer["heads"]) == (4, 0)


# -- What is answered -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (None, "run: got None"),
        ({"run": 3}, "run: got 3, expected a short text"),
        ({"run": "x" * 201}, "run: got 'xxx"),
        ({"run": "nope"}, "not kept any more"),
        ({"step": "3"}, "step: got '3', expected a whole number"),
        ({"step": True}, "step: got True"),
        ({"step": None}, "step: got none"),
        ({"step": 256}, "position: got 256, expected 0 to 255"),
        ({"layer": 4}, "layer: got 4, expected 0 to 3"),
        ({"layer": 0, "head": 2}, "head: got 2, expected 0 to 1"),
        ({"head": 1}, "head: got one without a layer"),
    ],
)
def test_odd_questions_get_one_line(session: Session, asked: Any, said: str) -> None:
    run = drawn(session, "ida")
    session.looking.look("ida", run)
    answer = at_of(session)(asked if asked is None else {"run": run, "step": 3, **asked})
    assert said in answer["error"]
    assert "\n" not in answer["error"]


@pytest.mark.parametrize("step", [-1, 256, "3", None])
def test_patches_of_no_position_get_one_line(session: Session, step: Any) -> None:
    told = on_patches(session)(event(run=drawn(session, "jo"), step=step), somebody("jo"))
    assert told["error"].startswith(("position: got", "step: got"))


def test_patches_are_the_codes_of_the_stages_in_their_place(session: Session) -> None:
    run = drawn(session, "kim")
    told = on_patches(session)(event(run=run, step=100), somebody("kim"))
    code = session.visits.find("kim", run).trace.steps[100].code
    assert told["codes"] == sorted([code, (code + 8) % 1024])
    assert told["corner"] == [5, 3]
    assert told["picture"]


def test_the_endpoint_tells_the_same(client: Client, strong: dict[str, Any]) -> None:
    whole = client.predict(strong["run"], 40, api_name="/inside")
    head = client.predict(strong["run"], 40, 1, 1, api_name="/inside")
    for answer in (whole, head):
        weights = [word["weight"] for word in answer["words"]] + answer["cells"]
        assert sum(weights) == pytest.approx(1, abs=2e-3)
        assert (len(answer["cells"]), answer["code"]) == (40, strong["codes"][40])
    assert whole["cells"] != head["cells"]
    assert [stage["place"] for stage in whole["stages"]] == ["start", "end", "end", "end", "end"]
    assert whole["stages"] == head["stages"]


def test_the_endpoint_knows_blenders(session: Session) -> None:
    run = drawn(session, "lea", method="faid")
    stages = inside_endpoint(session)(somebody("lea"), run, 40)["stages"]
    assert [(stage["layer"], stage["place"]) for stage in stages][:4] == [
        (0, "start"),
        (0, "before"),
        (0, "after"),
        (0, "end"),
    ]


# -- Pieces of pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "corner"), [(0, (0, 0)), (5, (0, 4)), (15, (0, 13)), (100, (5, 3)), (255, (13, 13))]
)
def test_a_piece_stays_inside_of_the_picture(position: int, corner: tuple[int, int]) -> None:
    assert inside.corner(Grid(16, 16), position) == corner


def test_pieces_stand_side_by_side() -> None:
    pictures = np.stack([np.full((32, 32, 3), shade, np.uint8) for shade in (10, 200)])
    strip = inside.pieces(pictures, Grid(16, 16), 100)
    assert strip.shape == (inside.PIECE, 2 * inside.PIECE, 3)
    assert (strip[:, : inside.PIECE] == 10).all()
    assert (strip[:, inside.PIECE :] == 200).all()


def test_codes_are_tried_at_one_position_alone(session: Session) -> None:
    trace = session.visits.find("ann", drawn(session)).trace
    grids = inside.tried(replace(trace, steps=trace.steps[:40]), 33, [7, 8])
    assert grids[:, 2, 1].tolist() == [7, 8]
    others = grids.reshape(2, -1)[:, :40]
    assert np.delete(others[0], 33).tolist() == np.delete(trace.codes[:40], 33).tolist()
    assert (grids[0] != grids[1]).sum() == 1


# -- In the file of the stepper ---------------------------------------------------------------------------------------


def test_the_file_of_a_run_has_what_was_kept(session: Session) -> None:
    run = drawn(session, "max")
    seen = session.looking.look("max", run)
    assert inside.packed(session.visits.find("max", run).trace) == ({}, {})
    session.looking.keep("max", run)
    kept = session.visits.find("max", run)
    header, arrays = unpack(session.presenting.packed("max", kept)[0])
    assert (header["inside"]["layers"], header["inside"]["words"]) == (4, ["a", "disc", "(start)"])
    before = 256 * 3 + 255 * 128  # of the first layer, all positions
    place = before + 90 * 3 + 90 * 89 // 2
    weights = arrays["inside_look"][place : place + 3 + 90] / header["inside"]["unit"]
    look = look_at(seen, 90, 1)
    np.testing.assert_allclose(weights, np.concatenate([look.words, look.cells]), atol=1e-3)
    np.testing.assert_array_equal(arrays["inside_code"].reshape(seen.codes.shape), seen.codes)


def test_where_all_layers_would_be_too_much_the_file_has_their_mean(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inside, "MOST_WEIGHTS", 100_000)
    run = drawn(session, "nan")
    seen = session.looking.look("nan", run)
    header, arrays = inside.packed(replace(session.visits.find("nan", run).trace, inside=seen))
    assert header["inside"]["layers"] == 0
    weights = arrays["inside_look"].ravel()[90 * 3 + 90 * 89 // 2 :][:93] / inside.UNIT
    look = look_at(seen, 90)
    np.testing.assert_allclose(weights, np.concatenate([look.words, look.cells]), atol=1e-3)
