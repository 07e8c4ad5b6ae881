"""Drawing where a GPU is lent for each call: in the visitor's own thread, whose share of the GPU it is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event

from app import zerogpu
from app.decoding.job import Job, Stepped, Stock
from app.decoding.ticket import Ticket, Waiting
from core.engine import Steps, decode_together


class Lent:
    """Draws each visitor's pictures by a call of its own; nobody waits here, as the GPU service has a queue."""

    waiting = 0
    alive = True

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._steps = zerogpu.with_gpu(self._decode, lambda jobs: sum(job.positions for job in jobs))
        self.drawing = 0

    def draw(self, visitor: str, jobs: Sequence[Job]) -> Ticket:
        """A ticket for some pictures, which draws while somebody iterates over it."""
        return _LentTicket(self, list(jobs))

    def steps(self, jobs: Sequence[Job]) -> Steps:
        """The pictures position by position, on a GPU."""
        return self._steps(jobs)

    def _decode(self, jobs: Sequence[Job]) -> Steps:
        """What the GPU is lent for; all that goes in and out can be sent to another process (see zerogpu)."""
        yield from decode_together([job.request(self._stock) for job in jobs], jobs[0].first)

    def forget(self, visitor: str) -> None:
        """Nothing of a visitor is remembered."""

    def warm(self) -> None:
        """There is nothing to start."""

    def close(self) -> None:
        """There is nothing to end."""


@dataclass(slots=True)
class _LentTicket:
    """See `Ticket`."""

    lent: Lent
    jobs: list[Job]
    _cut: Event = field(default_factory=Event)

    def __iter__(self) -> Generator[Waiting | Stepped, None, None]:
        """See `Ticket`."""
        self.lent.drawing += len(self.jobs)
        try:
            with closing(self.lent.steps(self.jobs)) as steps:
                for step in steps:
                    for row, record in enumerate(step):
                        if record.position < self.jobs[row].end:
                            yield row, record
                    if self._cut.is_set() or step[0].position + 1 >= max(job.end for job in self.jobs):
                        return
        finally:
            self.lent.drawing -= len(self.jobs)

    def cut(self) -> None:
        """See `Ticket`."""
        self._cut.set()
