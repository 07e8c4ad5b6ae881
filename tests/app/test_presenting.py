"""What the page is told of runs: notices wherever one is shown, and comparisons."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from app.files import page_file
from app.plans import Batch, methods_plan
from app.session import Session
from app.sheets import Comparison, Sheet
from core.types import DecodeSettings
from tests.app.asking import asked, defaults, last
from tests.app.test_views import unpack

SKIPPED = "The caption filter was skipped: no word of this prompt is known."


def test_a_skipped_caption_filter_is_told_wherever_the_run_is_shown(session: Session, tmp_path: Path) -> None:
    told = last(session.drawing.draw("cat", "猫", defaults))
    assert (told.state, told.message) == ("ready", SKIPPED)
    assert ["caption filter", "skipped"] in unpack(told.file)[0]["facts"]
    assert session.opening.show("cat", told.kept).message == SKIPPED
    kept = session.visits.find("cat", told.kept)
    _, page = page_file(kept, *session.presenting.packed("cat", kept))
    assert SKIPPED in base64_texts(page.decode())
    kept.trace.save(tmp_path / "cat.npz")
    assert session.opening.open_file("cat", tmp_path / "cat.npz").message == f"Opened from cat.npz. {SKIPPED}"
    assert last(session.drawing.draw("cat", "a cat", defaults)).message == ""
    off = asked(DecodeSettings(caption_filter=0))
    assert last(session.drawing.draw("cat", "猫", lambda: off)).message == ""


def test_a_skipped_caption_filter_is_told_of_several_pictures(session: Session) -> None:
    plan = methods_plan(asked(DecodeSettings(n_neighbours=8)), ("model", "daid", "faid"))
    *_, sheet = session.drawing.draw_together("cat", "猫", lambda: plan)
    assert sheet.message == SKIPPED
    assert [run.trace.unfiltered is None for run in sheet.runs] == [True, False, False]


def base64_texts(page: str) -> str:
    """All that a page of one file holds as base64 and that is text."""
    parts = [base64.b64decode(part) for part in re.findall("[A-Za-z0-9+/]{40,}={0,2}", page) if len(part) % 4 == 0]
    return " ".join(part.decode("utf-8", "ignore") for part in parts)


def methods() -> Batch:
    return methods_plan(defaults(), ("model", "daid", "faid", "faid+daid"))


def test_compared_pictures_are_those_of_single_runs(session: Session) -> None:
    sheets = list(session.drawing.draw_compared("cara", " a disc ", methods))
    comparison = sheets[-1]
    assert isinstance(comparison, Comparison)
    assert all(isinstance(sheet, Sheet) and sheet.state == "streaming" for sheet in sheets[:-1])
    assert [found.label for found in comparison.compared] == ["Model only", "DAiD", "FAiD", "FAiD + DAiD"]
    assert (comparison.state, comparison.prompt, comparison.message) == ("ready", "a disc", "")
    numbers = [sheet.number for sheet in sheets]
    assert numbers == sorted(set(numbers))
    assert len({sheet.run for sheet in sheets}) == 1
    for found, one in zip(comparison.compared, methods().asked, strict=True):
        header, arrays = unpack(found.file)
        alone = unpack(last(session.drawing.draw("dora", "a disc", lambda one=one: one)).file)[1]
        assert header["id"] == found.id
        assert arrays["code"].tolist() == alone["code"].tolist()


def test_compared_pictures_are_kept_the_first_as_the_newest(session: Session) -> None:
    *_, comparison = session.drawing.draw_compared("emma", "a disc", methods)
    assert isinstance(comparison, Comparison)
    assert [run.id for run in session.visits.runs("emma")][::-1] == [found.id for found in comparison.compared]
    again = session.presenting.compare("emma", [comparison.compared[2].id, comparison.compared[0].id])
    assert [found.label for found in again.compared] == ["FAiD", "Model only"]
    assert again.run > comparison.run


@pytest.mark.parametrize("runs", [None, [], ["x"] * 5, "abc", [3], ["not there"]])
def test_what_cannot_be_compared_is_told(session: Session, runs: object) -> None:
    told = session.presenting.compare("ann", runs)
    assert (told.state, told.compared) == ("error", ())
    assert "choose them again" in told.message or "not kept any more" in told.message
