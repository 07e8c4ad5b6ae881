"""The runs that visitors have under way: who may begin one, what is newer than what, what ends before it is done."""

from __future__ import annotations

import contextvars
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from app.counts import Reason
from app.decoding.scheduler import STOPPING
from core.types import ArragError

MOST_OF_ONE: Final = 8
"""Runs that one visitor may have under way: one in each tab, and those of scripts."""

MOST: Final = 64
"""Runs of all visitors that may be under way or wait for their turn."""

MOST_OF_ADDRESS: Final = 48
"""Runs of all visitors with the same address, so that nobody who says to be many takes the last place from others."""

BUSY: Final = "the server is busy: %d drawings are waiting or under way; try again in a minute"
TOO_MANY: Final = "you have %d drawings under way already; wait for one of them, or stop it"

Message = TypeVar("Message")


def nothing_left(visitor: str) -> None:
    """Of runs that leave nothing."""


class Busy(ArragError):
    """Something may not begin now, though it could at another time; reason: for the count."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True, eq=False)
class Run(Generic[Message]):
    """Something that a visitor has under way, in a thread of its own, which goes on when nobody listens.

    tab: where it is shown, None for one that a script has asked for; stopped: it is to end and to keep what was drawn;
    superseded: nothing of it is to be kept; gone: its visitor has left.
    """

    visitor: str
    number: int
    tab: str | None = ""
    address: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)
    superseded: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    _told: list[Message] = field(default_factory=list)
    _count: int = 0
    _over: bool = False
    _news: threading.Condition = field(default_factory=threading.Condition)

    def tell(self, message: Message) -> None:
        """Say how far it is; only the newest message is remembered."""
        with self._news:
            self._told[:] = [message]
            self._count += 1
            self._news.notify_all()

    @property
    def newest(self) -> Message | None:
        """The newest message, None before the first."""
        return self._told[0] if self._told else None

    def finish(self) -> None:
        """There is nothing more to tell."""
        with self._news:
            self._over = True
            self._news.notify_all()

    def follow(self) -> Iterator[Message]:
        """The newest message, and then each that is new when the last one has been dealt with, until it is over."""
        seen = 0
        while True:
            with self._news:
                while self._count == seen and not self._over:
                    self._news.wait()
                if self._count == seen:
                    return
                seen, (message,) = self._count, self._told
            yield message


class Runs:
    """The runs of each visitor, which nobody else can reach, and the numbers that tell old messages from new ones.

    A run goes through three calls: `begin` when somebody clicks, `is_newest` when its turn has come, and `start`.
    left: told of a visitor who was gone before a run of theirs was over, which may have kept something meanwhile;
    address: that of a visitor.
    """

    def __init__(
        self,
        left: Callable[[str], None] = nothing_left,
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE,
        address: Callable[[str], str] = str,
    ) -> None:
        self._numbers = itertools.count(1)
        self._live: dict[int, Run[Any]] = {}
        self._begun: dict[tuple[str, str], int] = {}
        self._ended: dict[tuple[str, str], int] = {}
        self._left, self._most, self._most_of_one, self._address = left, most, most_of_one, address
        self._refusing = False
        self._lock = threading.Lock()

    def number(self) -> int:
        """A number above all earlier ones: of a new run, or of something new to look at."""
        return next(self._numbers)

    # -----------------------------------------------------------------------------------------------------------------
    # From a click to a run

    def begin(self, visitor: str, tab: str = "") -> int:
        """Number a click; older ones of this tab end, also those that still wait for their turn."""
        self.supersede(visitor, tab)
        with self._lock:
            number = self._begun[visitor, tab] = self.number()
        return number

    def is_newest(self, visitor: str, tab: str, begun: int) -> bool:
        """Whether no click of this tab is newer than the one of that number."""
        return begun >= self._begun.get((visitor, tab), 0)

    def was_ended(self, visitor: str, tab: str, begun: int) -> bool:
        """Whether the tab was told to stop after the click of that number, and before its run was there."""
        return begun <= self._ended.get((visitor, tab), 0)

    def start(self, visitor: str, tab: str | None, work: Callable[[Run[Message]], None]) -> Run[Message]:
        """A new run, which does its work in a thread of its own, with what this one knows of the request.

        Raises Busy when there are too many, of this visitor or of all.
        """
        run = Run[Message](visitor, self.number(), tab, self._address(visitor))
        with self._lock:
            if self._refusing:
                raise Busy(STOPPING, "ending")
            alike = sum(1 for other in self._live.values() if other.visitor == visitor and not other.stopped.is_set())
            if alike >= self._most_of_one:
                raise Busy(TOO_MANY % alike, "queue")
            near = sum(1 for other in self._live.values() if other.address == run.address)
            if len(self._live) >= self._most or near >= MOST_OF_ADDRESS:
                raise Busy(BUSY % len(self._live), "queue")
            self._live[run.number] = run
        context = contextvars.copy_context()
        try:
            threading.Thread(target=context.run, args=(self._carry, run, work), name="run", daemon=True).start()
        except RuntimeError:  # this process may have no more threads
            raise Busy(BUSY % self._end(run), "queue") from None
        return run

    def _carry(self, run: Run[Message], work: Callable[[Run[Message]], None]) -> None:
        """Do the work of a run, which is over then, come what may."""
        try:
            work(run)
        finally:
            self._end(run)
            run.finish()

    def _end(self, run: Run[Any]) -> int:
        """A run is over; how many others there are."""
        with self._lock:
            del self._live[run.number]
            others = len(self._live)
        if run.gone.is_set():
            self._left(run.visitor)
        return others

    @contextmanager
    def live(self, visitor: str, tab: str | None = None) -> Iterator[Run[Any]]:
        """A run in this thread, which can be stopped for as long as the context lasts."""
        run = Run[object](visitor, self.number(), tab)
        with self._lock:
            self._live[run.number] = run
        try:
            yield run
        finally:
            self._end(run)

    # -----------------------------------------------------------------------------------------------------------------
    # What ends runs

    def stop(self, visitor: str, tab: str | None = None) -> None:
        """End what this visitor has under way in a tab, or everywhere; it still delivers what was drawn."""
        with self._lock:
            for key, number in self._begun.items():
                if key[0] == visitor and tab in (None, key[1]):
                    self._ended[key] = number
        for run in self._of(visitor, tab):
            run.stopped.set()

    def supersede(self, visitor: str, tab: str | None = None) -> None:
        """End what this visitor has under way in a tab, or everywhere, as there is something newer; nothing is kept."""
        for run in self._of(visitor, tab):
            run.superseded.set()
            run.stopped.set()

    def forget(self, visitor: str) -> None:
        """End what a visitor has under way who is gone, and forget their clicks."""
        for run in self._of(visitor, None):
            run.gone.set()
        self.supersede(visitor)
        with self._lock:
            for table in (self._begun, self._ended):
                for key in [key for key in table if key[0] == visitor]:
                    del table[key]

    def refuse(self) -> None:
        """Begin nothing any more."""
        self._refusing = True

    def hand_back(self) -> None:
        """End all that is under way; what was drawn is delivered."""
        with self._lock:
            for run in self._live.values():
                run.stopped.set()

    def under_way(self, visitor: str) -> tuple[Run[Any], ...]:
        """The runs of a visitor that are shown in a tab, the oldest first; not those that are to end."""
        return tuple(run for run in self._of(visitor, None) if run.tab is not None and not run.stopped.is_set())

    @property
    def count(self) -> int:
        """How many runs are under way or wait."""
        return len(self._live)

    def _of(self, visitor: str, tab: str | None) -> list[Run[Any]]:
        """The live runs of a visitor: those of a tab, and those of none; all of them where no tab is given."""
        with self._lock:
            mine = [run for run in self._live.values() if run.visitor == visitor]
        return [run for run in mine if tab is None or run.tab in (None, tab)]
