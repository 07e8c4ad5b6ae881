"""Pictures of several visitors that are drawn together: the codes that they have alone, and a turn for everybody."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from app.branches import Plan
from app.decoding.job import Job
from app.decoding.lines import InProcess, InThread
from app.decoding.scheduler import LOST, ROWS_OF_ADDRESS, Gone, Scheduler
from app.decoding.ticket import Ticket, Waiting
from app.decoding.worker import Begin, Drawn, Ended, Failed, Forget, Leave, Worker
from app.library import Library
from app.views import Asked
from core.engine import decode
from core.types import Change, ConfigError, DecodeSettings, StepRecord
from tests.app.asking import wait_until
from tests.app.fake import FakeBackend, fake_database

POSITIONS = 256


def stock(pause: float = 0.0) -> Library:
    """The fake model with two databases."""
    backend = FakeBackend(pause)
    return Library({"fake": backend}, {"all": fake_database(backend, images=12)})


def job(prompt: str = "a disc", end: int = POSITIONS, visitor: str = "ann", **settings: object) -> Job:
    asked = Asked("fake", "all", DecodeSettings.from_json({"n_neighbours": 8, **settings}))
    return Job(visitor, prompt, asked, asked.settings.retrieves, end)


def alone(library: Library, one: Job) -> list[int]:
    """The codes of a job that is drawn by itself."""
    request = one.request(library)
    steps = decode(request.backend, request.database, [one.prompt], request.settings, one.changes, one.codes, one.first)
    return [step[0].code for step in steps][: one.positions]


def records(ticket: Ticket, count: int = 1) -> list[list[StepRecord]]:
    """All that comes of a ticket for so many pictures."""
    rows: list[list[StepRecord]] = [[] for _ in range(count)]
    for news in ticket:
        if not isinstance(news, Waiting):
            rows[news[0]].append(news[1])
    return rows


def drained(worker: Worker) -> list[object]:
    """All that a worker answers until it is idle."""
    answers: list[object] = []
    while not worker.idle:
        answers += worker.draw()
    return answers


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    library = stock(0.001)
    made = Scheduler(library, InThread(library))
    yield made
    made.close()


# ---------------------------------------------------------------------------------------------------------------------
# The worker


def test_rows_of_a_batch_are_what_they_are_alone_however_far_each_goes() -> None:
    library = stock()
    jobs = (
        job(seed=1), job("moon", seed=2, method="model"), job(seed=3, retrieval_weight=0.9, gate=0, end=40),
        replace(job(seed=4), changes=(Change(0, code=5),)),
    )  # fmt: skip
    worker = Worker(library)
    assert worker.take(Begin(7, jobs)) == []
    answers = drained(worker)
    assert answers[-1] == Ended(7)
    for row, one in enumerate(jobs):
        drawn = [record.code for said in answers if isinstance(said, Drawn) for at, record in said.records if at == row]
        assert drawn == alone(library, one), row


def test_a_row_that_cannot_begin_or_that_fails_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    library = stock()
    worker, good = Worker(library), job(seed=1, end=30)
    strange = replace(good, asked=replace(good.asked, settings=replace(good.asked.settings, styles=("oil",))))
    failed = worker.take(Begin(1, (good, strange)))
    assert [(said.row, type(said.error)) for said in failed if isinstance(said, Failed)] == [(1, ConfigError)]
    answers = drained(worker)
    assert [r.code for said in answers if isinstance(said, Drawn) for _, r in said.records] == alone(library, good)
    search = type(library.databases["all"]).search

    def broken(self: object, query: object, k: int, position: int, *more: object) -> object:
        if k == 9 and position >= 20:
            raise RuntimeError("no such neighbours")
        return search(self, query, k, position, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(type(library.databases["all"]), "search", broken)
    assert worker.take(Begin(2, (good, job(seed=1, n_neighbours=9)))) == []
    answers = drained(worker)
    errors = [said for said in answers if isinstance(said, Failed)]
    assert [(said.batch, said.row) for said in errors] == [(2, 1)]
    assert "no such neighbours" in str(errors[0].error)  # for the log: visitors are told something else
    codes = [r.code for said in answers if isinstance(said, Drawn) for row, r in said.records if row == 0]
    assert codes == alone(library, good)
    assert [said for said in answers if isinstance(said, Ended)] == [Ended(2)]


def test_batches_take_turns_by_their_share_and_rows_that_nobody_wants_end_them() -> None:
    worker = Worker(stock(0.001))
    worker.take(Begin(1, tuple(job(seed=seed) for seed in range(3)), share=3))
    worker.take(Begin(2, (job("moon", end=60),), share=1))
    answers: list[object] = []
    while not any(isinstance(said, Ended) for said in answers):
        answers += worker.draw()
    turns = [sum(isinstance(said, Drawn) and said.batch == number for said in answers) for number in (1, 2)]
    if turns[1] == 60:  # three times the share: about three times the time, as long as both are there
        assert 60 < turns[0] <= POSITIONS
    assert worker.take(Leave(1, (0, 2))) == []
    assert worker.take(Leave(1, (1,))) == [Ended(1)] or worker.idle
    assert worker.take(Leave(9, (0,))) == [Ended(9)]  # it was over when that came


def test_a_database_that_comes_again_is_the_one_that_is_there_until_it_is_forgotten() -> None:
    library, asked = stock(), Asked("fake", "yours", DecodeSettings())
    here, same, other = (fake_database(FakeBackend(), images=count) for count in (6, 6, 7))
    worker, found = Worker(library), []

    def database(asked: Asked, theirs: dict[str, object]) -> object:
        found.append(theirs["yours"])
        return theirs["yours"]

    library.database = database  # type: ignore[assignment, method-assign]
    for theirs in (here, same, other):
        worker.take(Begin(1, (Job("ann", "a disc", asked, True, 1, theirs={"yours": theirs}),)))
    worker.take(Begin(1, (Job("bob", "a disc", asked, True, 1, theirs={"yours": same}),)))
    worker.take(Forget("ann"))
    worker.take(Begin(1, (Job("ann", "a disc", asked, True, 1, theirs={"yours": same}),)))
    assert [one is two for one, two in zip(found, (here, here, other, same, same), strict=True)] == [True] * 5
    worker.close()


# ---------------------------------------------------------------------------------------------------------------------
# The scheduler


def test_visitors_at_once_are_rows_of_one_batch_and_get_what_they_get_alone(scheduler: Scheduler) -> None:
    library = stock()
    jobs = [job(f"disc {number}", visitor=f"v{number}", seed=number) for number in range(6)]
    tickets = [scheduler.draw(one.visitor, [one]) for one in jobs]
    assert scheduler.drawing + scheduler.waiting == 6
    for ticket, one in zip(tickets, jobs, strict=True):
        assert [record.code for record in records(ticket)[0]] == alone(library, one)
    wait_until(lambda: scheduler.drawing == scheduler.waiting == 0)


def test_a_waiting_visitor_hears_how_long_it_will_be_and_can_go(scheduler: Scheduler) -> None:
    busy = [scheduler.draw(f"busy {number}", [job(seed=number, visitor=f"busy {number}")]) for number in range(3)]
    waiting = scheduler.draw("late", [job(visitor="late")])
    said = scheduler.ahead(waiting)
    assert said.before == 3
    assert 0 < said.seconds < 60
    assert scheduler.waiting == 2  # the first two draw, each in a batch of one visitor
    iter(waiting).close()
    scheduler.leave(waiting)
    assert scheduler.waiting == 1
    assert all(len(records(ticket)[0]) == POSITIONS for ticket in busy)


def test_a_sweep_leaves_room_for_others(scheduler: Scheduler) -> None:
    sweep = scheduler.draw("sweeper", [job(seed=number, visitor="sweeper") for number in range(36)])
    assert (scheduler.drawing, scheduler.waiting) == (16, 20)
    single = scheduler.draw("other", [job(seed=99, visitor="other")])
    assert (scheduler.drawing, scheduler.waiting) == (17, 20)  # at once, beside the first slice
    assert len(records(single)[0]) == POSITIONS
    assert scheduler.waiting > 0  # long before the sweep is done
    rows = records(sweep, 36)
    assert {len(row) for row in rows} == {POSITIONS}
    assert [record.code for record in rows[30]] == alone(stock(), job(seed=30))


def test_what_is_short_begins_beside_a_long_one_of_the_same_visitor(scheduler: Scheduler) -> None:
    sweep = scheduler.draw("ann", [job(seed=number) for number in range(3)])
    assert len(records(scheduler.draw("ann", [job(seed=9, end=4)]))[0]) == 4
    assert scheduler.drawing == 3
    scheduler.leave(sweep)


def test_who_says_to_be_many_visitors_leaves_room_for_others() -> None:
    library, batches = stock(0.001), list[int]()
    scheduler = Scheduler(library, InThread(library), batches.append, address=lambda visitor: visitor.split()[0])
    try:
        names = ["ann", *(f"mob {number}" for number in range(40)), "bob"]
        tickets = {name: scheduler.draw(name, [job(visitor=name, seed=n)]) for n, name in enumerate(names)}
        assert batches == [1, 1]  # of ann, and of the first of the mob beside her
        assert all(len(records(tickets[name])[0]) == POSITIONS for name in ("ann", "bob"))
        assert batches[2] <= 1 + ROWS_OF_ADDRESS  # bob's, which does not wait until the mob is through
        assert all(len(records(tickets[name])[0]) == POSITIONS for name in names if " " in name)
    finally:
        scheduler.close()


def test_cut_short_every_picture_of_a_ticket_has_a_record(scheduler: Scheduler) -> None:
    ticket = scheduler.draw("ann", [job(seed=number) for number in range(20)])
    rows: list[list[StepRecord]] = [[] for _ in range(20)]
    for news in ticket:
        if not isinstance(news, Waiting):
            rows[news[0]].append(news[1])
            if len(rows[0]) == 10:
                ticket.cut()
    counts = np.array([len(row) for row in rows])
    assert (counts >= 1).all()
    assert (counts[16:] == 1).all()
    assert counts[0] < POSITIONS
    wait_until(lambda: scheduler.drawing == 0)


def test_whoever_is_served_least_is_next(scheduler: Scheduler) -> None:
    keys = [{"method": "daid"}, {"method": "faid"}, {"cfg_scale": 1.0}, {"method": "faid", "faid_neighbours": 3}]
    greedy = [scheduler.draw("greedy", [job(visitor="greedy", **key)]) for key in keys]  # all of them other passes
    assert scheduler.drawing == 1  # one visitor has one batch
    patient = scheduler.draw("patient", [job(visitor="patient", end=100, negative_share=0.0)])
    assert scheduler.drawing == 2
    assert len(records(patient)[0]) == 100
    assert scheduler.waiting >= 2
    assert [len(records(ticket)[0]) for ticket in greedy] == [POSITIONS] * 4


def test_what_was_not_foreseen_reaches_the_one_whom_it_concerns(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="model: got 'secret'"):
        scheduler.draw("ann", [replace(job(), asked=Asked("secret", "all", DecodeSettings()))])
    with pytest.raises(ConfigError, match="database: got 'none'"):
        records(scheduler.draw("ann", [replace(job(), asked=Asked("fake", "none", DecodeSettings()))]))
    assert len(records(scheduler.draw("ann", [job()]))[0]) == POSITIONS


def test_a_closed_scheduler_tells_those_who_wait(scheduler: Scheduler) -> None:
    ticket = scheduler.draw("ann", [job()])
    scheduler.close()
    with pytest.raises(Gone, match="being stopped"):
        records(ticket)
    with pytest.raises(Gone, match="being stopped"):
        scheduler.draw("ann", [job()])


def test_plans_that_pause_are_drawn_for_one_position_more() -> None:
    plan = Plan("a disc", Asked("fake", "all", DecodeSettings()), pause=20)
    assert Job.of("ann", plan, POSITIONS, {}).end == 21
    assert Job.of("ann", replace(plan, pause=0), POSITIONS, {}).end == POSITIONS
    assert Job.of("ann", replace(plan, pause=POSITIONS), POSITIONS, {}).positions == POSITIONS


# ---------------------------------------------------------------------------------------------------------------------
# A process


def slow_stock() -> Library:
    """What the process of these tests loads."""
    return stock(0.002)


def test_a_process_that_hangs_is_ended_and_the_next_visitor_is_served() -> None:
    place, library = InProcess(slow_stock, patience=20.0), slow_stock()
    scheduler = Scheduler(library, place)
    try:
        assert len(records(scheduler.draw("ann", [job(end=20)]))[0]) == 20
        place.patience = 1.0  # to load takes longer
        come = iter(scheduler.draw("ann", [job()]))
        assert not isinstance(next(come), Waiting)
        assert place.pid is not None
        os.kill(place.pid, signal.SIGSTOP)
        with pytest.raises(Gone, match=LOST):
            list(come)
        place.patience = 20.0
        assert len(records(scheduler.draw("bob", [job(end=20)]))[0]) == 20
    finally:
        scheduler.close()


def test_a_process_draws_the_same_and_when_it_is_killed_the_next_visitor_is_served() -> None:
    place, library = InProcess(slow_stock), slow_stock()
    scheduler = Scheduler(library, place)
    try:
        scheduler.warm()
        mine = replace(job("own"), asked=Asked("fake", "yours", DecodeSettings(n_neighbours=4)))
        mine = replace(mine, theirs={"yours": fake_database(FakeBackend(), images=5)})
        for one in (job(seed=5), mine):
            assert [record.code for record in records(scheduler.draw("ann", [one]))[0]] == alone(library, one)
        ticket = scheduler.draw("ann", [job()])
        come = iter(ticket)
        assert not isinstance(next(come), Waiting)
        assert place.pid is not None
        os.kill(place.pid, signal.SIGKILL)
        with pytest.raises(Gone) as told:
            list(come)
        assert str(told.value) == LOST
        assert [record.code for record in records(scheduler.draw("bob", [job(seed=5)]))[0]] == alone(
            library, job(seed=5)
        )
    finally:
        scheduler.close()
