"""What visitors have made: the finished runs of each, kept in memory for as long as there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.views import Asked
from core.trace import Trace, neighbours
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
        """About how much memory it takes: logits, neighbours, and what was seen inside are nearly all of it."""
        steps = self.trace.steps
        found = sum(len(near) for step in steps if (near := neighbours(step)))
        inside = self.trace.inside.nbytes if self.trace.inside else 0
        return len(self.picture) + len(steps) * 4 * self.trace.origin.codes + 20 * found + inside


Things = OrderedDict[str, tuple[Kept, ...]]
SHEETS = ("sweep", "fan")
"""What sheets are called that hold pictures of several runs; no id of a run is one of these."""


class Visits:
    """Runs of all visitors; nobody reaches those of another.

    Besides their runs, visitors have the sheets of pictures that they swept and fanned out last: their runs can be
    found, but are not listed before one of them is kept, too.
    """

    def __init__(self, runs_kept: int = RUNS_KEPT, bytes_kept: int = BYTES_KEPT) -> None:
        self._visitors: OrderedDict[str, Things] = OrderedDict()
        self._runs_kept, self._bytes_kept = runs_kept, bytes_kept
        self._lock = threading.Lock()

    def keep(self, visitor: str, run: Kept, replaces: str = "") -> None:
        """Add a run, or put the same one in its place; old ones make room for it.

        replaces: id of one that it goes on with, whose branches it takes.
        """
        if replaces:
            self._replace(visitor, replaces, run)
        self._put(visitor, run.id, (run,))

    def _replace(self, visitor: str, old: str, run: Kept) -> None:
        """Drop a run, and make its branches those of another."""
        with self._lock:
            mine = self._visitors.get(visitor, Things())
            mine.pop(old, None)
            for name, runs in list(mine.items()):
                mine[name] = tuple(replace(other, parent=run.id) if other.parent == old else other for other in runs)

    def lay_out(self, visitor: str, sheet: Sequence[Kept], name: str = "sweep") -> None:
        """Put a sheet of runs in the place of the visitor's last one of SHEETS; old things make room for it."""
        self._put(visitor, name, tuple(sheet))

    def _put(self, visitor: str, name: str, runs: tuple[Kept, ...]) -> None:
        with self._lock:
            mine = self._visitors.setdefault(visitor, Things())
            self._visitors.move_to_end(visitor)
            mine[name] = runs
            if name in SHEETS:
                mine.move_to_end(name)
            if len(mine) > self._runs_kept:
                mine.popitem(last=False)
            self._make_room()

    def _make_room(self) -> None:
        """Forget the oldest thing of whoever has been away for longest, until the rest fits; the newest thing stays."""
        size = sum(run.nbytes for mine in self._visitors.values() for runs in mine.values() for run in runs)
        while size > self._bytes_kept and (len(self._visitors) > 1 or len(next(iter(self._visitors.values()))) > 1):
            visitor, mine = next(iter(self._visitors.items()))
            size -= sum(run.nbytes for run in mine.popitem(last=False)[1])
            if not mine:
                del self._visitors[visitor]

    def runs(self, visitor: str) -> tuple[Kept, ...]:
        """The runs of a visitor, the oldest first."""
        with self._lock:
            mine = self._visitors.get(visitor, Things())
            return tuple(run for name, runs in mine.items() if name not in SHEETS for run in runs)

    def find(self, visitor: str, run: str) -> Kept:
        """One run of a visitor; ConfigError when it is not there any more, or never was."""
        with self._lock:
            mine = self._visitors.get(visitor, Things())
            found = [kept for runs in mine.values() for kept in runs if kept.id == run]
        if not found:
            raise ConfigError("this picture is not kept any more; draw it again")
        return found[0]

    def known(self, run: str) -> Kept:
        """One run, for a call that does not say whose: only its visitor's page has the id, which nobody can guess."""
        with self._lock:
            things = [runs for mine in self._visitors.values() for runs in mine.values()]
            found = [kept for runs in things for kept in runs if kept.id == run]
        if not found:
            raise ConfigError("this picture is not kept any more; draw it again")
        return found[0]

    def rename(self, visitor: str, run: str, name: str) -> None:
        """Call a run something else; ConfigError when it is not there, or for a name that is empty or too long."""
        name = " ".join(name.split())
        if not 0 < len(name) <= MAX_NAME:
            raise ConfigError(f"name: got {len(name)} characters, expected 1 to {MAX_NAME}")
        found = self.find(visitor, run)
        self.keep(visitor, replace(found, name=name))

    def drop(self, visitor: str, run: str) -> None:
        """Forget one run; its branches stay, and stand alone. ConfigError when it is not there."""
        with self._lock:
            mine = self._visitors.get(visitor, Things())
            if run in SHEETS or mine.pop(run, None) is None:
                raise ConfigError("this picture is not kept any more")

    def forget(self, visitor: str) -> None:
        """Drop everything of a visitor."""
        with self._lock:
            self._visitors.pop(visitor, None)
