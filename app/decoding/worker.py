"""What runs the models: batches of jobs, one position of one batch at a time, until nobody wants them any more."""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from app.decoding.job import Job, Stock
from app.memory import GivingBack
from core.engine import Request, Steps, decode_together
from core.patches.database import PatchDatabase
from core.snapshots import Snapshots
from core.types import ArragError, StepRecord

BROUGHT_KEPT: Final = 8
"""Databases of visitors' own pictures that are remembered; those that were asked longest ago make room."""


# ---------------------------------------------------------------------------------------------------------------------
# What is said between the server and the worker


@dataclass(frozen=True, slots=True)
class Begin:
    """Draw these jobs as one batch. share: of the time, beside the other batches: for how many visitors it is."""

    batch: int
    jobs: tuple[Job, ...]
    share: int = 1


@dataclass(frozen=True, slots=True)
class Leave:
    """Nobody waits for these rows of a batch any more."""

    batch: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Forget:
    """A visitor has gone, or has removed their pictures."""

    visitor: str


@dataclass(frozen=True, slots=True)
class Reads:
    """Before their next record, the model reads so many codes that these rows of a batch were given."""

    batch: int
    rows: tuple[int, ...]
    codes: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """The next records of some rows of a batch, and how long they took."""

    batch: int
    records: tuple[tuple[int, StepRecord], ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A row came to nothing."""

    batch: int
    row: int
    error: Exception


@dataclass(frozen=True, slots=True)
class Ended:
    """There is nothing more to come of a batch."""

    batch: int


Order = Begin | Leave | Forget
Answer = Reads | Drawn | Failed | Ended


class Line(Protocol):
    """One end of a line over which the server and the worker talk, such as that of a pipe.

    Raises EOFError or OSError when the other end is gone.
    """

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether something has come; waits for it so long at most, without a limit for None."""
        ...

    def recv(self) -> Any:
        """What has come."""
        ...

    def send(self, obj: object, /) -> None:
        """Send something."""
        ...


# ---------------------------------------------------------------------------------------------------------------------
# Batches


@dataclass(slots=True)
class Batch:
    """Rows that are drawn together; spent: seconds of the worker's time, divided by its share.

    done: how many records each row has had, so that one which is begun again goes on where it was.
    """

    number: int
    rows: dict[int, Job]
    steps: Steps
    share: int
    spent: float
    done: dict[int, int] = field(default_factory=dict)

    def close(self) -> None:
        """End it, wherever it is."""
        self.steps.close()


class Brought:
    """The databases of visitors' own pictures as they came last: one that comes again is the one that is there, with
    what it has worked out for its searches."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], PatchDatabase] = OrderedDict()

    def known(self, job: Job) -> Job:
        """The job with those of its databases that are there already."""
        return replace(job, theirs={name: self._one(job.visitor, name, found) for name, found in job.theirs.items()})

    def _one(self, visitor: str, name: str, found: PatchDatabase) -> PatchDatabase:
        there = self._known.get((visitor, name))
        if there is None or there.fingerprint != found.fingerprint:
            there = self._known[visitor, name] = found
        self._known.move_to_end((visitor, name))
        while len(self._known) > BROUGHT_KEPT:
            self._known.popitem(last=False)
        return there

    def forget(self, visitor: str) -> None:
        """Drop what a visitor has brought."""
        for key in [key for key in self._known if key[0] == visitor]:
            del self._known[key]


class Worker:
    """Batches under way; those that have had the least of the time for their share are drawn first.

    snapshots: where it is kept what models know of visitors' pictures, so that branches of these begin at once.
    """

    def __init__(self, stock: Stock, snapshots: Snapshots | None = None) -> None:
        self._stock, self._brought = stock, Brought()
        self._snapshots = Snapshots() if snapshots is None else snapshots
        self._batches: dict[int, list[Batch]] = {}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to draw."""
        return not self._batches

    def tidy(self) -> float | None:
        """Free what has been of no use for long; after how many seconds to ask again, None for when there is news."""
        return self._snapshots.expire()

    def take(self, order: Order) -> list[Answer]:
        """Do what the server says; what there is to answer at once."""
        answers: list[Answer] = []
        if isinstance(order, Forget):
            self._brought.forget(order.visitor)
            self._snapshots.forget(order.visitor)
            return []
        if isinstance(order, Begin):
            answers += self._begin(order.batch, dict(enumerate(map(self._brought.known, order.jobs))), order.share)
        else:
            for batch in self._batches.get(order.batch, []):
                for row in order.rows:
                    batch.rows.pop(row, None)
        return [*answers, *self._swept(order.batch)]

    def draw(self) -> list[Answer]:
        """One position of one batch."""
        batch = min((one for some in self._batches.values() for one in some), key=lambda one: one.spent)
        begun, answers = time.perf_counter(), list[Answer]()
        try:
            records = next(batch.steps, None)
        except Exception as error:
            answers += self._failed(batch, error)
        else:
            seconds = time.perf_counter() - begun
            batch.spent += seconds / batch.share
            if records is None:
                batch.rows.clear()
            else:
                answers.append(Drawn(batch.number, self._wanted(batch, records), seconds))
        return [*answers, *self._swept(batch.number)]

    def close(self) -> None:
        """End everything."""
        for batches in self._batches.values():
            for batch in batches:
                batch.close()
        self._batches.clear()

    def _begin(self, number: int, rows: dict[int, Job], share: int) -> list[Answer]:
        """Rows of a batch: those that the model can go on with at once apart from those whose codes it reads first."""
        asked, answers = dict[int, dict[int, Request]](), list[Answer]()
        for row, job in rows.items():
            try:
                request = replace(job.request(self._stock), memory=self._snapshots.of(job.visitor))
                asked.setdefault(request.unread(job.first), {})[row] = request
            except Exception as error:
                answers.append(Failed(number, row, sent(error)))
        ready = asked.pop(0, {})
        others = {row: request for some in asked.values() for row, request in some.items()}
        for some in (ready, others):
            if some:
                answers += self._begin_rows(number, {row: rows[row] for row in some}, some, share)
        if others:
            answers.append(Reads(number, tuple(others), max(asked)))
        return answers

    def _begin_rows(self, number: int, rows: dict[int, Job], asked: dict[int, Request], share: int) -> list[Failed]:
        """Some rows together; where they cannot be begun together, each on its own, so that none fails for another."""
        ahead = min((one.spent for some in self._batches.values() for one in some), default=0.0)
        try:
            steps = decode_together(list(asked.values()), _first(rows))
        except Exception as error:
            if len(rows) == 1:
                return [Failed(number, row, sent(error)) for row in rows]
            alone = (self._begin_rows(number, {row: job}, {row: asked[row]}, share) for row, job in rows.items())
            return [failed for some in alone for failed in some]
        batch = Batch(number, dict(rows), steps, share, ahead, dict.fromkeys(rows, 0))
        self._batches.setdefault(number, []).append(batch)
        return []

    def _failed(self, batch: Batch, error: Exception) -> list[Answer]:
        """A batch has failed: its rows go on alone, so that only the one fails that has to."""
        rows, number = dict(batch.rows), batch.number
        batch.rows.clear()
        if len(batch.done) == 1:
            return [Failed(number, row, sent(error)) for row in rows]
        return [failed for row, job in rows.items() for failed in self._begin_again(number, row, job, batch.done[row])]

    def _begin_again(self, number: int, row: int, job: Job, done: int) -> list[Answer]:
        """A row on its own, from its first position on; what it has had already is drawn again and not sent."""
        before = len(self._batches.get(number, []))
        answers = self._begin(number, {row: job}, 1)
        if len(self._batches.get(number, [])) > before:
            batch = self._batches[number][-1]
            batch.steps, batch.done[row] = _without(batch.steps, done), done
        return answers

    def _wanted(self, batch: Batch, records: Sequence[StepRecord]) -> tuple[tuple[int, StepRecord], ...]:
        """The records that somebody waits for; rows that have all of theirs leave the batch."""
        found = []
        for row, record in zip(batch.done, records, strict=True):
            job = batch.rows.get(row)
            if job is None:
                continue
            batch.done[row] += 1
            found.append((row, record))
            if record.position + 1 >= job.end:
                del batch.rows[row]
        return tuple(found)

    def _swept(self, number: int) -> list[Answer]:
        """Drop what nobody waits for any more; says so when nothing is left of a batch."""
        batches = self._batches.pop(number, [])
        for batch in batches:
            if not batch.rows:
                batch.close()
        if left := [batch for batch in batches if batch.rows]:
            self._batches[number] = left
            return []
        return [Ended(number)]


def _first(rows: dict[int, Job]) -> int:
    """The position that all rows of a batch begin with."""
    return next(iter(rows.values())).first


def _without(steps: Steps, count: int) -> Steps:
    """Steps without the first of them."""
    try:
        for _ in range(count):
            next(steps, None)
        yield from steps
    finally:
        steps.close()


def sent(error: Exception) -> Exception:
    """An error as it can be sent: those that a visitor reads as they are, others with where they come from."""
    if isinstance(error, ArragError):
        return error
    return DecodingError("".join(traceback.format_exception(error)))


class DecodingError(Exception):
    """Something that was not foreseen has ended a drawing; the message is for the log alone."""


# ---------------------------------------------------------------------------------------------------------------------
# The loop


def work(line: Line, stock: Stock) -> None:
    """Do what comes over a line, until its other end is gone."""
    worker, memory = Worker(stock), GivingBack()
    with suppress(EOFError, OSError):
        while True:
            due = worker.tidy()
            told = line.poll(due if worker.idle else 0.0)
            memory.if_due()
            if not told and worker.idle:
                continue
            for answer in worker.take(line.recv()) if told else worker.draw():
                line.send(answer)
    worker.close()
