"""The rail of a visit's runs, without a browser: what it shows, and what its events do, whatever they bring."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from app.rail.events import heir_of, on_drop, on_rename, on_show
from app.rail.rail import Kepts, Rail
from app.session import Session
from app.visits import LISTED_PICTURE, Kept, Listed
from core.types import ConfigError
from tests.app.asking import defaults, first_run, somebody


@pytest.fixture(scope="module")
def kept(session: Session) -> Kept:
    list(session.drawing.draw("railed", "a disc", defaults))
    return first_run(session, "railed")


def sent(data: Any) -> gr.EventData:
    """An event of the script that brings something."""
    return gr.EventData(None, data)


def given(session: Session, who: str, *runs: Kept) -> gr.Request:
    """A visitor who has these runs."""
    session.visits.forget(who)
    for run in runs:
        session.visits.keep(who, run)
    return somebody(who)


def ids(session: Session, who: str) -> list[str]:
    return [run.id for run in session.visits.runs(who)]


def test_the_runs_are_sent_each_after_its_parent_with_a_small_picture(kept: Kept) -> None:
    runs = [
        Listed.of(replace(kept, id="a", name="<b>")),
        Listed.of(replace(kept, id="b")),
        Listed.of(replace(kept, id="c", parent="a", branch_step=40)),
    ]
    data = Rail().postprocess(Kepts(runs, ("b", "a")))
    assert [(run.id, run.parent, run.level) for run in data.runs] == [("a", "", 1), ("c", "a", 2), ("b", "", 1)]
    assert data.runs[0].name == "<b>"
    assert (data.runs[1].tags, data.runs[1].about) == (["from 40", "0 differ"], "DAiD, λ 0.1, all")
    assert Image.open(io.BytesIO(base64.b64decode(data.runs[0].picture))).size == (LISTED_PICTURE, LISTED_PICTURE)
    assert data.chosen == ["b", "a"]
    assert Rail().postprocess(Kepts(runs)).chosen is None
    assert Rail().postprocess(None) is None


def test_a_full_rail_is_a_small_message(kept: Kept) -> None:
    data = Rail().postprocess(Kepts([Listed.of(replace(kept, id=str(i))) for i in range(32)]))
    assert len(data.model_dump_json()) < 150_000


def test_a_run_is_shown_where_the_stepper_stands(session: Session, kept: Kept) -> None:
    request = given(session, "shows", replace(kept, id="a"))
    update, shown = on_show(session)(sent({"run": "a", "step": 40}), request)
    assert (update.state, update.step, shown) == ("ready", 40, "a")


@pytest.mark.parametrize(
    "data", [None, "a", [], {}, {"run": 3, "step": 0}, {"run": "a" * 300, "step": 0}, {"run": "a", "step": "x"}]
)
def test_what_makes_no_sense_is_told(session: Session, kept: Kept, data: Any) -> None:
    request = given(session, "odd", replace(kept, id="a"), replace(kept, id="b"))
    update, _ = on_show(session)(sent(data), request)
    assert update.state == "error"
    assert "reload the page" in update.message
    rail, update, _ = on_drop(session)("a", sent(data), request)
    assert [run.id for run in rail.runs] == ["a", "b"]
    assert update.state == "error"


def test_names_that_do_not_work_change_nothing(session: Session, kept: Kept) -> None:
    request = given(session, "names", replace(kept, id="a", name="one"))
    rename = on_rename(session)
    assert [run.name for run in rename(sent({"run": "a", "name": " the  best "}), request).runs] == ["the best"]
    for data in ({"run": "a", "name": " "}, {"run": "a", "name": 7}, {"run": "b", "name": "x"}):
        with pytest.warns(UserWarning, match="name: got|expected a short text|not kept"):
            assert [run.name for run in rename(sent(data), request).runs] == ["the best"]


def test_another_run_takes_the_place_of_a_deleted_one(session: Session, kept: Kept) -> None:
    branch = replace(kept, id="c", parent="a", branch_step=40)
    request = given(session, "drops", replace(kept, id="a"), replace(kept, id="b"), branch)
    drop = on_drop(session)
    rail, update, shown = drop("c", sent({"run": "c", "step": 50}), request)
    assert ([run.id for run in rail.runs], update.step, shown) == (["a", "b"], 50, "a")
    rail, *others = drop("a", sent({"run": "b", "step": 50}), request)  # it is not the one that is shown
    assert [run.id for run in rail.runs] == ["a"]
    assert [other["__type__"] for other in others] == ["update", "update"]
    _, update, _ = drop("a", sent({"run": "a", "step": 50}), request)
    assert "only picture" in update.message
    assert ids(session, "drops") == ["a"]


def test_nobody_deletes_what_is_another_visitors(session: Session, kept: Kept) -> None:
    given(session, "hers", replace(kept, id="a"), replace(kept, id="b"))
    _, update, _ = on_drop(session)("", sent({"run": "a", "step": 0}), somebody("his"))
    assert "not kept any more" in update.message
    assert ids(session, "hers") == ["a", "b"]


def test_the_heir_is_the_parent_or_stands_beside(kept: Kept) -> None:
    runs = (replace(kept, id="a"), replace(kept, id="b"), replace(kept, id="c", parent="a"))
    assert [heir_of(runs, run) for run in "abc"] == ["b", "a", "a"]
    orphan = (runs[1], replace(runs[2], parent="gone"))
    assert heir_of(orphan, "c") == "b"
    with pytest.raises(ConfigError, match="only picture"):
        heir_of(runs[:1], "a")
