"""What the server has under way, for those who ask how it is, and for who ends it."""

from __future__ import annotations

from dataclasses import dataclass

from app.decoding.lent import Lent
from app.decoding.scheduler import Scheduler
from app.runs import Runs


@dataclass(frozen=True, slots=True)
class Work:
    """See `app.health.Work`: runs are what visitors wait for, and the decoder is what draws for them."""

    runs: Runs
    decoder: Scheduler | Lent

    @property
    def alive(self) -> bool:
        """Whether it can draw."""
        return self.decoder.alive

    @property
    def waiting(self) -> int:
        """How many pictures have not begun."""
        return self.decoder.waiting

    @property
    def drawing(self) -> int:
        """How many runs somebody waits for."""
        return self.runs.count

    def refuse(self) -> None:
        """Begin nothing any more; those who ask are told."""
        self.runs.refuse()

    def hand_back(self) -> None:
        """Pause what is being drawn: who waits for it gets what there is."""
        self.runs.hand_back()

    def close(self) -> None:
        """Leave nothing behind."""
        self.decoder.close()
