"""Branches on the page go on at once where a slow model still knows the run that they came from, and say when not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from app.decoding.job import Job
from app.decoding.lines import InThread
from app.decoding.scheduler import Scheduler
from app.decoding.ticket import Waiting
from app.decoding.worker import Begin, Drawn, Ended, Forget, Leave, Reads, Worker
from app.library import Library
from app.views import Asked
from app.waiting import waiting_words
from core.backends.protocol import Snapshot
from core.backends.speed import Speed
from core.snapshots import Snapshots
from core.types import DecodeSettings, IntArray
from tests.app.asking import wait_until
from tests.app.fake import FakeBackend, FakeDecoding
from tests.app.gate import Gate


@dataclass(frozen=True)
class Size:
    nbytes: int = 10


class ResumingBackend(FakeBackend):
    """Draws as the fake model does, and can go on from what it drew."""

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int, negatives: bool = False
    ) -> FakeDecoding:
        return Resuming(self, prompts, guided, faid_neighbours)


class Resuming(FakeDecoding):
    """Can go on from what another one knew; where it has to read codes, it waits until it may."""

    gate = Gate()

    @property
    def appended(self) -> int:
        return self._position

    def snapshot_bytes(self) -> int:
        return 10

    def snapshot(self, row: int) -> Size:
        return Size()

    def resume(self, snapshots: Sequence[Snapshot], codes: IntArray, known: int) -> None:
        self._position = codes.shape[1]

    def replay(self, codes: IntArray, neighbours: object) -> None:
        self.gate.wait()
        self._position = codes.shape[1]


@pytest.fixture
def gate() -> Iterator[Gate]:
    yield Resuming.gate
    Resuming.gate.open()


def library() -> Library:
    return Library({"fake": ResumingBackend()}, {})


def job(visitor: str, codes: Sequence[int] = (), **settings: object) -> Job:
    asked = Asked("fake", "", DecodeSettings.from_json({"method": "model", "cfg_scale": 5.0, **settings}))
    return Job(visitor, "a disc", asked, retrieves=False, end=256, codes=tuple(codes), first=len(codes))


def drained(worker: Worker) -> dict[int, list[int]]:
    """The codes of each row, drawn until the worker is idle."""
    codes: dict[int, list[int]] = {}
    while not worker.idle:
        for said in worker.draw():
            if isinstance(said, Drawn):
                for row, record in said.records:
                    codes.setdefault(row, []).append(record.code)
    return codes


def test_a_branch_goes_on_from_what_its_visitor_drew_until_that_is_forgotten() -> None:
    worker = Worker(library())
    assert worker.take(Begin(1, (job("ann"),))) == []
    codes = drained(worker)[0]
    assert worker.take(Begin(2, (job("ann", codes[:200]), job("bob", codes[:200])))) == [Reads(2, (1,), 200)]
    assert drained(worker) == {0: codes[200:], 1: codes[200:]}
    assert worker.take(Begin(3, (job("ann", codes[:200], temperature=0.5, seed=4),))) == []
    drained(worker)
    assert worker.take(Begin(4, (job("ann", codes[:100], cfg_scale=1.0),))) == [Reads(4, (0,), 100)]
    drained(worker)
    worker.take(Forget("ann"))
    assert worker.take(Begin(5, (job("ann", codes[:200]),))) == [Reads(5, (0,), 200)]
    assert worker.take(Leave(5, (0,))) == [Ended(5)]


def test_a_run_that_was_left_is_known_as_far_as_it_came() -> None:
    worker = Worker(library())
    worker.take(Begin(1, (job("ann"),)))
    codes = [
        record.code
        for _ in range(50)
        for said in worker.draw()
        if isinstance(said, Drawn)
        for _, record in said.records
    ]
    assert worker.take(Leave(1, (0,))) == [Ended(1)]
    assert worker.take(Begin(2, (job("ann", codes),))) == [Reads(2, (0,), 1)]


def test_pictures_that_are_drawn_together_take_only_room_that_is_left() -> None:
    snapshots = Snapshots(30)
    worker = Worker(library(), snapshots)
    worker.take(Begin(1, (job("ann"),)))
    codes = drained(worker)[0]
    worker.take(Begin(2, tuple(job("ann", codes[:200], seed=seed) for seed in (1, 2, 3, 4))))
    drained(worker)
    assert snapshots.nbytes == 30
    assert worker.take(Begin(3, (job("ann", codes[:255]),))) == []  # they did not drive out what they went on from


def test_nothing_stays_that_was_of_no_use_for_long() -> None:
    now = [0.0]
    snapshots = Snapshots(seconds=60, clock=lambda: now[0])
    worker = Worker(library(), snapshots)
    assert worker.tidy() is None
    worker.take(Begin(1, (job("ann"),)))
    drained(worker)
    assert (worker.tidy(), snapshots.nbytes) == (60, 10)
    now[0] = 61.0
    assert (worker.tidy(), snapshots.nbytes) == (None, 0)


def test_who_waits_for_codes_to_be_read_hears_of_it(gate: Gate) -> None:
    speed = Speed(0.5, 5.0, read=0.05)
    stock = library()
    scheduler = Scheduler(stock, InThread(stock))
    gate.close()
    try:
        come = iter(scheduler.draw("ann", [job("ann", [3] * 200)]))
        news = next(come)
        while isinstance(news, Waiting) and not news.reads:
            news = next(come)
        assert news == Waiting(0, 0.0, 200)
        said = waiting_words(news, speed.told_reading)
        assert said == "The 200 codes before it are read first, which takes about 10\xa0s."
        gate.open()
        while isinstance(news, Waiting):
            news = next(come)
        assert news[1].position == 200
        come.close()
        wait_until(lambda: scheduler.drawing == 0)
    finally:
        gate.open()
        scheduler.close()


def test_reading_that_takes_no_time_is_not_told() -> None:
    assert Speed(0.5, 5.0).told_reading(500) == ""
    assert Speed(0.5, 5.0, read=0.001).told_reading(500) == ""
    assert waiting_words(Waiting(0, 0.0, 500), Speed(0.5, 5.0).told_reading) == ""
    assert waiting_words(Waiting(2, 40.0, 0), Speed(0.5, 5.0).told_reading) == "2 pictures before yours, about 40\xa0s"
