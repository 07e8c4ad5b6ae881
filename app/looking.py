"""Looking inside of the model of a run: one pass for all of its positions, remembered for those that are asked next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from app import arrivals, inside, pictures, zerogpu
from app.library import Library
from app.painting import Painting
from app.runs import Runs
from app.visits import Kept, Visits
from core.analysis.inside import kept_small, look_inside
from core.backends.protocol import Inspection, never
from core.trace import Trace
from core.types import ConfigError

RUNS_SEEN: Final = 4
"""Of one visitor; what was seen in the one that was asked for longest ago is forgotten first."""

BYTES_SEEN: Final = 256 * 2**20
"""Of all visitors together; the newest one stays whatever it takes."""


@dataclass(frozen=True, slots=True)
class Patches:
    """What stages would draw at a position: codes, and a picture with a piece of the drawing for each, see `pieces`."""

    codes: list[int]
    corner: tuple[int, int]
    picture: bytes


class Looking:
    """Looks for visitors, who reach nothing of each other; what runs a model is to be called from the model queue."""

    def __init__(self, library: Library, runs: Runs, visits: Visits, painting: Painting) -> None:
        self._library, self._runs, self._visits, self._painting = library, runs, visits, painting
        self._seen: OrderedDict[tuple[str, str], Inspection] = OrderedDict()
        self._lock = threading.Lock()
        self._pass = self._inspect
        if library.is_lent:
            self._pass = zerogpu.with_gpu(self._inspect, lambda model, trace, stopped: len(trace.steps))

    def look(self, visitor: str, run: str, tab: str | None = None) -> Inspection:
        """What was seen in a kept run, or is seen now; ConfigError says why nothing can be.

        tab: where that is asked for, None for scripts.
        """
        kept = self._visits.find(visitor, run)
        with self._runs.live(visitor, tab) as live:
            with self._lock:
                found = self._seen.get((visitor, run))
            found = found or kept.trace.inside or self._look(kept, live.stopped.is_set)
            self._remember(visitor, run, found)
        return found

    def _look(self, kept: Kept, stopped: Callable[[], bool]) -> Inspection:
        """One pass; whatever ends the visitor's drawing ends it, too."""
        if kept.asked.model not in self._library.backends:
            raise ConfigError("inside: the model that drew this picture is not here; draw one with a model that is")
        return self._pass(kept.asked.model, kept.trace, never if self._library.is_lent else stopped)

    def _inspect(self, model: str, trace: Trace, stopped: Callable[[], bool]) -> Inspection:
        """The pass itself; all that goes in and out can be sent to another process (see zerogpu)."""
        return look_inside(self._library.backends[model], trace, stopped)

    def _remember(self, visitor: str, run: str, found: Inspection) -> None:
        """Keep it, and forget what was not asked for in a long time."""
        with self._lock:
            self._seen[visitor, run] = found
            self._seen.move_to_end((visitor, run))
            mine = [name for name in self._seen if name[0] == visitor]
            for name in mine[: max(0, len(mine) - RUNS_SEEN)]:
                del self._seen[name]
            older = [name for name in self._seen if name != (visitor, run)]
            for name in sorted(older, key=lambda name: name[0] != visitor):  # their own make room first
                if sum(one.nbytes for one in self._seen.values()) > BYTES_SEEN:
                    del self._seen[name]

    def seen(self, run: str) -> tuple[Kept, Inspection] | None:
        """A run and what was seen in it, for a call that does not say whose (see `Visits.known`); None when it is not.

        Raises ConfigError when the run is not kept any more.
        """
        kept = self._visits.known(run)
        with self._lock:
            name = next((name for name in self._seen if name[1] == run), None)
            if name is None:
                return None
            self._seen.move_to_end(name)
            return kept, self._seen[name]

    def keep(self, visitor: str, run: str, tab: str | None = None) -> None:
        """Put what was seen, with the mean over heads alone, into the trace of the run, and so into its file."""
        seen = kept_small(self.look(visitor, run, tab))
        with self._runs.live(visitor, tab):
            kept = self._visits.find(visitor, run)  # as it is now: it may have got another name meanwhile, or be gone
            self._visits.keep(visitor, replace(kept, trace=replace(kept.trace, inside=seen)))

    def patches(self, visitor: str, run: str, position: int, tab: str | None = None) -> Patches:
        """The likeliest code of each stage of a position, decoded within the picture of the run."""
        kept, inspection = self._visits.find(visitor, run), self.look(visitor, run, tab)
        if not 0 <= position < len(kept.trace.steps):
            raise ConfigError(
                f"position: got {position}, expected 0 to {len(kept.trace.steps) - 1}; step to a drawn patch"
            )
        codes, grid = inside.different(inspection, position), kept.trace.grid
        decoder = arrivals.decoder_of(kept.trace, self._library.backends)
        drawn = self._painting.pictures(decoder, inside.tried(kept.trace, position, codes))
        strip = pictures.encoded(inside.pieces(drawn, grid, position))
        return Patches(codes, inside.corner(grid, position), strip)

    def is_quick(self, visitor: str, run: str) -> bool:
        """Whether a picture of the run is decoded so soon that patches can be shown unasked."""
        kept = self._visits.find(visitor, run)
        return self._painting.is_quick(arrivals.decoder_of(kept.trace, self._library.backends))

    def forget(self, visitor: str) -> None:
        """Drop everything of a visitor."""
        with self._lock:
            for name in [name for name in self._seen if name[0] == visitor]:
                del self._seen[name]
