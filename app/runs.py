"""The runs that visitors have under way: who may draw now, what is newer than what, and what ends before it is done."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Run:
    """One generation that a visitor has under way; one that was superseded ends without leaving anything behind."""

    visitor: str
    number: int
    stopped: threading.Event = field(default_factory=threading.Event)
    superseded: threading.Event = field(default_factory=threading.Event)


class Runs:
    """The live runs of each visitor, which nobody else can reach, and the numbers that tell old messages from new ones.

    A run goes through three calls: `begin` when somebody clicks, `is_newest` when its turn has come, and `live` around
    the drawing itself.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._live: dict[int, Run] = {}
        self._begun: dict[str, int] = {}
        self._lock = threading.Lock()

    def number(self) -> int:
        """A number above all earlier ones: of a new run, or of something new to look at."""
        return next(self._numbers)

    def begin(self, visitor: str) -> int:
        """Number a click; older ones of this visitor end, also those that still wait for their turn."""
        self.supersede(visitor)
        number = self._begun[visitor] = self.number()
        return number

    def is_newest(self, visitor: str, begun: int) -> bool:
        """Whether no click of this visitor is newer than the one of that number."""
        return begun >= self._begun.get(visitor, 0)

    @contextmanager
    def live(self, visitor: str) -> Iterator[Run]:
        """A new run of a visitor, which can be stopped for as long as the context lasts."""
        run = Run(visitor, self.number())
        with self._lock:
            self._live[run.number] = run
        try:
            yield run
        finally:
            with self._lock:
                del self._live[run.number]

    def stop(self, visitor: str) -> None:
        """End what this visitor has under way, if there is anything; it still delivers what was drawn."""
        for run in self._of(visitor):
            run.stopped.set()

    def supersede(self, visitor: str) -> None:
        """End what this visitor has under way, as there is something newer; nothing of it is kept."""
        for run in self._of(visitor):
            run.superseded.set()
            run.stopped.set()

    def forget(self, visitor: str) -> None:
        """End what a visitor has under way who is gone, and forget their clicks."""
        self.supersede(visitor)
        self._begun.pop(visitor, None)

    def _of(self, visitor: str) -> list[Run]:
        """The live runs of a visitor."""
        with self._lock:
            return [run for run in self._live.values() if run.visitor == visitor]
