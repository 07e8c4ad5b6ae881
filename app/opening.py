"""What a visitor opens in the stepper without drawing: a run that was kept, one from a file, the recorded one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from app import arrivals
from app.branches import Plan
from app.library import Library
from app.presenting import Presenting
from app.runs import Runs
from app.views import Update
from app.visits import Kept, Visits
from core.trace import Trace
from core.types import ArragError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens things for visitors; each becomes the newest thing to look at, for which other things of its tab end."""

    library: Library
    runs: Runs
    visits: Visits
    presenting: Presenting

    def show(self, visitor: str, run: str, step: int = -1) -> Update:
        """A run that was kept, at a step (-1: where it says most); ConfigError when it is not there any more."""
        update = self.presenting.shown(self.runs.number(), visitor, self.visits.find(visitor, run))
        return replace(update, step=step) if step >= 0 else update

    def open(self, visitor: str, run: str, step: int = -1) -> Update:
        """A run for the stepper, at a step, and kept if it was on a sheet only; what does not work is told in the
        update."""
        try:
            with self.runs.live(visitor):
                self.visits.keep(visitor, self.visits.find(visitor, run))
            return self.show(visitor, run, step)
        except Exception as error:
            return self.presenting.refusal(error)

    def open_file(self, visitor: str, path: Path, tab: str | None = None) -> Update:
        """A trace from a file of the visitor's: it is shown and kept; what cannot be shown becomes a message."""
        self.runs.supersede(visitor, tab)
        databases = self.library.databases_of(visitor)
        try:
            trace = arrivals.read_trace(path)
            arrivals.check_sources(trace, databases)
            kept = self._arrived(visitor, trace)
            shown = self.presenting.shown(self.runs.number(), visitor, kept)
            message = arrivals.arrival_message(
                path.name, trace, self.library.backends, databases, self.presenting.decodes(trace)
            )
            with self.runs.live(visitor):
                self.visits.keep(visitor, kept)
        except ArragError as error:
            return self.presenting.tell(str(error))
        except Exception as error:  # whatever a hostile file has left to fail on
            logger.warning("a trace could not be shown", exc_info=error)
            return self.presenting.tell(f"{path.name}: cannot be shown ({type(error).__name__}); choose another file")
        return replace(shown, message=message)

    def _arrived(self, visitor: str, trace: Trace) -> Kept:
        """A trace that was read, as a run like those that were drawn here."""
        asked = arrivals.asked_of(trace, self.library.backends, self.library.databases_of(visitor))
        seconds = trace.seconds.model + trace.seconds.search + trace.seconds.blend
        return Plan(trace.prompt, asked).finished(trace, self.presenting.picture(trace, asked), seconds)

    def recorded(self, visitor: str, update: Callable[[int], Update], tab: str | None = None) -> Update:
        """A run that was recorded beforehand; told: makes its message from the number of the run."""
        self.runs.supersede(visitor, tab)
        return update(self.runs.number())
