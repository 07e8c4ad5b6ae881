"""Finished runs that visitors can go back to: isolation, room, what is told when a run is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.session import Session
from app.views import Asked
from app.visits import Kept, Visits
from core.types import ConfigError, DecodeSettings
from tests.app.test_views import unpack


@pytest.fixture(scope="module")
def kept(session: Session) -> Kept:
    list(session.drawing.draw("maker", "sun", lambda: Asked("fake", "all", DecodeSettings(n_neighbours=8))))
    return session.visits.runs("maker")[0]


def test_a_finished_run_is_kept_and_shown_again(session: Session) -> None:
    asked = Asked("fake", "all", DecodeSettings(n_neighbours=8))
    *_, final = session.drawing.draw("ann", "sun", lambda: asked)
    (run,) = session.visits.runs("ann")
    assert (run.id, run.asked, run.name) == (final.kept, asked, "sun")
    again = session.opening.show("ann", run.id)
    assert again.run > final.run
    assert unpack(again.file)[0] == unpack(final.file)[0]


def test_a_visitor_cannot_reach_the_runs_of_another(session: Session, kept: Kept) -> None:
    with pytest.raises(ConfigError, match="draw it again"):
        session.opening.show("eve", kept.id)


def test_leaving_forgets(session: Session) -> None:
    *_, final = session.drawing.draw("bob", "sun", lambda: Asked("fake", "all", DecodeSettings(n_neighbours=8)))
    session.leave("bob")
    assert session.visits.runs("bob") == ()
    with pytest.raises(ConfigError):
        session.opening.show("bob", final.kept)


def test_the_oldest_run_of_a_visitor_makes_room(kept: Kept) -> None:
    visits = Visits(runs_kept=2)
    for name in "abc":
        visits.keep("ann", replace(kept, id=name))
    assert [run.id for run in visits.runs("ann")] == ["b", "c"]


def test_who_has_been_away_for_longest_makes_room_for_others(kept: Kept) -> None:
    visits = Visits(bytes_kept=3 * kept.nbytes)
    for visitor, name in [("ann", "a"), ("bob", "b"), ("ann", "c"), ("cem", "d"), ("cem", "e")]:
        visits.keep(visitor, replace(kept, id=name))
    left = {visitor: [run.id for run in visits.runs(visitor)] for visitor in ("ann", "bob", "cem")}
    assert left == {"ann": ["c"], "bob": [], "cem": ["d", "e"]}


def test_the_newest_run_stays_even_when_it_is_too_large(kept: Kept) -> None:
    visits = Visits(bytes_kept=10)
    visits.keep("ann", replace(kept, id="a"))
    visits.keep("ann", replace(kept, id="b"))
    assert [run.id for run in visits.runs("ann")] == ["b"]


def test_the_size_of_a_run_is_about_that_of_its_arrays(kept: Kept) -> None:
    logits = sum(step.logits.nbytes for step in kept.trace.steps)
    assert logits < kept.nbytes < 2 * logits


def test_runs_of_a_sheet_can_be_found_but_are_listed_only_when_kept(kept: Kept) -> None:
    visits = Visits(runs_kept=2)
    visits.lay_out("ann", [replace(kept, id=name) for name in "abc"])
    assert visits.runs("ann") == ()
    assert [visits.find("ann", name).id for name in "abc"] == ["a", "b", "c"]
    visits.keep("ann", visits.find("ann", "b"))
    assert [run.id for run in visits.runs("ann")] == ["b"]
    visits.lay_out("ann", [replace(kept, id="d")])
    assert visits.find("ann", "b").id == "b"
    for name in "ac":
        with pytest.raises(ConfigError):
            visits.find("ann", name)
    with pytest.raises(ConfigError):
        visits.find("bob", "d")


def test_keeping_a_run_again_changes_nothing(kept: Kept) -> None:
    visits = Visits()
    for name in "aba":
        visits.keep("ann", replace(kept, id=name))
    assert [run.id for run in visits.runs("ann")] == ["a", "b"]


def test_a_sheet_makes_room_as_a_whole(kept: Kept) -> None:
    visits = Visits(bytes_kept=4 * kept.nbytes)
    visits.lay_out("ann", [replace(kept, id=name) for name in "abc"])
    visits.keep("ann", replace(kept, id="d"))
    visits.keep("bob", replace(kept, id="e"))
    assert [run.id for run in visits.runs("ann")] == ["d"]
    with pytest.raises(ConfigError):
        visits.find("ann", "a")
    assert visits.find("bob", "e").id == "e"


def test_a_longer_run_takes_the_place_of_the_one_it_goes_on_with(kept: Kept) -> None:
    visits = Visits()
    for run in (replace(kept, id="a"), replace(kept, id="b", parent="a"), replace(kept, id="c")):
        visits.keep("ann", run)
    visits.keep("ann", replace(kept, id="longer"), replaces="a")
    assert [(run.id, run.parent) for run in visits.runs("ann")] == [("b", "longer"), ("c", ""), ("longer", "")]


def test_a_run_can_be_deleted_by_its_visitor_only(kept: Kept) -> None:
    visits = Visits()
    for run in (replace(kept, id="a"), replace(kept, id="b", parent="a")):
        visits.keep("ann", run)
    visits.lay_out("ann", [replace(kept, id="c")])
    for visitor, run in (("bob", "a"), ("ann", "c"), ("ann", ""), ("ann", "d")):
        with pytest.raises(ConfigError, match="not kept"):
            visits.drop(visitor, run)
    visits.drop("ann", "a")
    assert [run.id for run in visits.runs("ann")] == ["b"]
    assert visits.find("ann", "c").id == "c"


def test_runs_can_be_renamed(kept: Kept) -> None:
    visits = Visits()
    visits.keep("ann", replace(kept, id="a"))
    visits.rename("ann", "a", "  the   best ")
    assert visits.find("ann", "a").name == "the best"
    for name in ("", "   ", "x" * 61):
        with pytest.raises(ConfigError, match="name: got"):
            visits.rename("ann", "a", name)
    with pytest.raises(ConfigError, match="not kept"):
        visits.rename("bob", "a", "mine")
