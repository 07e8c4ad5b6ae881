"""Runs of several visitors: isolation, stopping, messages."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from app.plans import Batch, methods_plan, sweep_plan
from app.session import Session
from app.sheets import Comparison, Sheet, changed_codes
from app.tabs.keep import page_file
from app.views import Asked, Update
from core.types import DatabaseError, DecodeSettings
from tests.app.fake import FakeBackend, FakeDecoding, fake_database
from tests.app.serving import SESSIONS
from tests.app.test_views import unpack


@pytest.fixture(scope="module")
def session() -> Session:
    backend = FakeBackend()
    return Session({"fake": backend, "other": FakeBackend(name="other")}, {"all": fake_database(backend, images=12)})


def asked(settings: DecodeSettings, model: str = "fake", database: str = "all") -> Asked:
    return Asked(model, database, settings)


def defaults() -> Asked:
    return asked(DecodeSettings(n_neighbours=24, seed=3))


def last(updates: Iterator[Update]) -> Update:
    return list(updates)[-1]


def test_a_run_streams_and_ends_with_its_trace(session: Session) -> None:
    updates = list(session.draw("ann", "  a disc ", defaults))
    assert [update.state for update in updates[:-1]] == ["streaming"] * (len(updates) - 1)
    assert updates[0].steps == 1
    assert updates[0].picture[:4] == b"RIFF"
    numbers = [update.number for update in updates]
    assert numbers == sorted(set(numbers))
    header, arrays = unpack(updates[-1].file)
    assert updates[-1].state == "ready"
    assert header["prompt"] == "a disc"
    assert header["steps"] == len(arrays["code"]) == 256
    assert len(updates[-1].file) < 1_000_000
    assert updates[-1].atlas[:4] == b"RIFF"


SKIPPED = "The caption filter was skipped: no word of this prompt is known."


def test_a_skipped_caption_filter_is_told_wherever_the_run_is_shown(session: Session, tmp_path: Path) -> None:
    told = last(session.draw("cat", "猫", defaults))
    assert (told.state, told.message) == ("ready", SKIPPED)
    assert ["caption filter", "skipped"] in unpack(told.file)[0]["facts"]
    assert session.show("cat", told.kept).message == SKIPPED
    kept = session.visits.find("cat", told.kept)
    _, page = page_file(session, "cat", kept)
    assert SKIPPED in base64_texts(page.decode())
    kept.trace.save(tmp_path / "cat.npz")
    assert session.open_file("cat", tmp_path / "cat.npz").message == f"Opened from cat.npz. {SKIPPED}"
    assert last(session.draw("cat", "a cat", defaults)).message == ""
    off = asked(DecodeSettings(caption_filter=0))
    assert last(session.draw("cat", "猫", lambda: off)).message == ""


def test_a_skipped_caption_filter_is_told_of_several_pictures(session: Session) -> None:
    plan = methods_plan(asked(DecodeSettings(n_neighbours=8)), ("model", "daid", "faid"))
    *_, sheet = session.draw_together("cat", "猫", lambda: plan)
    assert sheet.message == SKIPPED
    assert [run.trace.unfiltered is None for run in sheet.runs] == [True, False, False]


def base64_texts(page: str) -> str:
    """All that a page of one file holds as base64 and that is text."""
    parts = [base64.b64decode(part) for part in re.findall("[A-Za-z0-9+/]{40,}={0,2}", page) if len(part) % 4 == 0]
    return " ".join(part.decode("utf-8", "ignore") for part in parts)


def test_trace_ids_cannot_be_guessed_from_the_run(session: Session) -> None:
    first, second = (unpack(last(session.draw("ann", "a disc", defaults)).file)[0]["id"] for _ in range(2))
    assert first != second
    assert len(first) >= 20


def test_interleaved_visitors_get_what_they_get_alone(session: Session) -> None:
    alone = [unpack(last(session.draw("x", prompt, defaults)).file)[1]["code"] for prompt in ("sun", "moon")]
    runs = [session.draw("ann", "sun", defaults), session.draw("bob", "moon", defaults)]
    finals: list[Update | None] = [None, None]
    while any(final is None for final in finals):
        for i, run in enumerate(runs):
            update = next(run, None)
            if update and update.state == "ready":
                finals[i] = update
    for final, codes in zip(finals, alone, strict=True):
        assert final is not None
        assert unpack(final.file)[1]["code"].tolist() == codes.tolist()


def test_stop_ends_only_this_visitors_run_and_keeps_what_was_drawn(session: Session) -> None:
    ann, bob = session.draw("ann", "sun", defaults), session.draw("bob", "moon", defaults)
    next(ann), next(bob)
    session.stop("ann")
    stopped, finished = last(ann), last(bob)
    assert stopped.state == "stopped"
    assert 1 <= stopped.steps < 256
    assert f"Paused after {stopped.steps} of 256" in stopped.message
    assert unpack(stopped.file)[0]["steps"] == stopped.steps
    assert finished.state == "ready"


def test_a_new_run_ends_the_older_one_of_the_same_visitor_and_nothing_of_it_is_kept(session: Session) -> None:
    older = session.draw("kim", "sun", defaults)
    first = next(older)
    begun = session.begin("kim", "moon")
    assert begun.run > first.run
    assert begun.state == "streaming"
    assert {update.state for update in older} <= {"streaming"}
    assert session.visits.runs("kim") == ()


def test_of_several_clicks_the_last_one_draws_whatever_the_order_of_their_turns(session: Session) -> None:
    clicks = [session.begin("lee", "sun").run for _ in range(5)]
    waiting = [session.draw("lee", f"sun {click}", defaults, begun=click) for click in clicks]
    assert [len(list(run)) for run in (waiting[2], waiting[0], waiting[1], waiting[3])] == [0] * 4
    assert last(waiting[4]).state == "ready"
    assert [run.trace.prompt for run in session.visits.runs("lee")] == [f"sun {clicks[-1]}"]
    assert last(session.draw("mia", "sun", defaults, begun=clicks[0])).state == "ready"  # another visitor's clicks


def test_several_pictures_pause_what_is_under_way_which_stays(session: Session) -> None:
    older = session.draw("ned", "sun", defaults)
    next(older)
    session.begin_together("ned", "moon")
    assert last(older).state == "stopped"
    assert len(session.visits.runs("ned")) == 1


def test_leaving_closes_the_model(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(FakeDecoding, "close", lambda self: closed.append(True))
    run = session.draw("ann", "sun", defaults)
    next(run)
    run.close()
    assert closed == [True]
    session.stop("ann")  # nothing is left to stop


@pytest.mark.parametrize(
    ("prompt", "said"), [("", "say what to draw"), ("   ", "say what to draw"), ("x" * 301, "expected 1 to 300")]
)
def test_prompts_that_do_not_work_are_told(session: Session, prompt: str, said: str) -> None:
    update = last(session.draw("ann", prompt, defaults))
    assert update.state == "error"
    assert said in update.message


def test_settings_that_do_not_fit_are_told(session: Session) -> None:
    update = last(session.draw("ann", "sun", lambda: asked(DecodeSettings(styles=("oil",)))))
    assert update.state == "error"
    assert "oil" in update.message
    assert "flat" in update.message  # what would be allowed


def test_core_errors_are_told_and_unforeseen_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(error: Exception) -> None:
        def logits(self: FakeDecoding, neighbours: object) -> None:
            raise error

        monkeypatch.setattr(FakeDecoding, "logits", logits)

    fail(DatabaseError("grids: got 3, expected 4; rebuild"))
    assert last(session.draw("ann", "sun", defaults)).message == "grids: got 3, expected 4; rebuild"
    fail(RuntimeError("/secret/path is broken"))
    update = last(session.draw("ann", "sun", defaults))
    assert update.state == "error"
    assert "secret" not in update.message
    assert "Try again" in update.message
    assert "secret" in caplog.text


def test_a_run_with_blenders_delivers_what_they_did(session: Session) -> None:
    settings = DecodeSettings(method="faid", faid_neighbours=20, record_unblended=True)
    update = last(session.draw("ann", "sun", lambda: asked(settings)))
    header, arrays = unpack(update.file)
    assert update.state == "ready"
    assert (header["blenders"], header["shown"]["features"]) == ([0, 3], 16)
    assert len(arrays["faid_compatibility"]) == 256 * 2 * 16
    added = sum(arrays[name].nbytes for name in arrays if name.startswith("faid") or "unblended" in name)
    assert added < 100_000
    assert len(update.file) < 1_000_000


def test_methods_with_blenders_need_a_model_that_has_some(session: Session) -> None:
    assert session.methods == ("model", "daid", "faid", "faid+daid")
    plain = FakeBackend(faid=None)
    assert Session({"plain": plain}, {"all": fake_database(plain, images=2)}).methods == ("model", "daid")


def test_methods_with_retrieval_need_a_database(tmp_path: Path) -> None:
    session = Session({"fake": FakeBackend()}, {})
    assert session.methods == session.methods_of("ann") == ("model",)
    assert session.start == Asked("fake", "", DecodeSettings(method="model"))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    list(session.bring("ann", [tmp_path / "red.png"]))
    assert "daid" in session.methods_of("ann")
    assert session.methods_of("bob") == ("model",)


def test_what_a_visitor_finds_chosen_works_with_a_released_database() -> None:
    session = SESSIONS["released"](0.0)
    assert session.start == Asked("fake", "released", DecodeSettings(caption_filter=0))
    assert last(session.draw("ann", "sun", lambda: session.start)).state == "ready"


def test_model_alone_needs_no_database() -> None:
    session = Session({"fake": FakeBackend()}, {})
    assert session.styles == ()
    assert last(session.draw("ann", "sun", lambda: asked(DecodeSettings(method="model")))).state == "ready"
    assert "database" in last(session.draw("ann", "sun", defaults)).message


def test_a_visitor_chooses_model_and_database(session: Session) -> None:
    update = last(session.draw("ann", "sun", lambda: asked(DecodeSettings(), model="other")))
    facts = dict(unpack(update.file)[0]["facts"])
    assert (facts["model"], facts["database"]) == ("other", "all")
    assert "database" not in dict(
        unpack(last(session.draw("ann", "sun", lambda: asked(DecodeSettings(method="model")))).file)[0]["facts"]
    )


@pytest.mark.parametrize(("kind", "said"), [("model", "fake, other"), ("database", "all")])
def test_a_model_or_database_that_is_not_there_is_told(session: Session, kind: str, said: str) -> None:
    update = last(session.draw("ann", "sun", lambda: asked(DecodeSettings(), **{kind: "secret"})))
    assert update.state == "error"
    assert f"{kind}: got 'secret', expected one of {said}" in update.message


# ---------------------------------------------------------------------------------------------------------------------
# Several pictures


def methods() -> Batch:
    return methods_plan(defaults(), ("model", "daid", "faid", "faid+daid"))


def test_compared_pictures_are_those_of_single_runs(session: Session) -> None:
    sheets = list(session.draw_compared("cara", " a disc ", methods))
    comparison = sheets[-1]
    assert isinstance(comparison, Comparison)
    assert all(isinstance(sheet, Sheet) and sheet.state == "streaming" for sheet in sheets[:-1])
    assert [found.label for found in comparison.compared] == ["Model only", "DAiD", "FAiD", "FAiD + DAiD"]
    assert (comparison.state, comparison.prompt, comparison.message) == ("ready", "a disc", "")
    numbers = [sheet.number for sheet in sheets]
    assert numbers == sorted(set(numbers))
    assert len({sheet.run for sheet in sheets}) == 1
    for found, asked in zip(comparison.compared, methods().asked, strict=True):
        header, arrays = unpack(found.file)
        alone = unpack(last(session.draw("dora", "a disc", lambda asked=asked: asked)).file)[1]
        assert header["id"] == found.id
        assert arrays["code"].tolist() == alone["code"].tolist()


def test_compared_pictures_are_kept_the_first_as_the_newest(session: Session) -> None:
    *_, comparison = session.draw_compared("emma", "a disc", methods)
    assert isinstance(comparison, Comparison)
    assert [run.id for run in session.visits.runs("emma")][::-1] == [found.id for found in comparison.compared]
    again = session.compare("emma", [comparison.compared[2].id, comparison.compared[0].id])
    assert [found.label for found in again.compared] == ["FAiD", "Model only"]
    assert again.run > comparison.run


@pytest.mark.parametrize("runs", [None, [], ["x"] * 5, "abc", [3], ["not there"]])
def test_what_cannot_be_compared_is_told(session: Session, runs: object) -> None:
    told = session.compare("ann", runs)
    assert (told.state, told.compared) == ("error", ())
    assert "choose them again" in told.message or "not kept any more" in told.message


def test_a_run_is_compared_with_its_parent(session: Session) -> None:
    list(session.draw("fay", "a disc", defaults))
    (first,) = session.visits.runs("fay")
    session.visits.keep("fay", replace(first, id="branch", parent=first.id, branch_step=40))
    told = session.compare_with_parent("fay", "branch")
    assert [(found.id, found.label) for found in told.compared] == [(first.id, "a disc"), ("branch", "branch at 40")]
    for name in (first.id, ""):
        assert "no branch of another one" in session.compare_with_parent("fay", name).message


def swept() -> Batch:
    return sweep_plan(defaults(), "retrieval_weight", "0, 0.5, 1", "n_neighbours", "1, 24")


def test_a_sweep_is_laid_out_and_a_picture_is_kept_when_it_is_opened(session: Session) -> None:
    *_, sheet = session.draw_sweep("gil", "a disc", swept)
    assert (sheet.state, sheet.steps, len(sheet.runs)) == ("ready", 256, 6)
    with Image.open(io.BytesIO(sheet.picture)) as picture:
        assert picture.size == (3 * 128, 2 * 128)
    assert session.visits.runs("gil") == ()
    asked = swept().asked[4]
    opened = session.open("gil", sheet.runs[4].id)
    alone = last(session.draw("hal", "a disc", lambda: asked))
    assert unpack(opened.file)[1]["code"].tolist() == unpack(alone.file)[1]["code"].tolist()
    assert [run.id for run in session.visits.runs("gil")] == [opened.kept]
    assert "not kept any more" in session.open("hal", sheet.runs[4].id).message


def test_a_stopped_sweep_keeps_what_was_drawn(session: Session) -> None:
    sheets = session.draw_sweep("ivy", "a disc", swept)
    next(sheets), next(sheets)
    session.stop("ivy")
    *_, sheet = sheets
    assert sheet.state == "stopped"
    assert 1 <= sheet.steps < 256
    assert f"Stopped after {sheet.steps} of 256 patches of each picture" in sheet.message
    assert {len(run.trace.steps) for run in sheet.runs} == {sheet.steps}
    opened = session.open("ivy", sheet.runs[0].id)
    assert (opened.state, opened.steps) == ("stopped", sheet.steps)


def test_pictures_that_cannot_be_drawn_together_are_told(session: Session) -> None:
    (told,) = session.draw_sweep("ann", "", swept)
    assert (told.state, told.runs) == ("error", ())
    assert "say what to draw" in told.message
    (told,) = session.draw_sweep("ann", "a disc", lambda: sweep_plan(defaults(), "seed", "x", "gate", "1"))
    assert "Seed: got 'x'" in told.message
    (told,) = list(
        session.draw_compared("ann", "a disc", lambda: Batch((asked(DecodeSettings(), model="secret"),), ("",)))
    )
    assert "model: got 'secret'" in told.message


def test_changed_codes_are_counted_where_both_have_some(session: Session) -> None:
    *_, sheet = session.draw_sweep("jon", "a disc", swept)
    first, other = sheet.runs[0], sheet.runs[5]
    expected = int((first.trace.codes != other.trace.codes).sum())
    assert expected > 0
    assert changed_codes(sheet.runs)[0] == 0
    assert changed_codes(sheet.runs)[5] == expected
    short = replace(other, trace=replace(other.trace, steps=other.trace.steps[:100]))
    assert changed_codes([first, short]) == [0, int((first.trace.codes[:100] != other.trace.codes[:100]).sum())]
