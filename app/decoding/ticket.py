"""What a visitor waits for: some pictures to be drawn, and what has come of them so far."""

from __future__ import annotations

import queue
from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from app.decoding.job import Job, Stepped

EVERY: Final = 0.5
"""Seconds without news after which it is said how long it will be."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many pictures come first, and for about how many seconds; reads: when none does, how many codes before the
    first one that is drawn the model reads now."""

    before: int
    seconds: float
    reads: int = 0


class Ticket(Protocol):
    """Pictures that are to be drawn for a visitor. Iterating over it gives their records as they come, and every half
    second without any how long it will be; it raises the first error. Leaving it takes back what is not drawn.
    """

    def __iter__(self) -> Generator[Waiting | Stepped, None, None]:
        """See above; to be asked for once."""
        ...

    def cut(self) -> None:
        """End soon: as soon as every picture has one record."""
        ...


class Office(Protocol):
    """What hands out places in a queue."""

    def ahead(self, place: QueuePlace) -> Waiting:
        """What comes before this one."""
        ...

    def leave(self, place: QueuePlace) -> None:
        """Nobody waits for it any more."""
        ...

    def cut(self, place: QueuePlace) -> None:
        """One record of each of its pictures is enough."""
        ...


@dataclass(slots=True, eq=False)
class QueuePlace:
    """A ticket of the scheduler.

    address: of the network, which several visitors may share, or one who says to be several;
    jobs: its pictures, with how their model runs in `keys`; pending: the numbers of those that have not begun;
    left: how many have not ended; reads: how many codes the model reads for them before there is a record;
    again: whether some were begun a second time, after what drew them was lost.
    """

    visitor: str
    address: str
    jobs: list[Job]
    keys: Sequence[Hashable]
    office: Office
    pending: list[int] = field(init=False)
    left: int = field(init=False)
    reads: int = 0
    again: bool = False
    _come: queue.SimpleQueue[Stepped | Exception | None] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self.pending, self.left = list(range(len(self.jobs))), len(self.jobs)

    def put(self, come: Stepped | Exception | None) -> None:
        """A record, an error, or None for the end."""
        self._come.put(come)

    def __iter__(self) -> Generator[Waiting | Stepped, None, None]:
        """See `Ticket`."""
        try:
            while True:
                try:
                    come = self._come.get(timeout=EVERY)
                except queue.Empty:
                    yield self.office.ahead(self)
                    continue
                if come is None:
                    return
                if isinstance(come, Exception):
                    raise come
                yield come
        finally:
            self.office.leave(self)

    def cut(self) -> None:
        """See `Ticket`."""
        self.office.cut(self)
