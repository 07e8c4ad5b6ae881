"""Where finished runs lie: in files of a private folder, and those that were asked for last in memory as well."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from core.trace import Trace
from core.types import ConfigError, FaidStep, Retrieval, StepRecord, TraceError

BYTES_IN_MEMORY: Final = 96 * 2**20
"""Of all visitors together; what was asked for longest ago is read from its file again. The newest one stays."""

PREFIX: Final = "loupe-runs-"
LOCK: Final = "lock"
HEADER: Final = 112
"""Bytes that numpy takes for an array, besides its numbers."""

GONE: Final = "this picture is not kept any more; draw it again"
FULL: Final = "the server's disk is full; delete pictures that you no longer need, or try again later"

try:
    import fcntl
except ImportError:  # Windows: what a killed process leaves there stays
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """What is large of a run: its trace, its encoded picture, and of a paused one the trace with one step more."""

    trace: Trace
    picture: bytes
    ahead: Trace | None = None

    @property
    def nbytes(self) -> int:
        """About how much memory it takes: arrays are nearly all of it, each counted once however many share it."""
        traces = [trace for trace in (self.trace, self.ahead) if trace is not None]
        arrays = {id(array): array for trace in traces for array in _arrays_of(trace)}.values()
        inside = sum(trace.inside.nbytes for trace in traces if trace.inside is not None)
        return len(self.picture) + sum(array.nbytes + HEADER for array in arrays) + inside


def _arrays_of(trace: Trace) -> Iterator[npt.NDArray[np.generic]]:
    """The arrays of a trace, but for those of the inside of its model."""
    for step in trace.steps:
        yield from _arrays(step)
    for source in trace.sources.values():
        yield source.codes


def _arrays(step: StepRecord) -> Iterator[npt.NDArray[np.generic]]:
    """The arrays of a step."""
    yield step.logits
    if isinstance(step.retrieval, Retrieval):
        found = step.retrieval.neighbours
        yield from (step.retrieval.query, found.codes, found.distances, found.entries)
        if found.weights is not None:
            yield found.weights
    if step.faid is not None:
        values = [getattr(step.faid, field.name) for field in fields(FaidStep)]
        yield from (value for value in values if isinstance(value, np.ndarray))


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A run in files: their path without what tells them apart, whether there is one of a next step, and all bytes."""

    path: Path
    paused: bool
    nbytes: int


class Storage:
    """Files of runs, a folder for each visit, in one that nobody else can open and that goes with the process.

    Safe to share between threads: nobody waits for the disk but who writes to it or reads from it.
    """

    def __init__(self, bytes_in_memory: int = BYTES_IN_MEMORY) -> None:
        self._bytes_in_memory = bytes_in_memory
        self._memory: OrderedDict[Stored, tuple[Whole, int]] = OrderedDict()
        self._root: Path | None = None
        self._folders: dict[str, Path] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def put(self, visit: str, whole: Whole) -> Stored:
        """Write a run; ConfigError, with nothing left behind, when the disk is full or cannot be written to."""
        path: Path | None = None
        try:
            path = self._folder(visit) / str(next(self._numbers))
            stored = _written(path, whole)
        except (OSError, TraceError) as error:
            if path is not None:
                _remove_files(path)
            raise ConfigError(_why(error)) from None
        self._remember(stored, whole)
        return stored

    def get(self, stored: Stored) -> Whole:
        """A run, from memory or from its files; ConfigError when it is not there any more."""
        with self._lock:
            if stored in self._memory:
                self._memory.move_to_end(stored)
                return self._memory[stored][0]
        try:
            whole = _read(stored)
        except (OSError, TraceError) as error:
            logger.warning("a kept run could not be read: %s", error)
            raise ConfigError(GONE) from None
        self._remember(stored, whole)
        return whole

    def is_there(self, stored: Stored, whole: Whole) -> bool:
        """Whether a run is the very one of these files; one that is not in memory counts as another."""
        with self._lock:
            there = self._memory[stored][0] if stored in self._memory else None
        return there is not None and there.trace is whole.trace and there.ahead is whole.ahead

    def remove(self, stored: Stored) -> None:
        """Delete the files of a run."""
        with self._lock:
            self._memory.pop(stored, None)
        _remove_files(stored.path)

    def forget(self, visit: str) -> None:
        """Delete all that is left of a visit."""
        with self._lock:
            folder = self._folders.pop(visit, None)
            for stored in [stored for stored in self._memory if stored.path.parent == folder]:
                del self._memory[stored]
        if folder is not None:
            with suppress(OSError):  # under another name, nothing more can be written into it while it is deleted
                folder = folder.rename(folder.with_suffix(".gone"))
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, visit: str) -> Path:
        """The folder of a visit, whose name says nothing of it."""
        with self._lock:
            if self._root is None:
                self._root, lock = _private_folder()
                weakref.finalize(self, _remove_root, self._root, lock, os.getpid())
            if visit not in self._folders:
                self._folders[visit] = Path(tempfile.mkdtemp(dir=self._root))
            return self._folders[visit]

    def _remember(self, stored: Stored, whole: Whole) -> None:
        """Keep a run in memory, and let go of those that were not asked for in a long time."""
        size = whole.nbytes
        with self._lock:
            self._memory[stored] = (whole, size)
            self._memory.move_to_end(stored)
            while len(self._memory) > 1 and sum(size for _, size in self._memory.values()) > self._bytes_in_memory:
                self._memory.popitem(last=False)


def _written(path: Path, whole: Whole) -> Stored:
    """A run in files: plain ones, since packing them would take longer than drawing does at times."""
    whole.trace.save(_trace_of(path), compressed=False)
    if whole.ahead is not None:
        whole.ahead.save(_ahead_of(path), compressed=False)
    _picture_of(path).write_bytes(whole.picture)
    size = sum(file.stat().st_size for file in _files_of(path) if file.exists())
    return Stored(path, whole.ahead is not None, size)


def _read(stored: Stored) -> Whole:
    """A run from its files; its times are rounded to seven digits, all else is as it was."""
    most = max(stored.nbytes, 1)
    trace = Trace.load(_trace_of(stored.path), most)
    ahead = Trace.load(_ahead_of(stored.path), most) if stored.paused else None
    return Whole(trace, _picture_of(stored.path).read_bytes(), ahead)


def _trace_of(path: Path) -> Path:
    return path.with_suffix(".npz")


def _ahead_of(path: Path) -> Path:
    return path.with_suffix(".ahead.npz")


def _picture_of(path: Path) -> Path:
    return path.with_suffix(".webp")


def _files_of(path: Path) -> tuple[Path, ...]:
    return _trace_of(path), _ahead_of(path), _picture_of(path)


def _remove_files(path: Path) -> None:
    """Delete the files of a run, as far as they are there; what cannot be deleted goes with the folder."""
    for file in _files_of(path):
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("a file of a run could not be deleted: %s", error)


def _private_folder() -> tuple[Path, int | None]:
    """A new folder that nobody else can open, and the lock on it; those of processes that were killed go now.

    A process holds the lock on its folder for as long as it lives.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if _is_left(left):
            shutil.rmtree(left, ignore_errors=True)
    root = Path(tempfile.mkdtemp(prefix=PREFIX))
    return root, _lock(root / LOCK, os.O_CREAT)


def _is_left(root: Path) -> bool:
    """Whether a folder belonged to a process that is gone; one that has no lock yet is a new one."""
    descriptor = _lock(root / LOCK)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def _lock(path: Path, flags: int = 0) -> int | None:
    """Lock a file until it is closed; None when another process has it, or there is none, or no such locks here."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_root(root: Path, lock: int | None, process: int) -> None:
    """Delete the folder, unless this is a process that was forked from the one that made it."""
    if os.getpid() != process:
        return
    shutil.rmtree(root, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _why(error: OSError | TraceError) -> str:
    """What a visitor reads of a run that could not be written."""
    if isinstance(error, TraceError):
        return f"this picture cannot be kept: {error}"
    logger.warning("a run could not be written: %s", error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FULL
    return f"the server cannot write to its disk ({error.strerror or 'damaged'}); try again later"
