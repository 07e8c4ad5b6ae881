"""What happens on the server, one call for each kind of event: a line of the log, and what is counted."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import Final, Literal

from app.counts import Counts, Reason
from app.logs import TOLD

logger = logging.getLogger("arrag")
SHORT: Final = 8

Outcome = Literal["finished", "paused", "gone"]
"""gone: something newer took its place, or its visitor left."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that has ended.

    id: "" where nothing of it is kept; positions: how many were drawn; waited, drew: seconds.
    """

    visitor: str
    id: str
    prompt: str
    model: str
    database: str
    method: str
    outcome: Outcome
    positions: int
    drew: float
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Journal:
    """Writes down what happens. prompts: whether a run's line says what was to be drawn, which is nobody's business.

    Names of visitors and of runs open what they name to whoever knows them: lines hold a short hash of each.
    """

    counts: Counts = field(default_factory=Counts)
    prompts: bool = False

    def visited(self, visitor: str) -> None:
        """Somebody has opened the page."""
        self.counts.visited()
        self._tell("visit", visitor=short(visitor))

    def refused(self, visitor: str, reason: Reason) -> None:
        """Something was not begun."""
        self.counts.refused(reason)
        self._tell("refused", visitor=short(visitor), reason=reason)

    def ran(self, run: Ran) -> None:
        """A run has ended."""
        self.counts.ran(run.outcome, run.model, run.method)
        self.counts.took("waiting", run.waited)
        self.counts.took("drawing", run.drew)
        said = {"prompt": run.prompt} if self.prompts else {}
        self._tell(
            "run", run=short(run.id), visitor=short(run.visitor), outcome=run.outcome, model=run.model,
            database=run.database, method=run.method, positions=run.positions, waited=round(run.waited, 3),
            drew=round(run.drew, 3), **said,
        )  # fmt: skip

    def failed(self, visitor: str, error: Exception) -> None:
        """A run has come to nothing; what its error says may hold what the visitor has typed, and is left out."""
        self.counts.ran("failed", "", "")
        self._tell("run", visitor=short(visitor), outcome="failed", error=type(error).__name__)

    def _tell(self, event: str, **told: str | float) -> None:
        logger.info(event, extra={TOLD: told})


def short(name: str) -> str:
    """What tells a name from others in the log, and does not give it away; "" for none."""
    return hashlib.sha256(name.encode()).hexdigest()[:SHORT] if name else ""
