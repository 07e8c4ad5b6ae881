"""Who draws when: pictures of several visitors whose models run alike are drawn together, and everybody has a turn."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from app.decoding.job import Job, Stock
from app.decoding.lines import Place
from app.decoding.ticket import QueuePlace, Waiting
from app.decoding.worker import Begin, Drawn, Ended, Failed, Forget, Leave, Line, Order, Reads
from core.types import ArragError

MOST_ROWS: Final = 16
"""Of a batch."""

FEW_ROWS: Final = 4
"""Of one visitor in a batch, divided by how many others there are."""

ROWS_OF_ADDRESS: Final = 8
"""Of all visitors with one address, divided by how many other addresses there are: a class shares what one visitor who
says to be a class would take from the others."""

RECENTLY: Final = 5.0
"""Seconds after which an address counts no more that has had something drawn: who looks at a picture comes back."""

MOST_BATCHES: Final = 3
"""Side by side, taking turns; those of few positions are let in beside them."""

SHORT, SHORT_BATCHES = 16, 4
"""Positions of a drawing that is short, and how many of those may be under way."""

LOOKS: Final = 4
"""How often it is looked, in the time after which a silent worker is taken for dead."""

REMEMBERED: Final = 1024
FIRST_GUESS, SMOOTHING = 0.003, 0.02
"""Seconds a position of a picture before anything was measured, and how far each measurement moves it, but for the
first ones, of which the mean counts."""

STOPPING: Final = "the server is being stopped; try again in a minute"
LOST: Final = "the process that draws has ended, and is started again; try again"
NOT_STARTED: Final = "the process that draws could not be started; try again in a minute"

logger = logging.getLogger(__name__)


class Gone(ArragError):
    """What draws is not there any more."""


@dataclass(slots=True)
class _Batch:
    """What is under way: the ticket and the picture of each row that somebody waits for.

    sent: how many records of each row the worker makes; had: how many of them have come.
    """

    key: Hashable
    rows: dict[int, tuple[QueuePlace, int]]
    short: bool
    sent: Sequence[int]
    had: list[int]

    @property
    def visitors(self) -> set[str]:
        """Whose pictures it has."""
        return {place.visitor for place, _ in self.rows.values()}

    @property
    def addresses(self) -> set[str]:
        """Of these visitors."""
        return {place.address for place, _ in self.rows.values()}

    def left(self) -> int:
        """How many records are to come."""
        return sum(place.jobs[number].positions - self.had[row] for row, (place, number) in self.rows.items())


class Scheduler:
    """Hands out tickets, makes batches of their pictures for one worker, and brings what comes back to whom it is for.

    The worker is started when it is first needed, or by `warm`; when it ends in the middle of something, those who wait
    for that are told, and it is started anew for the others. batched: is told of how many pictures a batch is;
    gather: seconds that whoever comes first waits for others who ask at the same time; address: that of a visitor.
    """

    def __init__(
        self,
        stock: Stock,
        place: Place,
        batched: Callable[[int], None] = lambda rows: None,
        gather: float = 0.0,
        address: Callable[[str], str] = str,
    ) -> None:
        self._stock, self._place, self._batched, self._gather = stock, place, batched, gather
        self._address = address
        self._lock = threading.RLock()
        self._orders: queue.SimpleQueue[Order | None] | None = None  # of the worker that is there now
        self._tickets: list[QueuePlace] = []
        self._batches: dict[int, _Batch] = {}
        self._drawn: OrderedDict[str, float] = OrderedDict()  # addresses, with when they last had a record
        self._begun = 0.0  # when there was last something new to do, or to be heard
        self._numbers, self._turns = itertools.count(1), itertools.count(1)
        self._served: OrderedDict[str, int] = OrderedDict()  # visitors and addresses, with the number of a turn
        self._pace, self._measured = FIRST_GUESS, 0
        self._closed = False

    # -----------------------------------------------------------------------------------------------------------------
    # What is asked of it

    def draw(self, visitor: str, jobs: Sequence[Job]) -> QueuePlace:
        """A ticket for some pictures of a visitor; ConfigError for a model that is none, Gone when it is closed."""
        keys = [job.batch_key(self._stock) for job in jobs]
        place = QueuePlace(visitor, self._address(visitor), list(jobs), keys, self)
        with self._lock:
            if self._closed:
                raise Gone(STOPPING)
            self._tickets.append(place)
            if self._gather and not self._batches:
                threading.Timer(self._gather, self._gathered).start()
            else:
                self._fill()
        return place

    def _gathered(self) -> None:
        """Begin with what has come meanwhile."""
        with self._lock:
            self._fill()

    def ahead(self, place: QueuePlace) -> Waiting:
        """How many pictures come before those of a ticket, and about how long they take; nothing once it has begun."""
        with self._lock:
            if len(place.pending) < len(place.jobs):
                return Waiting(0, 0.0, place.reads)
            earlier = list(itertools.takewhile(lambda other: other is not place, self._in_turn()))
            pictures = sum(len(batch.rows) for batch in self._batches.values())
            positions = sum(batch.left() for batch in self._batches.values())
            for other in earlier:
                pictures += len(other.pending)
                positions += sum(other.jobs[number].positions for number in other.pending)
            return Waiting(pictures, positions * self._pace)

    def leave(self, place: QueuePlace) -> None:
        """Take a ticket back: what waits is not begun, what is under way is not drawn on."""
        with self._lock:
            if place in self._tickets:
                self._tickets.remove(place)
            place.pending.clear()
            for number, batch in self._batches.items():
                self._drop(number, batch, [row for row, (owner, _) in batch.rows.items() if owner is place])
            self._fill()

    def cut(self, place: QueuePlace) -> None:
        """End a ticket as soon as each of its pictures has a record."""
        with self._lock:
            place.jobs = [job.cut() for job in place.jobs]
            for number, batch in self._batches.items():
                mine = [row for row, (owner, _) in batch.rows.items() if owner is place and batch.had[row]]
                self._drop(number, batch, mine)
            self._end_if_done(place)

    def forget(self, visitor: str) -> None:
        """Forget what a visitor has brought."""
        with self._lock:
            if self._orders is not None:
                self._order(Forget(visitor))

    def warm(self) -> None:
        """Start the worker before anybody waits for it."""
        with self._lock:
            self._order(None)

    @property
    def alive(self) -> bool:
        """Whether there is a worker, or could be one: it is started when it is needed."""
        return not self._closed

    @property
    def waiting(self) -> int:
        """How many pictures have not begun."""
        with self._lock:
            return sum(len(place.pending) for place in self._tickets)

    @property
    def drawing(self) -> int:
        """How many pictures are being drawn."""
        with self._lock:
            return sum(len(batch.rows) for batch in self._batches.values())

    def close(self) -> None:
        """End the worker; whoever waits is told."""
        with self._lock:
            self._closed = True
            for place in self._tickets:
                place.put(Gone(STOPPING))
            self._tickets.clear()
        self._place.close()

    # -----------------------------------------------------------------------------------------------------------------
    # Batches

    def _in_turn(self) -> list[QueuePlace]:
        """Tickets in the order in which they have a turn: addresses take turns, and of one address those visitors come
        first who were served longest ago."""
        by_visitor = sorted(self._tickets, key=lambda place: self._served.get(place.visitor, 0))
        before: Counter[str] = Counter()
        turns = []
        for place in by_visitor:
            turns.append((before[place.address], self._served.get(place.address, 0)))
            before[place.address] += 1
        return [by_visitor[number] for number in sorted(range(len(turns)), key=turns.__getitem__)]

    def _fill(self) -> None:
        """Begin batches while there is something that may begin."""
        while rows := self._next_rows():
            self._begin(rows)

    def _next_rows(self) -> list[tuple[QueuePlace, int]]:
        """Pictures of the next batch: those that the first in turn may begin with, and others' that run alike."""
        for place in self._in_turn():
            kinds = {(place.keys[number], _is_short(place.jobs[number])): None for number in place.pending}
            for key, short in kinds:
                if self._may_begin(place, key, short):
                    return self._rows(key, short)
        return []

    def _may_begin(self, place: QueuePlace, key: Hashable, short: bool) -> bool:
        """Whether a batch may begin beside the others: no more of them than are good for all, and none that could wait
        for a fuller one; what is drawn for one visitor alone is not waited for."""
        beside = [batch for batch in self._batches.values() if batch.short == short]
        if len(beside) >= (SHORT_BATCHES if short else MOST_BATCHES):
            return False
        if any(place.visitor in batch.visitors for batch in beside):  # who sweeps takes turns with the others
            return False
        crowded = any(other.address != place.address for other in self._tickets)
        if crowded and any(place.address in batch.addresses for batch in beside):  # and so does who is many visitors
            return False
        alike = [batch for batch in beside if batch.key == key]
        return short or not alike or (len(alike) == 1 and len(alike[0].visitors) == 1)

    def _begin(self, rows: Sequence[tuple[QueuePlace, int]]) -> None:
        """Begin a batch of some pictures that run alike."""
        first, one = rows[0]
        jobs = tuple(place.jobs[number] for place, number in rows)
        counts = [job.positions for job in jobs]
        batch = _Batch(first.keys[one], dict(enumerate(rows)), _is_short(first.jobs[one]), counts, [0] * len(jobs))
        for place, number in rows:
            place.pending.remove(number)
            for served in (place.visitor, place.address):
                self._served[served] = next(self._turns)
                self._served.move_to_end(served)
        for remembered in (self._served, self._drawn):
            while len(remembered) > REMEMBERED:
                remembered.popitem(last=False)
        name, self._begun = next(self._numbers), time.monotonic()
        self._batches[name] = batch
        self._batched(len(rows))
        self._order(Begin(name, jobs, len(batch.visitors)))

    def _rows(self, key: Hashable, short: bool) -> list[tuple[QueuePlace, int]]:
        """Pictures for a batch: of each visitor, and of each address, as many as leave room for the others."""
        batches = self._batches.values()
        visitors = {place.visitor for place in self._tickets}.union(*(batch.visitors for batch in batches))
        addresses = {place.address for place in self._tickets}.union(*(batch.addresses for batch in batches))
        addresses |= {address for address, when in self._drawn.items() if time.monotonic() - when < RECENTLY}
        most = _share(FEW_ROWS, len(visitors) - 1)
        most_near, crowded = _share(ROWS_OF_ADDRESS, len(addresses) - 1), len(addresses) > 1
        rows: list[tuple[QueuePlace, int]] = []
        beside = [batch for batch in batches if batch.short == short]
        taken = Counter({visitor: most for batch in beside for visitor in batch.visitors})
        near = Counter({address: most_near for batch in beside for address in batch.addresses if crowded})
        for place in self._in_turn():
            mine = [
                number for number in place.pending
                if place.keys[number] == key and _is_short(place.jobs[number]) == short
            ]  # fmt: skip
            room = min(most - taken[place.visitor], most_near - near[place.address], MOST_ROWS - len(rows))
            mine = mine[: max(0, room)]
            taken[place.visitor] += len(mine)
            near[place.address] += len(mine)
            rows += [(place, number) for number in mine]
        return rows

    def _drop(self, number: int, batch: _Batch, rows: Sequence[int]) -> None:
        """Draw some rows of a batch no further."""
        if rows:
            for row in rows:
                batch.rows.pop(row)[0].left -= 1
            self._order(Leave(number, tuple(rows)))

    # -----------------------------------------------------------------------------------------------------------------
    # The worker

    def _order(self, order: Order | None) -> None:
        """Tell the worker, which is started if it is not there; None only starts it."""
        if self._orders is None:
            try:
                line, self._orders = self._place.start(), queue.SimpleQueue()
            except OSError as error:
                logger.warning("what draws could not be started: %s", error)
                self._batches.clear()
                self._refuse(self._tickets, Gone(NOT_STARTED))
                return
            for target in (_send, self._receive):
                threading.Thread(target=target, args=(line, self._orders), name="decoding line", daemon=True).start()
        if order is not None:
            self._orders.put(order)

    def _receive(self, line: Line, orders: queue.SimpleQueue[Order | None]) -> None:
        """Bring what comes from a worker to whom it is for, until the worker is gone."""
        try:
            with suppress(EOFError, OSError):
                while not self._is_dead(line):
                    self._hear(line.recv())
        finally:
            orders.put(None)
            self._lost(orders)

    def _is_dead(self, line: Line) -> bool:
        """Wait until a worker has said something; whether it has not for too long, though it has something to do."""
        patience = self._place.patience
        while not line.poll(patience if patience is None else patience / LOOKS):
            with self._lock:
                if self._batches and patience is not None and time.monotonic() - self._begun > patience:
                    logger.warning("what draws has said nothing for %.0f seconds, and is started again", patience)
                    return True
        self._begun = time.monotonic()
        return False

    def _hear(self, answer: object) -> None:
        """What a worker has said."""
        with self._lock:
            if isinstance(answer, Reads):
                self._read(answer)
            elif isinstance(answer, Drawn):
                self._take(answer)
            elif isinstance(answer, Failed):
                self._fail(answer.batch, answer.row, answer.error)
            elif isinstance(answer, Ended):
                self._batches.pop(answer.batch, None)
                self._fill()

    def _read(self, reads: Reads) -> None:
        """There will be nothing new for a while."""
        rows = self._batches[reads.batch].rows
        for place, _ in (rows[row] for row in reads.rows if row in rows):
            place.reads = reads.codes

    def _take(self, drawn: Drawn) -> None:
        """Records of a batch."""
        batch = self._batches[drawn.batch]
        if drawn.records:
            self._measured += 1
            self._pace += max(SMOOTHING, 1 / self._measured) * (drawn.seconds / len(drawn.records) - self._pace)
        for row, record in drawn.records:
            if row not in batch.rows:
                continue
            place, number = batch.rows[row]
            self._drawn[place.address] = time.monotonic()
            self._drawn.move_to_end(place.address)
            batch.had[row] += 1
            place.reads = 0
            place.put((number, record))
            if batch.had[row] >= place.jobs[number].positions:
                del batch.rows[row]
                place.left -= 1
                if batch.had[row] < batch.sent[row]:
                    self._order(Leave(drawn.batch, (row,)))
                self._end_if_done(place)

    def _fail(self, number: int, row: int, error: Exception) -> None:
        """A picture has come to nothing, and with it what was asked for together with it."""
        batch = self._batches[number]
        if row in batch.rows:
            batch.rows[row][0].put(error)

    def _end_if_done(self, place: QueuePlace) -> None:
        if place.left == 0:
            if place in self._tickets:
                self._tickets.remove(place)
            place.put(None)

    def _lost(self, orders: queue.SimpleQueue[Order | None]) -> None:
        """A worker is gone: tell those whose pictures it drew, and go on with the others.

        Pictures of which there is nothing yet are begun again, once: they may be what it fails on.
        """
        self._place.close()  # a process that has ended is still listed until somebody asks for it
        with self._lock:
            if self._orders is not orders:
                return
            self._orders = None
            under_way = [
                (*found, batch.had[row]) for batch in self._batches.values() for row, found in batch.rows.items()
            ]
            self._batches.clear()
            self._refuse(
                {place for place, _, had in under_way if had or place.again or self._closed},
                Gone(STOPPING if self._closed else LOST),
            )
            for place, number, _ in under_way:
                if place in self._tickets:
                    place.pending.append(number)
                    place.again = True
            if not self._closed:
                self._fill()

    def _refuse(self, places: Iterable[QueuePlace], error: Gone) -> None:
        """Draw none of these, and say why."""
        for place in list(places):
            place.put(error)
            place.pending.clear()
            if place in self._tickets:
                self._tickets.remove(place)


def _share(rows: int, others: int) -> int:
    """How many rows of a batch may be one's own beside so many others."""
    return max(1, rows // others) if others else MOST_ROWS


def _is_short(job: Job) -> bool:
    return job.positions <= SHORT


def _send(line: Line, orders: queue.SimpleQueue[Order | None]) -> None:
    """Send orders from a thread of its own: a full pipe must not hold up whoever gives one."""
    with suppress(OSError):
        while (order := orders.get()) is not None:
            line.send(order)
