"""Runs of visitors that are under way: what ends which, and whose turn it is."""

from __future__ import annotations

import threading

import pytest

from app.runs import MOST_OF_ADDRESS, Busy, Run, Runs
from app.session import Session
from tests.app.asking import defaults, last
from tests.app.stocked import PATCHES
from tests.app.test_views import unpack


def test_stop_ends_only_this_visitors_run_and_keeps_what_was_drawn(slow: Session) -> None:
    ann, bob = slow.drawing.draw("ann", "sun", defaults), slow.drawing.draw("bob", "moon", defaults)
    next(ann), next(bob)
    slow.runs.stop("ann")
    stopped, finished = last(ann), last(bob)
    assert stopped.state == "stopped"
    assert 1 <= stopped.steps < PATCHES
    assert f"Paused after {stopped.steps} of {PATCHES}" in stopped.message
    assert unpack(stopped.file)[0]["steps"] == stopped.steps
    assert finished.state == "ready"


def test_a_new_run_ends_the_older_one_of_the_same_visitor_and_nothing_of_it_is_kept(slow: Session) -> None:
    older = slow.drawing.draw("kim", "sun", defaults)
    first = next(older)
    begun = slow.drawing.begin("kim", "moon")
    assert begun.run > first.run
    assert begun.state == "streaming"
    assert {update.state for update in older} <= {"streaming"}
    assert slow.visits.runs("kim") == ()


def test_of_several_clicks_the_last_one_draws_whatever_the_order_of_their_turns(slow: Session) -> None:
    clicks = [slow.drawing.begin("lee", "sun").run for _ in range(5)]
    waiting = [slow.drawing.draw("lee", f"sun {click}", defaults, begun=click) for click in clicks]
    assert [len(list(run)) for run in (waiting[2], waiting[0], waiting[1], waiting[3])] == [0] * 4
    assert last(waiting[4]).state == "ready"
    assert [run.prompt for run in slow.visits.runs("lee")] == [f"sun {clicks[-1]}"]
    assert last(slow.drawing.draw("mia", "sun", defaults, begun=clicks[0])).state == "ready"  # another visitor's clicks


def test_several_pictures_pause_what_is_under_way_which_stays(slow: Session) -> None:
    older = slow.drawing.draw("ned", "sun", defaults)
    next(older)
    slow.drawing.begin_together("ned", "moon")
    assert last(older).state == "stopped"
    assert len(slow.visits.runs("ned")) == 1


def test_a_run_can_be_ended_for_as_long_as_it_lasts() -> None:
    runs = Runs()
    with runs.live("ann") as first, runs.live("ann") as second, runs.live("bob") as other:
        runs.stop("ann")
        assert [run.stopped.is_set() for run in (first, second, other)] == [True, True, False]
        assert not first.superseded.is_set()
        begun = runs.begin("ann")
        assert first.superseded.is_set()
        assert second.superseded.is_set()
        assert first.number < second.number < other.number < begun
    with pytest.raises(ValueError, match="broken"), runs.live("ann") as broken:
        raise ValueError("broken")
    runs.stop("ann")
    assert not broken.stopped.is_set()  # it was over


def test_one_address_leaves_places_for_others() -> None:
    runs, end = Runs(address=lambda visitor: visitor.split()[0]), threading.Event()

    def work(run: Run[str]) -> None:
        end.wait(20)

    begun = [runs.start(f"mob {number}", None, work) for number in range(MOST_OF_ADDRESS)]
    with pytest.raises(Busy, match="the server is busy"):
        runs.start("mob again", None, work)
    begun.append(runs.start("ann", None, work))
    end.set()
    assert [list(run.follow()) for run in begun] == [[]] * len(begun)
    runs.start("mob again", None, work)


def test_a_visitor_who_is_gone_has_no_clicks() -> None:
    runs = Runs()
    old, new = runs.begin("ann"), runs.begin("ann")
    assert [runs.is_newest("ann", "", click) for click in (old, new)] == [False, True]
    with runs.live("ann") as run:
        runs.forget("ann")
        assert run.superseded.is_set()
    assert runs.is_newest("ann", "", old)
