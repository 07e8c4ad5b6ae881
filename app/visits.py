"""What visitors have made: the finished runs of each, kept in memory for as long as there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from app.views import Asked
from core.trace import Trace
from core.types import ConfigError

RUNS_KEPT = 32
"""Of one visitor; the oldest are forgotten first."""

MAX_NAME = 60

BYTES_KEPT = 512 * 2**20
"""Of all visitors together; those who have not come back for longest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished run: its trace, what was asked for, how long it took, and the run that it branched from.

    id: unguessable name of the run; picture: encoded; parent: id of the run that it shares its first codes with, "" for
    none; branch_step: the first position that may differ from the parent, -1 without one; name: what to call it; ahead:
    of a run that was paused, the trace with one step more, whose code is not decided.
    """

    id: str
    trace: Trace
    asked: Asked
    seconds: float
    picture: bytes
    name: str
    parent: str = ""
    branch_step: int = -1
    ahead: Trace | None = None

    @property
    def nbytes(self) -> int:
        """About how much memory it takes: the logits and the neighbours are nearly all of it."""
        steps = self.trace.steps
        return len(self.picture) + len(steps) * (4 * self.trace.origin.codes + 24 * self.asked.settings.n_neighbours)


class Visits:
    """Runs of all visitors; nobody reaches those of another."""

    def __init__(self, runs_kept: int = RUNS_KEPT, bytes_kept: int = BYTES_KEPT) -> None:
        self._runs: OrderedDict[str, OrderedDict[str, Kept]] = OrderedDict()
        self._runs_kept, self._bytes_kept = runs_kept, bytes_kept
        self._lock = threading.Lock()

    def keep(self, visitor: str, run: Kept, replaces: str = "") -> None:
        """Add a run; old ones make room for it. replaces: id of one that it goes on with, whose branches it takes."""
        with self._lock:
            mine = self._runs.setdefault(visitor, OrderedDict())
            self._runs.move_to_end(visitor)
            mine.pop(replaces, None)
            for branch in [other for other in mine.values() if replaces and other.parent == replaces]:
                mine[branch.id] = replace(branch, parent=run.id)
            mine[run.id] = run
            if len(mine) > self._runs_kept:
                mine.popitem(last=False)
            self._make_room()

    def _make_room(self) -> None:
        """Forget the oldest run of whoever has been away for longest, until the rest fits; the newest run stays."""
        size = sum(run.nbytes for runs in self._runs.values() for run in runs.values())
        while size > self._bytes_kept and (len(self._runs) > 1 or len(next(iter(self._runs.values()))) > 1):
            visitor, runs = next(iter(self._runs.items()))
            size -= runs.popitem(last=False)[1].nbytes
            if not runs:
                del self._runs[visitor]

    def runs(self, visitor: str) -> tuple[Kept, ...]:
        """The runs of a visitor, the oldest first."""
        with self._lock:
            runs = self._runs.get(visitor)
            return tuple(runs.values()) if runs else ()

    def find(self, visitor: str, run: str) -> Kept:
        """One run of a visitor; ConfigError when it is not there any more, or never was."""
        with self._lock:
            runs = self._runs.get(visitor)
            found = runs.get(run) if runs else None
        if found is None:
            raise ConfigError("this picture is not kept any more; generate it again")
        return found

    def rename(self, visitor: str, run: str, name: str) -> None:
        """Call a run something else; ConfigError when it is not there, or for a name that is empty or too long."""
        name = " ".join(name.split())
        if not 0 < len(name) <= MAX_NAME:
            raise ConfigError(f"name: got {len(name)} characters, expected 1 to {MAX_NAME}")
        found = self.find(visitor, run)
        with self._lock:
            if run in self._runs.get(visitor, {}):
                self._runs[visitor][run] = replace(found, name=name)

    def forget(self, visitor: str) -> None:
        """Drop everything of a visitor."""
        with self._lock:
            self._runs.pop(visitor, None)
