"""Real pictures read as if they were being drawn, over the fake model, and what such a reading is a test of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app import controls, reading
from app.library import Library
from app.reading import Given, Reading, completions, from_database, held_out, made, read, twin, what_it_tests
from app.session import Session
from app.tabs.read import layout
from app.tabs.read.reading import Readings, Said, shelf_of
from app.views import Asked, Update
from core.analysis.reading import Verdict
from core.backends import load_backend
from core.patches.database import PatchDatabase
from core.types import ConfigError, DecodeSettings
from tests.app.fake import FakeBackend, fake_database

SETTINGS = DecodeSettings(seed=3, n_neighbours=24, retrieval_weight=0.5, gate=0.0)
ASKED = Asked("fake", "all", SETTINGS)


@pytest.fixture(scope="module")
def session() -> Session:
    backend = FakeBackend()
    return Session.over(Library({"fake": backend}, {"all": fake_database(backend, images=12)}))


@pytest.fixture(scope="module")
def result(session: Session) -> Reading:
    """Picture 4 of the database, read."""
    given = from_database(session.library, "image", ASKED, 4)
    *_, found = read(session, "image", ASKED, given)
    assert isinstance(found, Reading)
    return found


def last(updates: Iterator[Update]) -> Update:
    return list(updates)[-1]


def test_a_picture_is_read_with_every_method(session: Session, result: Reading) -> None:
    trace = result.kept.trace
    assert result.given.prompt == "disc number 4, 3d style"
    assert (trace.codes.tolist(), trace.given) == (list(result.given.codes), 256)
    assert {part.cfg_scale for part in trace.all_settings} == {1.0}
    assert [method.name for method in result.methods] == ["Model", "DAiD", "FAiD", "FAiD + DAiD"]
    alone, daid, faid, both = result.methods
    assert daid.surprise == pytest.approx(trace.surprise()[:, 1], abs=1e-6)
    assert daid.verdict.nats == pytest.approx(trace.surprise()[:, 1].mean(), abs=1e-5)
    assert daid.picks == tuple(trace.pick(p) for p in range(256))
    assert alone.verdict.word == "nothing"
    assert not np.array_equal(faid.surprise, both.surprise)


def test_a_picture_is_not_looked_up_in_itself(result: Reading) -> None:
    trace = result.kept.trace
    sources = {int(i) for p in range(256) for i in trace.provenance(p)[0]}
    assert sources
    assert 4 not in sources
    assert result.about.startswith("No. 4 of the database all, left out of the look-ups.")


def test_guidance_is_off_whatever_the_settings(session: Session, result: Reading) -> None:
    guided = replace(ASKED, settings=replace(SETTINGS, cfg_scale=5.0))
    *_, found = read(session, "guided", guided, result.given)
    assert isinstance(found, Reading)
    assert found.methods[0].verdict == result.methods[0].verdict


def test_the_rest_of_a_picture_is_drawn_by_each_method(session: Session, result: Reading) -> None:
    plans = completions(session.library, (result.given, result.kept.id), 8, ASKED)
    assert [plan.asked.settings.method for plan in plans] == ["model", "daid", "faid"]
    done = [session.visits.find("image", last(session.drawing.carry_out("image", made(p))).kept) for p in plans]
    for completed in done:
        assert completed.trace.codes[:128].tolist() == list(result.given.codes[:128])
        assert (completed.parent, completed.branch_step, completed.trace.given) == (result.kept.id, 128, 128)
        assert completed.trace.complete
    assert len({tuple(completed.trace.codes.tolist()) for completed in done}) > 1


def test_reading_and_completing_end_when_something_newer_takes_their_place(slow: Session) -> None:
    given = from_database(slow.library, "hugo", ASKED, 4)
    begun = read(slow, "hugo", ASKED, given)
    next(begun)
    newer = slow.drawing.draw("hugo", "a disc", lambda: ASKED)
    next(newer)
    assert {update.state for update in begun if isinstance(update, Update)} <= {"streaming"}
    drawn = last(newer)
    assert drawn.state == "ready"
    completing = layout.draw_each(slow, "hugo", "", completions(slow.library, (given, drawn.kept), 4, ASKED))
    next(completing)
    slow.drawing.begin("hugo", "a disc")
    assert {update.state for update, _ in completing} <= {"streaming"}
    assert [run.id for run in slow.visits.runs("hugo")] == [drawn.kept]


@pytest.mark.parametrize("number", [None, -1, 12, 1.5, "4"])
def test_images_that_the_database_does_not_have_are_refused(session: Session, number: object) -> None:
    with pytest.raises(ConfigError, match="image: got no"):
        from_database(session.library, "anna", ASKED, number)


def test_completing_needs_an_image_and_some_rows(session: Session, result: Reading) -> None:
    with pytest.raises(ConfigError, match="upload or read one first"):
        completions(session.library, None, 8, ASKED)
    for rows in (0, 16, None, "8"):
        with pytest.raises(ConfigError, match="rows: got"):
            completions(session.library, (result.given, "x"), rows, ASKED)


# -- in words ---------------------------------------------------------------------------------------------------------


def test_the_sentence_has_figures_and_a_verdict_for_each_method(result: Reading) -> None:
    verdicts = (Verdict(1.0522, 0, 0), Verdict(1.048, -0.0042, 0.003), Verdict(1.304, 0.2518, 0.05))
    methods = [replace(method, verdict=verdict) for method, verdict in zip(result.methods, verdicts, strict=False)]
    assert replace(result, methods=tuple(methods)).sentence.replace("\xa0", " ").replace("\N{MINUS SIGN}", "-") == (
        "Model 1.052, DAiD 1.048, FAiD 1.304 nats a code: "
        "here DAiD changes little (-0.004 ± 0.003), FAiD hurts (+0.252 ± 0.050)."
    )


def test_a_weight_of_nothing_changes_nothing(session: Session, result: Reading) -> None:
    off = replace(ASKED, settings=replace(SETTINGS, retrieval_weight=0.0))
    *_, found = read(session, "off", off, result.given)
    assert isinstance(found, Reading)
    assert "DAiD changes nothing," in found.sentence


def test_a_picture_in_the_database_is_no_test(session: Session, result: Reading) -> None:
    brought = replace(result.given, kind="uploaded", number=-1)
    said = what_it_tests(session.library, "ann", ASKED, brought)
    assert said.startswith("No test of help: the database all holds this picture as no. 4, and it is looked up in")
    assert "Read it by this number, which leaves it out." in said
    excluded = what_it_tests(session.library, "ann", replace(ASKED, without=4), brought)
    assert excluded.startswith("The database all does not hold this picture.")
    assert "Whether the model fake was trained on it is not known here." in excluded


def test_nearly_equal_pictures_are_found(session: Session, result: Reading) -> None:
    database = session.library.databases["all"]
    assert isinstance(database, PatchDatabase)
    codes = np.array(result.given.codes)
    assert twin(database, codes.tolist()) == 4
    codes[:25] = (codes[:25] + 1) % 1024
    assert twin(database, codes.tolist()) == 4
    codes[:27] = (codes[:27] + 1) % 1024
    assert twin(database, codes.tolist()) is None
    assert twin(database.subset([]), codes.tolist()) is None


# -- held-out pictures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded() -> Library:
    """The embedded model with its database."""
    backend = load_backend("emoji")
    folder = reading.ASSETS / "databases"
    return Library(
        {"emoji": backend}, {n: PatchDatabase.load(folder / n, backend.codebook) for n in ("emoji", "unseen")}
    )


def test_a_dozen_held_out_pictures_of_every_style_are_offered(embedded: Library) -> None:
    given = held_out(embedded.first)
    assert len(given) == 12 == len({one.codes for one in given})
    styles = {one.prompt.rsplit(", ", 1)[1] for one in given}
    assert styles == {"3d style", "noto style", "twemoji style", "flat style"}
    shelf = shelf_of(embedded.first, given)
    assert shelf["captions"] == [one.prompt for one in given]
    assert len(shelf["sheet"]) < 30_000


def test_no_held_out_picture_is_in_a_database_that_ships(embedded: Library) -> None:
    for given in held_out(embedded.first, count=1000):
        for database in embedded.databases.values():
            assert isinstance(database, PatchDatabase)
            assert twin(database, given.codes) is None
    about = what_it_tests(embedded, "ann", Asked("emoji", "unseen", SETTINGS), given)
    assert about == (
        "The database Unseen does not hold this picture. Held out: the model Emoji was never trained on it."
    )


def test_what_the_model_was_trained_on_is_said(embedded: Library) -> None:
    asked = Asked("emoji", "emoji", SETTINGS)
    given = from_database(embedded, "ann", asked, 297)
    said = what_it_tests(embedded, "ann", replace(asked, without=297), given)
    assert said.startswith("No. 297 of the database Emoji, left out of the look-ups. The model Emoji was trained on it")
    strange = replace(given, kind="uploaded", codes=given.codes[::-1])
    assert "No picture like it was found among those" in what_it_tests(embedded, "ann", asked, strange)


def test_a_model_of_another_codebook_has_none() -> None:
    assert held_out(FakeBackend()) == ()


# -- on the page ------------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_told_in_the_stepper_and_in_the_tab(session: Session) -> None:
    def refuse(asked: Asked, files: Sequence[Path]) -> Given:
        raise ConfigError("image: got nothing")

    values = controls.values_of(ASKED)
    ((update, run, said, state),) = layout.show(session, "ann", values, refuse)
    assert update.state == "error"
    assert said.message == update.message
    assert (run, state) == (gr.skip(), gr.skip())
    assert said.message == "image: got nothing"


def test_the_page_is_sent_the_verdict(result: Reading) -> None:
    sent = Readings().postprocess(Said(reading=result))
    assert (sent.state, sent.sentence, sent.run) == ("ready", result.sentence, result.kept.id)
    assert [method.word for method in sent.methods] == [method.verdict.word for method in result.methods]
    assert Readings().postprocess(Said("no", 0)).state == "error"
    assert Readings().postprocess(Said("", 12)).steps == 12
    assert Readings().postprocess("something") is None


def test_an_upload_needs_a_file_and_a_prompt(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="image: got nothing"):
        reading.uploaded(session.library, ASKED, None, "a disc")
    with pytest.raises(ConfigError, match="prompt"):
        reading.uploaded(session.library, ASKED, tmp_path / "x.png", "  ")
