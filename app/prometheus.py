"""Counts for Prometheus, and the route where it fetches them; imported only where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.counts import Counts, Level, Phase, Reason

PREFIX: Final = "arrag"
PLACE: Final = "/metrics"
SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
ROWS: Final = (1, 2, 4, 8, 16, 32)

LEVELS: Final[Mapping[Level, tuple[str, str]]] = {
    "waiting": ("waiting_pictures", "Pictures that have not begun"),
    "drawing": ("drawing_pictures", "Pictures that are being drawn"),
    "visits": ("live_visits", "Visits that are not forgotten yet"),
    "kept runs": ("kept_runs", "Runs in memory"),
    "kept bytes": ("kept_bytes", "Memory of the runs that are kept"),
    "brought bytes": ("brought_bytes", "Memory of pictures that visitors brought"),
    "cached traces": ("cached_traces", "Packed traces in memory"),
}


class PrometheusCounts(Counts):
    """Counts in a registry of its own, so that two servers in one process do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._mine: dict[str, Any] = {"namespace": PREFIX, "registry": self.registry}
        ProcessCollector(registry=self.registry)  # memory, processor time, open files; on Linux
        self._visits = Counter("visits", "Pages that were opened", **self._mine)
        self._refusals = Counter("refusals", "What was not begun, by the reason", ["reason"], **self._mine)
        self._runs = Counter("runs", "Runs that have ended", ["outcome", "model", "method"], **self._mine)
        self._seconds = Histogram("phase_seconds", "Seconds of a run", ["phase"], buckets=SECONDS, **self._mine)
        self._rows = Histogram("batch_pictures", "Pictures drawn together", buckets=ROWS, **self._mine)

    def visited(self) -> None:
        """See `Counts`."""
        self._visits.inc()

    def refused(self, reason: Reason) -> None:
        """See `Counts`."""
        self._refusals.labels(reason).inc()

    def ran(self, outcome: str, model: str, method: str) -> None:
        """See `Counts`."""
        self._runs.labels(outcome, model, method).inc()

    def took(self, phase: Phase, seconds: float) -> None:
        """See `Counts`."""
        self._seconds.labels(phase).observe(seconds)

    def batched(self, rows: int) -> None:
        """See `Counts`."""
        self._rows.observe(rows)

    def watch(self, level: Level, value: Callable[[], float]) -> None:
        """See `Counts`."""
        name, meaning = LEVELS[level]
        Gauge(name, meaning, **self._mine).set_function(value)

    def watch_process(self, number: Callable[[], int | None]) -> None:
        """See `Counts`; while there is no such process, nothing is told of it."""
        ProcessCollector(f"{PREFIX}_decoding", lambda: number() or -1, registry=self.registry)

    def routes(self) -> Sequence[Route]:
        """See `Counts`."""

        def metrics(request: Request) -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return (Route(PLACE, metrics),)
