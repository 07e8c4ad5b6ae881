"""Drawing for visitors: one picture, and several of one prompt together."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from app.plans import Batch, sweep_plan
from app.session import Session
from app.sheets import changed_codes
from app.views import Update
from core.backends.protocol import Predicted
from core.types import DatabaseError, DecodeSettings
from tests.app.asking import asked, defaults, last, wait_until
from tests.app.fake import FakeDecoding
from tests.app.stocked import PATCHES
from tests.app.test_views import unpack


def test_a_run_streams_and_ends_with_its_trace(slow: Session) -> None:
    updates = list(slow.drawing.draw("ann", "  a disc ", defaults))
    assert [update.state for update in updates[:-1]] == ["streaming"] * (len(updates) - 1)
    assert 1 <= updates[0].steps < PATCHES
    assert updates[0].picture[:4] == b"RIFF"
    numbers = [update.number for update in updates]
    assert numbers == sorted(set(numbers))
    header, arrays = unpack(updates[-1].file)
    assert updates[-1].state == "ready"
    assert header["prompt"] == "a disc"
    assert header["steps"] == len(arrays["code"]) == PATCHES
    assert len(updates[-1].file) < 1_000_000
    assert updates[-1].atlas[:4] == b"RIFF"


def test_trace_ids_cannot_be_guessed_from_the_run(session: Session) -> None:
    first, second = (unpack(last(session.drawing.draw("ann", "a disc", defaults)).file)[0]["id"] for _ in range(2))
    assert first != second
    assert len(first) >= 20


def test_interleaved_visitors_get_what_they_get_alone(session: Session) -> None:
    alone = [unpack(last(session.drawing.draw("x", prompt, defaults)).file)[1]["code"] for prompt in ("sun", "moon")]
    runs = [session.drawing.draw("ann", "sun", defaults), session.drawing.draw("bob", "moon", defaults)]
    finals: list[Update | None] = [None, None]
    while any(final is None for final in finals):
        for i, run in enumerate(runs):
            update = next(run, None)
            if update and update.state == "ready":
                finals[i] = update
    for final, codes in zip(finals, alone, strict=True):
        assert final is not None
        assert unpack(final.file)[1]["code"].tolist() == codes.tolist()


def test_a_run_goes_on_when_nobody_listens_and_can_be_followed_again(slow: Session) -> None:
    run = slow.drawing.draw("una", "sun", defaults, "first tab")
    next(run)
    run.close()
    again = list(slow.drawing.follow("una", "another tab", lambda tab: False))
    assert again[-1].state == "ready"
    assert [kept.prompt for kept in slow.visits.runs("una")] == ["sun"]
    assert list(slow.drawing.follow("una", "another tab", lambda tab: False)) == []


def test_stopping_and_leaving_close_the_model(monkeypatch: pytest.MonkeyPatch, slow: Session) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(FakeDecoding, "close", lambda self: closed.append(True))
    for end in (lambda: slow.runs.stop("vic", ""), lambda: slow.leave("vic")):
        run = slow.drawing.draw("vic", "sun", defaults)
        next(run)
        end()
        list(run)
        wait_until(lambda: slow.decoder.drawing == 0)
    wait_until(lambda: closed == [True, True])
    assert slow.visits.runs("vic") == ()  # whoever has left keeps nothing


@pytest.mark.parametrize(
    ("prompt", "said"), [("", "say what to draw"), ("   ", "say what to draw"), ("x" * 301, "expected 1 to 300")]
)
def test_prompts_that_do_not_work_are_told(session: Session, prompt: str, said: str) -> None:
    update = last(session.drawing.draw("ann", prompt, defaults))
    assert update.state == "error"
    assert said in update.message


def test_settings_that_do_not_fit_are_told(session: Session) -> None:
    update = last(session.drawing.draw("ann", "sun", lambda: asked(DecodeSettings(styles=("oil",)))))
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
    assert last(session.drawing.draw("ann", "sun", defaults)).message == "grids: got 3, expected 4; rebuild"
    fail(RuntimeError("/secret/path is broken"))
    update = last(session.drawing.draw("ann", "sun", defaults))
    assert update.state == "error"
    assert "secret" not in update.message
    assert "Try again" in update.message
    assert "secret" in caplog.text


def test_what_was_drawn_before_something_failed_is_kept_and_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, slow: Session
) -> None:
    whole, plain = last(slow.drawing.draw("ann", "sun", defaults)), FakeDecoding.logits
    left = 40

    def logits(self: FakeDecoding, neighbours: Any = None) -> Predicted:
        nonlocal left
        left -= 1
        if left < 0:
            raise DatabaseError("ray://far: got no answer")
        return plain(self, neighbours)

    monkeypatch.setattr(FakeDecoding, "logits", logits)
    update = last(slow.drawing.draw("ann", "sun", defaults))
    assert (update.state, update.steps) == ("stopped", 40)
    assert update.message.startswith(f"ray://far: got no answer. Paused after 40 of {PATCHES} patches")
    monkeypatch.setattr(FakeDecoding, "logits", plain)
    rest = last(slow.drawing.go_on("ann", update.kept, "end"))
    assert rest.state == "ready"
    assert unpack(rest.file)[1]["code"].tolist() == unpack(whole.file)[1]["code"].tolist()


def test_scripts_are_told_of_the_failure_alone(monkeypatch: pytest.MonkeyPatch, slow: Session) -> None:
    positions = iter(range(PATCHES))
    plain = FakeDecoding.logits

    def logits(self: FakeDecoding, neighbours: Any = None) -> Predicted:
        if next(positions) == 3:
            raise DatabaseError("ray://far: got no answer")
        return plain(self, neighbours)

    monkeypatch.setattr(FakeDecoding, "logits", logits)
    update = last(slow.drawing.draw("ann", "sun", defaults, tab=None))
    assert (update.state, update.message, update.kept) == ("error", "ray://far: got no answer", "")


def test_a_run_with_blenders_delivers_what_they_did(session: Session) -> None:
    settings = DecodeSettings(method="faid", faid_neighbours=20, record_unblended=True)
    update = last(session.drawing.draw("ann", "sun", lambda: asked(settings)))
    header, arrays = unpack(update.file)
    assert update.state == "ready"
    assert (header["blenders"], header["shown"]["features"]) == ([0, 3], 16)
    assert len(arrays["faid_compatibility"]) == PATCHES * 2 * 16
    added = sum(arrays[name].nbytes for name in arrays if name.startswith("faid") or "unblended" in name)
    assert added < 100_000
    assert len(update.file) < 1_000_000


def swept() -> Batch:
    return sweep_plan(defaults(), "retrieval_weight", "0, 0.5, 1", "n_neighbours", "1, 24")


def test_a_sweep_is_laid_out_and_a_picture_is_kept_when_it_is_opened(session: Session) -> None:
    *_, sheet = session.drawing.draw_sweep("gil", "a disc", swept)
    assert (sheet.state, sheet.steps, len(sheet.runs)) == ("ready", PATCHES, 6)
    with Image.open(io.BytesIO(sheet.picture)) as picture:
        assert picture.size == (3 * 64, 2 * 64)
    assert session.visits.runs("gil") == ()
    asked = swept().asked[4]
    opened = session.opening.open("gil", sheet.runs[4].id)
    alone = last(session.drawing.draw("hal", "a disc", lambda: asked))
    assert unpack(opened.file)[1]["code"].tolist() == unpack(alone.file)[1]["code"].tolist()
    assert [run.id for run in session.visits.runs("gil")] == [opened.kept]
    assert "not kept any more" in session.opening.open("hal", sheet.runs[4].id).message


def test_a_stopped_sweep_keeps_what_was_drawn(slow: Session) -> None:
    sheets = slow.drawing.draw_sweep("ivy", "a disc", swept)
    next(sheets), next(sheets)
    slow.runs.stop("ivy")
    *_, sheet = sheets
    assert sheet.state == "stopped"
    assert 1 <= sheet.steps < PATCHES
    counts = [len(run.trace.steps) for run in sheet.runs]  # slices of a sweep may end one patch apart
    assert sheet.steps == sum(counts) // len(counts)
    fewest, most = min(counts), max(counts)
    came = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    assert f"Stopped after {came} of {PATCHES} patches of each picture" in sheet.message
    opened = slow.opening.open("ivy", sheet.runs[0].id)
    assert (opened.state, opened.steps) == ("stopped", counts[0])


def test_pictures_that_cannot_be_drawn_together_are_told(session: Session) -> None:
    (told,) = session.drawing.draw_sweep("ann", "", swept)
    assert (told.state, told.runs) == ("error", ())
    assert "say what to draw" in told.message
    (told,) = session.drawing.draw_sweep("ann", "a disc", lambda: sweep_plan(defaults(), "seed", "x", "gate", "1"))
    assert "Seed: got 'x'" in told.message
    (told,) = list(
        session.drawing.draw_compared("ann", "a disc", lambda: Batch((asked(DecodeSettings(), model="secret"),), ("",)))
    )
    assert "model: got 'secret'" in told.message


def test_changed_codes_are_counted_where_both_have_some(session: Session) -> None:
    *_, sheet = session.drawing.draw_sweep("jon", "a disc", swept)
    first, other = sheet.runs[0], sheet.runs[5]
    expected = int((first.trace.codes != other.trace.codes).sum())
    assert expected > 0
    assert changed_codes(sheet.runs)[0] == 0
    assert changed_codes(sheet.runs)[5] == expected
    short = replace(other, trace=replace(other.trace, steps=other.trace.steps[:40]))
    assert changed_codes([first, short]) == [0, int((first.trace.codes[:40] != other.trace.codes[:40]).sum())]
