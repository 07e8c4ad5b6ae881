"""Finished runs that visitors can go back to: isolation, room, what is told when a run is gone."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from app.session import Session
from app.storage import Storage
from app.views import Asked
from app.visits import Kept, Limits, Listed, Visits
from core.types import ConfigError, DecodeSettings
from tests.app.asking import first_run
from tests.app.test_views import unpack


@pytest.fixture(scope="module")
def kept(session: Session) -> Kept:
    list(session.drawing.draw("maker", "sun", lambda: Asked("fake", "all", DecodeSettings(n_neighbours=8))))
    return first_run(session, "maker")


def room_for(kept: Kept, runs: int, of_all: int = 1000) -> Visits:
    """Visits with room for so many runs of one visitor, and of all."""
    size = Storage().put("anybody", kept.whole).nbytes
    return Visits(Limits(bytes_each=runs * size, bytes_in_all=of_all * size))


def ids(visits: Visits, visitor: str) -> list[str]:
    return [run.id for run in visits.runs(visitor)]


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


def test_a_list_has_what_it_shows_of_a_run(kept: Kept) -> None:
    run = Listed.of(replace(kept, parent="a", branch_step=7))
    trace = kept.trace
    assert (run.id, run.name, run.prompt, run.asked) == (kept.id, "sun", "sun", kept.asked)
    assert (run.codes.tolist(), run.complete, run.given, run.by_hand) == (trace.codes.tolist(), True, 0, 0)
    assert (run.method, run.parent, run.branch_step) == ("DAiD", "a", 7)
    assert len(run.picture) < len(kept.picture)
    assert not Listed.of(replace(kept, trace=replace(trace, steps=trace.steps[:9]))).complete


# -- room -------------------------------------------------------------------------------------------------------------


def test_the_oldest_run_of_a_visitor_makes_room(kept: Kept) -> None:
    visits = Visits(Limits(runs=2))
    for name in "abc":
        visits.keep("ann", replace(kept, id=name))
    assert ids(visits, "ann") == ["b", "c"]


def test_what_a_visitor_looks_at_stays_before_what_was_drawn_later(kept: Kept) -> None:
    visits = Visits(Limits(runs=3))
    for name in "abc":
        visits.keep("ann", replace(kept, id=name))
    visits.find("ann", "a")
    visits.known("b")
    assert ids(visits, "ann") == ["a", "b", "c"]
    visits.keep("ann", replace(kept, id="d"))
    assert ids(visits, "ann") == ["a", "b", "d"]


def test_the_bytes_of_a_visitor_are_limited(kept: Kept) -> None:
    visits = room_for(kept, 2)
    for name in "abc":
        visits.keep("ann", replace(kept, id=name))
        visits.keep("bob", replace(kept, id=name))
    assert ids(visits, "ann") == ids(visits, "bob") == ["b", "c"]


def test_nobody_loses_a_run_by_those_of_another(kept: Kept) -> None:
    visits = room_for(kept, 10, of_all=3)
    for visitor, name in [("ann", "a"), ("bob", "b"), ("ann", "c"), ("ann", "d")]:
        visits.keep(visitor, replace(kept, id=name))
    assert (ids(visits, "ann"), ids(visits, "bob")) == (["c", "d"], ["b"])
    for full in (visits.keep, lambda who, run: visits.lay_out(who, [run])):
        with pytest.raises(ConfigError, match="keeps as many pictures as it can"):
            full("cem", replace(kept, id="e"))
    with pytest.raises(ConfigError, match="keeps as many pictures as it can"):
        visits.check_room("cem", 1000)
    assert (ids(visits, "ann"), ids(visits, "bob"), ids(visits, "cem")) == (["c", "d"], ["b"], [])
    visits.forget("ann")
    visits.check_room("cem", 1000)
    visits.keep("cem", replace(kept, id="e"))
    assert ids(visits, "cem") == ["e"]


def test_what_is_too_large_for_a_visitor_is_refused_and_nothing_is_lost(kept: Kept) -> None:
    visits = room_for(kept, 2)
    visits.keep("ann", replace(kept, id="a"))
    visits.lay_out("ann", [replace(kept, id="b")])
    with pytest.raises(ConfigError, match="take fewer"):
        visits.lay_out("ann", [replace(kept, id=name) for name in "cde"])
    assert [visits.find("ann", name).id for name in "ab"] == ["a", "b"]
    with pytest.raises(ConfigError, match="take fewer"):
        visits.check_room("ann", 10 * kept.nbytes)


def test_a_large_model_has_room_for_sixteen_plain_pictures() -> None:
    assert Limits.over(1024, 256) == Limits()
    assert Limits.over(16384, 576).bytes_each == 16 * 16384 * 576 * 4


def test_runs_of_a_sheet_can_be_found_but_are_listed_only_when_kept(kept: Kept) -> None:
    visits = Visits(Limits(runs=2))
    visits.lay_out("ann", [replace(kept, id=name) for name in "abc"])
    assert visits.runs("ann") == ()
    assert [visits.find("ann", name).id for name in "abc"] == ["a", "b", "c"]
    visits.keep("ann", visits.find("ann", "b"))
    assert ids(visits, "ann") == ["b"]
    visits.lay_out("ann", [replace(kept, id="d")])
    assert visits.find("ann", "b").id == "b"
    for name in "ac":
        with pytest.raises(ConfigError):
            visits.find("ann", name)
    with pytest.raises(ConfigError):
        visits.find("bob", "d")


def test_a_run_that_is_kept_from_a_sheet_takes_no_more_room(kept: Kept) -> None:
    visits = room_for(kept, 3)
    visits.lay_out("ann", [replace(kept, id=name) for name in "abc"])
    for name in "abc":
        visits.keep("ann", visits.find("ann", name))
    assert ids(visits, "ann") == ["a", "b", "c"]
    assert visits.find("ann", "a").trace is kept.trace


def test_keeping_a_run_again_changes_nothing(kept: Kept) -> None:
    visits = Visits()
    for name in "aba":
        visits.keep("ann", replace(kept, id=name))
    assert ids(visits, "ann") == ["a", "b"]


def test_a_sheet_makes_room_as_a_whole(kept: Kept) -> None:
    visits = room_for(kept, 4)
    visits.lay_out("ann", [replace(kept, id=name) for name in "abc"])
    visits.keep("ann", replace(kept, id="d"))
    visits.keep("ann", replace(kept, id="e"))
    assert ids(visits, "ann") == ["d", "e"]
    with pytest.raises(ConfigError):
        visits.find("ann", "a")


# -- what becomes of runs ---------------------------------------------------------------------------------------------


def test_a_longer_run_takes_the_place_of_the_one_it_goes_on_with(kept: Kept) -> None:
    visits = Visits()
    for run in (replace(kept, id="a"), replace(kept, id="b", parent="a"), replace(kept, id="c")):
        visits.keep("ann", run)
    visits.keep("ann", replace(kept, id="longer"), replaces="a")
    assert [(run.id, run.parent) for run in visits.runs("ann")] == [("b", "longer"), ("c", ""), ("longer", "")]
    assert visits.find("ann", "b").parent == "longer"


def test_a_run_can_be_deleted_by_its_visitor_only(kept: Kept) -> None:
    visits = Visits()
    for run in (replace(kept, id="a"), replace(kept, id="b", parent="a")):
        visits.keep("ann", run)
    visits.lay_out("ann", [replace(kept, id="c")])
    for visitor, run in (("bob", "a"), ("ann", "c"), ("ann", ""), ("ann", "d"), ("ann", "sweep")):
        with pytest.raises(ConfigError, match="not kept"):
            visits.drop(visitor, run)
    visits.drop("ann", "a")
    assert ids(visits, "ann") == ["b"]
    assert visits.find("ann", "c").id == "c"


def test_runs_can_be_renamed(kept: Kept) -> None:
    visits = Visits()
    visits.keep("ann", replace(kept, id="a"))
    visits.rename("ann", "a", "  the   best ")
    assert visits.find("ann", "a").name == visits.runs("ann")[0].name == "the best"
    for name in ("", "   ", "x" * 61):
        with pytest.raises(ConfigError, match="name: got"):
            visits.rename("ann", "a", name)
    for run in ("b", "sweep"):
        with pytest.raises(ConfigError, match="not kept"):
            visits.rename("bob", run, "mine")


def test_many_threads_lose_nothing_that_they_need(kept: Kept) -> None:
    visits, failed = Visits(Limits(runs=4)), []

    def visit(who: str) -> None:
        try:
            for number in range(12):
                visits.keep(who, replace(kept, id=f"{who}{number}"))
                assert visits.find(who, f"{who}{number}").trace.prompt == "sun"
                assert visits.known(f"{who}{number}").id == f"{who}{number}"
            visits.lay_out(who, [replace(kept, id=f"{who}s")])
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=visit, args=(who,)) for who in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert all(ids(visits, who) == [f"{who}{number}" for number in (9, 10, 11)] for who in "abcd")
