"""What a server counts of itself, for Prometheus: nothing, unless it was asked to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from starlette.routing import Route

Phase = Literal["waiting", "drawing", "packing"]
"""waiting: for a turn; drawing: from the first position to the last; packing: a trace for a browser."""

Reason = Literal["queue", "cost", "ending"]
"""Why something is not begun: too many wait; it is too large; the server is being stopped."""

Level = Literal["waiting", "drawing", "visits", "kept runs", "kept bytes", "brought bytes", "cached traces"]
"""What goes up and down: pictures that wait, and that are being drawn; what is in memory, of all visitors."""


class Counts:
    """Takes what there is to count; this one forgets it, which costs a call."""

    def visited(self) -> None:
        """Somebody has opened the page."""

    def refused(self, reason: Reason) -> None:
        """Something was not begun."""

    def ran(self, outcome: str, model: str, method: str) -> None:
        """A run has ended."""

    def took(self, phase: Phase, seconds: float) -> None:
        """How long a phase of a run took."""

    def batched(self, rows: int) -> None:
        """So many pictures are drawn together."""

    def watch(self, level: Level, value: Callable[[], float]) -> None:
        """Ask for something that goes up and down whenever the counts are asked for."""

    def watch_process(self, number: Callable[[], int | None]) -> None:
        """Tell memory and processor time of the decoding process, too, whose number a function tells."""

    def routes(self) -> Sequence[Route]:
        """Where they can be fetched."""
        return ()

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        """A context whose time is that of a phase."""
        begun = perf_counter()
        try:
            yield
        finally:
            self.took(phase, perf_counter() - begun)
