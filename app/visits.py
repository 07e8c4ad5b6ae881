"""What visitors have made: the finished runs of each, kept for as long as there is room for what is theirs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.pictures import small
from app.storage import GONE, Storage, Stored, Whole
from app.views import METHOD_NAMES, Asked
from core.trace import Trace
from core.types import ConfigError, IntArray

MAX_NAME: Final = 60
LISTED_PICTURE: Final = 88
"""Side in pixels of a picture in a list: twice what it takes on the page, for screens of double density."""


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
    def whole(self) -> Whole:
        """What is large of it."""
        return Whole(self.trace, self.picture, self.ahead)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return self.whole.nbytes


@dataclass(frozen=True, slots=True)
class Listed:
    """A finished run as lists show it, without what is large: see Kept.

    picture: a small one, encoded; taken: the codes as little-endian uint16; positions: how many codes a whole picture
    has; given: how many of them were not drawn; by_hand: how many somebody chose; changes: at how many positions it was
    to go on in another way; method: of the last step.
    """

    id: str
    name: str
    prompt: str
    asked: Asked
    seconds: float
    picture: bytes
    taken: bytes
    positions: int
    given: int
    by_hand: int
    changes: int
    method: str
    parent: str = ""
    branch_step: int = -1

    @classmethod
    def of(cls, run: Kept) -> Listed:
        """What lists show of a run."""
        trace = run.trace
        return cls(
            id=run.id,
            name=run.name,
            prompt=trace.prompt,
            asked=run.asked,
            seconds=run.seconds,
            picture=small(run.picture, LISTED_PICTURE),
            taken=trace.codes.astype("<u2").tobytes(),
            positions=trace.grid.positions,
            given=trace.given,
            by_hand=sum(change.code is not None for change in trace.changes),
            changes=len(trace.changes),
            method=METHOD_NAMES[trace.settings_at(len(trace.steps) - 1).method],
            parent=run.parent,
            branch_step=run.branch_step,
        )

    @property
    def codes(self) -> IntArray:
        """The codes [n] that were taken, in raster order."""
        return np.frombuffer(self.taken, "<u2").astype(np.int64)

    @property
    def complete(self) -> bool:
        """Whether every position has a code."""
        return len(self.codes) == self.positions

    def kept(self, whole: Whole) -> Kept:
        """The run with what is large of it."""
        return Kept(
            self.id, whole.trace, self.asked, self.seconds, whole.picture, self.name, self.parent, self.branch_step,
            whole.ahead,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept: runs and bytes of a visitor, and bytes of all visitors together."""

    runs: int = 32
    bytes_each: int = 256 * 2**20
    bytes_in_all: int = 4 * 2**30

    @classmethod
    def over(cls, codes: int, positions: int) -> Limits:
        """Those of a server whose pictures have so many positions, of a codebook of so many codes.

        A visitor has room for sixteen plain pictures of a large model at least.
        """
        return cls(bytes_each=max(cls().bytes_each, 16 * 4 * codes * positions))


@dataclass(frozen=True, slots=True)
class _Held:
    """A run: what lists show of it, and where the rest is."""

    listed: Listed
    stored: Stored


@dataclass(frozen=True, slots=True)
class _Thing:
    """A run, or a sheet of runs; used: when one of them was asked for last, in numbers that grow."""

    runs: tuple[_Held, ...]
    used: int


Things = Mapping[str, _Thing]
"""What a visitor has, by id of the run or name of the sheet, the oldest first."""

SHEETS = ("sweep", "fan")
"""What sheets are called that hold pictures of several runs; no id of a run is one of these."""


class Visits:
    """Runs of all visitors; nobody reaches those of another, nor makes them go.

    Besides their runs, visitors have the sheets of pictures that they swept and fanned out last: their runs can be
    found, but are not listed before one of them is kept, too. What a visitor has not asked for in the longest time
    makes room for what they draw; where that is not enough, what they draw is refused, and everything stays as it was.
    """

    def __init__(self, limits: Limits | None = None, storage: Storage | None = None) -> None:
        self._visitors: dict[str, Things] = {}
        self._limits, self._storage = limits or Limits(), storage or Storage()
        self._clock, self._bytes = itertools.count(), 0
        self._lock = threading.Lock()

    # -----------------------------------------------------------------------------------------------------------------
    # What comes

    def keep(self, visitor: str, run: Kept, replaces: str = "") -> None:
        """Add a run, or put the same one in its place; old ones of this visitor make room for it.

        replaces: id of one that it goes on with, whose branches it takes. Raises ConfigError when there is no room.
        """
        self._put(visitor, run.id, (run,), replaces)

    def lay_out(self, visitor: str, sheet: Sequence[Kept], name: str = "sweep") -> None:
        """Put a sheet of runs in the place of the visitor's last one of SHEETS; otherwise as `keep`."""
        self._put(visitor, name, sheet)

    def check_room(self, visitor: str, nbytes: int) -> None:
        """ConfigError when so much more would not be kept, whatever of this visitor makes room for it."""
        with self._lock:
            mine = _nbytes(self._visitors.get(visitor, {}))
            _check_fits(nbytes, self._bytes - mine, self._limits)

    def _put(self, visitor: str, name: str, runs: Sequence[Kept], replaces: str = "") -> None:
        """Write runs, and then make them one of the visitor's things; what does not work changes nothing."""
        held: list[_Held] = []
        try:
            for run in runs:
                held.append(self._held(visitor, run))
            left = self._settle(visitor, name, tuple(held), replaces)
        except BaseException:
            self._remove({one.stored for one in held} - self._files_of(visitor))
            raise
        self._remove(left)

    def _held(self, visitor: str, run: Kept) -> _Held:
        """A run with its files, which are there already when only what lists show of it is new."""
        with self._lock:
            old = _run_of(self._visitors.get(visitor, {}), run.id)
        if old is not None and self._storage.is_there(old.stored, run.whole):
            return _Held(Listed.of(run), old.stored)
        return _Held(Listed.of(run), self._storage.put(visitor, run.whole))

    def _settle(self, visitor: str, name: str, runs: tuple[_Held, ...], replaces: str) -> set[Stored]:
        """Put a thing among those of a visitor, of which others make room; returns the files that nothing needs now."""
        with self._lock:
            old = self._visitors.get(visitor, {})
            mine = _adopted(old, replaces, runs[0].listed.id) if replaces else dict(old)
            if name in SHEETS:
                mine.pop(name, None)  # a new one stands last
            mine[name] = _Thing(runs, next(self._clock))
            others = self._bytes - _nbytes(old)
            _check_fits(_nbytes({name: mine[name]}), others, self._limits)
            while not _fits(mine, others, self._limits):
                del mine[min((one for one in mine if one != name), key=lambda one: mine[one].used)]
            return self._replaced(visitor, mine)

    def _replaced(self, visitor: str, mine: Things) -> set[Stored]:
        """Give a visitor other things, under the lock; returns the files that nothing needs now."""
        old = self._visitors.get(visitor, {})
        self._visitors[visitor] = mine
        self._bytes += _nbytes(mine) - _nbytes(old)
        return _files_in(old) - _files_in(mine)

    def _files_of(self, visitor: str) -> set[Stored]:
        """The files of all that a visitor has."""
        with self._lock:
            return _files_in(self._visitors.get(visitor, {}))

    def _remove(self, left: set[Stored]) -> None:
        """Delete files; without the lock, as it takes its time."""
        for stored in left:
            self._storage.remove(stored)

    # -----------------------------------------------------------------------------------------------------------------
    # What is there

    @property
    def nbytes(self) -> int:
        """Of everything that all visitors have here."""
        return self._bytes

    @property
    def count(self) -> int:
        """How many runs all visitors have here, with those of sheets."""
        with self._lock:
            return sum(len(thing.runs) for mine in self._visitors.values() for thing in mine.values())

    def runs(self, visitor: str) -> tuple[Listed, ...]:
        """The runs of a visitor, the oldest first, as lists show them."""
        with self._lock:
            mine = self._visitors.get(visitor, {})
            return tuple(held.listed for name, thing in mine.items() if name not in SHEETS for held in thing.runs)

    def find(self, visitor: str, run: str) -> Kept:
        """One run of a visitor; ConfigError when it is not there any more, or never was."""
        with self._lock:
            held = self._asked_for(visitor, run)
        if held is None:
            raise ConfigError(GONE)
        return held.listed.kept(self._storage.get(held.stored))

    def known(self, run: str) -> Kept:
        """One run, for a call that does not say whose: only its visitor's page has the id, which nobody can guess."""
        with self._lock:
            found = (self._asked_for(visitor, run) for visitor in list(self._visitors))
            held = next((one for one in found if one is not None), None)
        if held is None:
            raise ConfigError(GONE)
        return held.listed.kept(self._storage.get(held.stored))

    def _asked_for(self, visitor: str, run: str) -> _Held | None:
        """A run of a visitor, under the lock, which has now been asked for last."""
        mine = self._visitors.get(visitor, {})
        name = _name_of(mine, run)
        if name is None:
            return None
        self._visitors[visitor] = {**mine, name: replace(mine[name], used=next(self._clock))}
        return _run_of(mine, run)

    # -----------------------------------------------------------------------------------------------------------------
    # What becomes of it

    def rename(self, visitor: str, run: str, name: str) -> None:
        """Call a run something else; ConfigError when it is not there, or for a name that is empty or too long."""
        name = " ".join(name.split())
        if not 0 < len(name) <= MAX_NAME:
            raise ConfigError(f"name: got {len(name)} characters, expected 1 to {MAX_NAME}")
        with self._lock:
            mine = self._visitors.get(visitor, {})
            if run in SHEETS or run not in mine:
                raise ConfigError(GONE)
            (held,) = mine[run].runs
            named = replace(held, listed=replace(held.listed, name=name))
            self._visitors[visitor] = {**mine, run: _Thing((named,), next(self._clock))}

    def drop(self, visitor: str, run: str) -> None:
        """Forget one run; its branches stay, and stand alone. ConfigError when it is not there."""
        with self._lock:
            mine = dict(self._visitors.get(visitor, {}))
            if run in SHEETS or mine.pop(run, None) is None:
                raise ConfigError("this picture is not kept any more")
            left = self._replaced(visitor, mine)
        self._remove(left)

    def forget(self, visitor: str) -> None:
        """Drop everything of a visitor."""
        with self._lock:
            left = self._replaced(visitor, {})
            del self._visitors[visitor]
        self._remove(left)
        self._storage.forget(visitor)


def _name_of(mine: Things, run: object) -> str | None:
    """What the thing of a visitor is called that has a run; the run itself comes before a sheet that has it, too."""
    if not isinstance(run, str):  # scripts send whatever they like
        return None
    if run in mine and run not in SHEETS:
        return run
    sheets = (name for name in SHEETS if name in mine)
    return next((name for name in sheets if any(held.listed.id == run for held in mine[name].runs)), None)


def _run_of(mine: Things, run: str) -> _Held | None:
    """A run of a visitor's things."""
    name = _name_of(mine, run)
    return None if name is None else next(held for held in mine[name].runs if held.listed.id == run)


def _adopted(mine: Things, old: str, new: str) -> dict[str, _Thing]:
    """Things without one of the runs, whose branches are now those of another."""

    def adopted(held: _Held) -> _Held:
        return replace(held, listed=replace(held.listed, parent=new)) if held.listed.parent == old else held

    return {n: replace(thing, runs=tuple(map(adopted, thing.runs))) for n, thing in mine.items() if n != old}


def _files_in(mine: Things) -> set[Stored]:
    """The files of things, of which a run and a sheet may share one."""
    return {held.stored for thing in mine.values() for held in thing.runs}


def _nbytes(mine: Things) -> int:
    """How many bytes things take on the disk."""
    return sum(stored.nbytes for stored in _files_in(mine))


def _fits(mine: Things, others: int, limits: Limits) -> bool:
    """Whether there is room for a visitor's things, beside the bytes of all others."""
    size = _nbytes(mine)
    return len(mine) <= limits.runs and size <= limits.bytes_each and others + size <= limits.bytes_in_all


def _check_fits(size: int, others: int, limits: Limits) -> None:
    """ConfigError unless there is room for one thing of a visitor who gives everything else for it."""
    if size > limits.bytes_each:
        most = limits.bytes_each >> 20
        got = f"got {size / 2**20:,.0f} MB for a visitor, expected at most {most} MB"
        raise ConfigError(f"room: {got}; take fewer neighbours or pictures")
    if others + size > limits.bytes_in_all:
        remedy = "delete some of yours, or try again when other visitors have left"
        raise ConfigError(f"the server keeps as many pictures as it can; {remedy}")
