"""What draws is lost, or cannot begin: visitors read one line, the others go on, and nothing is left hanging."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from app.decoding.job import Stock
from app.decoding.lines import InThread
from app.decoding.scheduler import LOST, NOT_STARTED
from app.decoding.worker import Line, Worker
from app.plans import Batch, sweep_plan
from app.presenting import NOT_BEGUN
from app.runs import MOST, MOST_OF_ONE
from app.session import Session
from app.sheets import Sheet
from app.views import Asked, Update
from core.backends.protocol import Backend
from core.patches.database import PatchDatabase
from core.patches.protocol import Database
from core.types import DecodeSettings
from tests.app.asking import asked, defaults, last, wait_until
from tests.app.gate import Gate, gate_of
from tests.app.stocked import stock

APART: tuple[dict[str, Any], ...] = ({"method": "daid"}, {"method": "faid"}, {"method": "faid", "faid_neighbours": 3})
"""Settings whose models run in different ways: each has a batch of its own, and there are no more of them at once."""


class Loading:
    """A stock that is there when `loaded` is set, and not before."""

    def __init__(self, stock: Stock) -> None:
        self._stock, self.loaded = stock, threading.Event()
        self.loaded.set()

    def backend(self, name: str) -> Backend:
        """See `Stock`."""
        self.loaded.wait()
        return self._stock.backend(name)

    def database(self, asked: Asked, theirs: Mapping[str, PatchDatabase]) -> Database:
        """See `Stock`."""
        return self._stock.database(asked, theirs)


class Mortal(InThread):
    """A worker that ends when it is killed, as one in a process does. broken: how often it cannot be started."""

    def __init__(self, stock: Loading) -> None:
        super().__init__(stock)
        self.stock, self.started, self.broken = stock, 0, 0

    def start(self) -> Line:
        """See `Place`."""
        if self.broken:
            self.broken -= 1
            raise OSError("no more processes")
        line = super().start()
        self.started += 1  # now it can be killed
        return line


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = gate_of(monkeypatch)
    yield made
    made.open()


@pytest.fixture
def place() -> Iterator[Mortal]:
    made = Mortal(Loading(stock()))
    yield made
    made.stock.loaded.set()
    made.close()


@pytest.fixture
def session(place: Mortal) -> Iterator[Session]:
    made = Session.over(stock(), place)
    yield made
    made.decoder.close()


def drawn(session: Session, who: str, **settings: Any) -> Iterator[Update]:
    chosen = DecodeSettings.from_json({"n_neighbours": 8, **settings})
    return session.drawing.draw(who, "a disc", lambda: asked(chosen))


def begun(session: Session, who: str, **settings: Any) -> Iterator[Update]:
    """The same, which waits for its turn or is under way."""
    updates = drawn(session, who, **settings)
    next(updates)
    return updates


def swept() -> Batch:
    return sweep_plan(defaults(), "seed", "1, 2, 3, 4, 5, 6", "n_neighbours", "1, 2, 3, 4, 5, 6")


def told(update: Update | Sheet) -> tuple[str, str]:
    return update.state, update.message


def lasts(all_updates: Sequence[Iterator[Update]]) -> list[Update]:
    """The ends of several runs, which are all followed."""
    with ThreadPoolExecutor(len(all_updates)) as pool:
        return list(pool.map(last, all_updates))


# ---------------------------------------------------------------------------------------------------------------------
# It is lost


def test_lost_in_mid_run_those_whom_it_drew_for_are_told_and_those_who_wait_are_served(
    session: Session, place: Mortal, gate: Gate
) -> None:
    gate.close()
    busy = [begun(session, f"busy {number}", **way) for number, way in enumerate(APART)]
    with gate.held(session, batches=3):
        late = [begun(session, f"late {number}", cfg_scale=1.0, seed=number) for number in range(2)]
        assert (session.decoder.drawing, session.decoder.waiting) == (3, 2)
        place.close()
    ends = lasts([*busy, *late])
    for number, end in enumerate(ends[:3]):
        assert (end.state, end.message.startswith(f"{LOST}. Paused after ")) == ("stopped", True)
        (kept,) = session.visits.runs(f"busy {number}")
        assert not kept.complete
    assert "\n" not in LOST
    assert [end.state for end in ends[3:]] == ["ready"] * 2
    assert [last(drawn(session, f"busy {number}")).state for number in range(3)] == ["ready"] * 3
    wait_until(lambda: session.decoder.drawing == session.decoder.waiting == session.runs.count == 0)


def test_lost_in_mid_sweep_the_sweep_is_told_once_and_can_be_begun_again(
    session: Session, place: Mortal, gate: Gate
) -> None:
    gate.close()
    sheets = session.drawing.draw_sweep("ann", "a disc", swept)
    next(sheets)
    with gate.held(session):
        assert (session.decoder.drawing, session.decoder.waiting) == (16, 20)
        place.close()
    assert [told(sheet) for sheet in sheets if sheet.state != "streaming"] == [("error", LOST)]
    assert session.visits.runs("ann") == ()
    small = sweep_plan(defaults(), "seed", "1, 2", "n_neighbours", "1, 2")
    *_, again = session.drawing.draw_sweep("ann", "a disc", lambda: small)
    assert (again.state, len(again.runs)) == ("ready", 4)
    wait_until(lambda: session.decoder.drawing == session.decoder.waiting == session.runs.count == 0)


def test_lost_while_it_loads_what_waits_is_begun_again_but_once(session: Session, place: Mortal) -> None:
    place.stock.loaded.clear()
    ann = begun(session, "ann")
    place.close()
    wait_until(lambda: place.started == 2)
    place.stock.loaded.set()
    assert last(ann).state == "ready"
    place.stock.loaded.clear()
    bob = begun(session, "bob")
    for count in (3, 4):  # the second one is lost on the same picture
        place.close()
        wait_until(lambda count=count: place.started == min(count, 3))
    assert told(last(bob)) == ("error", LOST)
    place.stock.loaded.set()
    assert last(drawn(session, "bob")).state == "ready"


def test_lost_while_nobody_waits_the_next_visitor_notices_nothing(session: Session, place: Mortal) -> None:
    assert last(drawn(session, "ann")).state == "ready"
    threads = threading.active_count()
    for _ in range(3):
        place.close()
        assert last(drawn(session, "bob")).state == "ready"
    wait_until(lambda: threading.active_count() <= threads)
    assert place.started == 4


def test_what_draws_fails_on_something_unforeseen_and_nobody_waits_for_ever(
    session: Session, place: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    with monkeypatch.context() as broken:
        broken.setattr(Worker, "draw", lambda self: 1 / 0)
        assert told(last(drawn(session, "ann"))) == ("error", LOST)
    assert place.started >= 2
    with monkeypatch.context() as broken:
        broken.setattr(type(session.decoder), "_take", lambda self, drawn: 1 / 0)
        assert told(last(drawn(session, "ann"))) == ("error", LOST)
    assert last(drawn(session, "ann")).state == "ready"


# ---------------------------------------------------------------------------------------------------------------------
# It cannot begin


def test_without_room_for_a_process_everybody_is_told_and_the_next_one_is_served(
    session: Session, place: Mortal, gate: Gate
) -> None:
    place.broken = 1
    assert told(last(drawn(session, "ann"))) == ("error", NOT_STARTED)
    gate.close()
    busy = [begun(session, f"busy {number}", **way) for number, way in enumerate(APART)]
    with gate.held(session, batches=3):
        late = begun(session, "late", cfg_scale=1.0)
        place.broken = 1
        place.close()
    ends = lasts([*busy, late])
    assert [(end.state, end.message.startswith(LOST)) for end in ends[:3]] == [("stopped", True)] * 3
    assert told(ends[3]) == ("error", NOT_STARTED)
    assert last(drawn(session, "late")).state == "ready"
    assert session.decoder.drawing == session.decoder.waiting == 0


def test_without_room_for_a_thread_a_visitor_is_told_and_nothing_counts_as_under_way(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def none_left(thread: threading.Thread) -> None:
        if thread.name == "run":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", none_left)
        for _ in range(MOST_OF_ONE + 1):
            state, message = told(last(drawn(session, "ann")))
            assert (state, message.partition(":")[0]) == ("error", "the server is busy")
    assert session.runs.count == 0
    assert last(drawn(session, "ann")).state == "ready"


# ---------------------------------------------------------------------------------------------------------------------
# There is too much of it


def test_one_run_too_many_is_refused_and_no_other_one_ends(session: Session, place: Mortal) -> None:
    place.stock.loaded.clear()
    with ExitStack() as all_of_them:
        others = [f"visitor {number // MOST_OF_ONE}" for number in range(MOST)]
        runs = [all_of_them.enter_context(session.runs.live(who, f"tab {number}")) for number, who in enumerate(others)]
        assert session.runs.count == MOST
        too_many = last(session.drawing.draw(others[0], "a disc", defaults, "another tab"))
        assert told(too_many) == (
            "error", f"you have {MOST_OF_ONE} drawings under way already; wait for one of them, or stop it",
        )  # fmt: skip
        busy = last(session.drawing.draw("newcomer", "a disc", defaults))
        assert told(busy) == (
            "error", f"the server is busy: {MOST} drawings are waiting or under way; try again in a minute",
        )  # fmt: skip
        assert not any(run.stopped.is_set() for run in runs)
    place.stock.loaded.set()
    assert last(session.drawing.draw("newcomer", "a disc", defaults)).state == "ready"


def test_of_thirty_clicks_of_a_tab_one_is_drawn_and_that_of_another_tab_as_well(session: Session, gate: Gate) -> None:
    gate.close()
    other = session.drawing.draw("ann", "moon", defaults, "other tab")
    next(other)

    def click(number: int) -> list[Update]:
        begun = session.drawing.begin("ann", f"sun {number}", "tab").run
        return list(session.drawing.draw("ann", f"sun {number}", defaults, "tab", begun))

    with ThreadPoolExecutor(30) as pool, gate.held(session):
        came = pool.map(click, range(30))
    answers = list(came)
    ready = [updates[-1].prompt for updates in answers if updates and updates[-1].state == "ready"]
    assert len(ready) == 1
    assert not [update.message for updates in answers for update in updates if update.state == "error"]
    assert last(other).state == "ready"
    assert sorted(run.prompt for run in session.visits.runs("ann")) == sorted(["moon", *ready])


def test_pause_reaches_a_run_that_waits_and_nobody_elses(session: Session, place: Mortal) -> None:
    place.stock.loaded.clear()
    mine, other_tab, theirs = (
        session.drawing.draw(who, "a disc", defaults, tab) for who, tab in (("ann", "a"), ("ann", "b"), ("bob", "a"))
    )
    for updates in (mine, other_tab, theirs):
        next(updates)
    session.runs.stop("ann", "a")
    end = last(mine)
    assert told(end) == ("error", NOT_BEGUN)
    place.stock.loaded.set()
    assert [end.state for end in lasts([other_tab, theirs])] == ["ready"] * 2
    assert len(session.visits.runs("ann")) == 1
