"""Where a worker runs: in a process of its own beside the server, or in a thread of the server."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

from app.decoding.job import Stock
from app.decoding.worker import Line, work

PATIENCE: Final = 120.0
"""Seconds; no position of a model that fits into a process beside the server takes as long."""


class Place(Protocol):
    """Somewhere to run a worker. A worker whose process has ended can be started anew."""

    @property
    def patience(self) -> float | None:
        """Seconds without a word after which a worker that has something to do is taken for dead; None: never."""
        ...

    def start(self) -> Line:
        """Start a worker; the server's end of the line to it."""
        ...

    def close(self) -> None:
        """End the worker and wait until it has ended."""
        ...


# ---------------------------------------------------------------------------------------------------------------------
# A process


class InProcess:
    """A worker in a process of its own, which loads what it draws with by itself: the server's threads and the drawing
    do not take turns in one interpreter, and a crash is not the server's.

    load: a function of a module, which the process can import.
    """

    def __init__(self, load: Callable[[], Stock], patience: float = PATIENCE) -> None:
        self._load, self.patience = load, patience
        self._process: multiprocessing.process.BaseProcess | None = None

    def start(self) -> Line:
        """Start a process, in the place of one that has ended; it answers as soon as it has loaded everything."""
        self.close()
        spawned = multiprocessing.get_context("spawn")  # the server has threads, which a fork would not copy
        ours, its = spawned.Pipe()
        self._process = spawned.Process(target=_serve, args=(its, self._load), name="decoding", daemon=True)
        self._process.start()
        its.close()
        return ours

    @property
    def pid(self) -> int | None:
        """Of the process, None before it is started."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()  # it has nothing to put away, and one that hangs would not hear a request to end
            self._process.join()


def _serve(line: Line, load: Callable[[], Stock]) -> None:
    """What the process does: it ends with the line, and leaves interruptions to the server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work(line, load())


# ---------------------------------------------------------------------------------------------------------------------
# A thread


class InThread:
    """A worker in a thread of the server, for models that are too large to be loaded twice, or that cannot be."""

    patience = None  # nothing ends a thread that hangs

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._end: _End | None = None

    def start(self) -> Line:
        """Start a thread."""
        ours, its = _End.pair()
        threading.Thread(target=_serve_here, args=(its, self._stock), name="decoding", daemon=True).start()
        self._end = ours
        return ours

    def close(self) -> None:
        """End the thread, as soon as it looks."""
        if self._end is not None:
            self._end.close()


def _serve_here(line: _End, stock: Stock) -> None:
    """What the thread does; however it ends, the server hears of it."""
    try:
        work(line, stock)
    finally:
        line.close()


class _End:
    """One end of a line between two threads."""

    def __init__(self, there: queue.SimpleQueue[object], here: queue.SimpleQueue[object]) -> None:
        self._there, self._here = there, here
        self._next: list[object] = []

    @classmethod
    def pair(cls) -> tuple[_End, _End]:
        """Both ends of a new line."""
        one, other = queue.SimpleQueue[object](), queue.SimpleQueue[object]()
        return cls(one, other), cls(other, one)

    def poll(self, timeout: float | None = 0.0) -> bool:
        """See `Line`."""
        if not self._next:
            try:
                self._next.append(self._here.get(timeout is None or timeout > 0, timeout))
            except queue.Empty:
                return False
        return True

    def recv(self) -> Any:
        """See `Line`."""
        self.poll(None)
        found = self._next.pop()
        if found is _GONE:
            raise EOFError
        return found

    def send(self, obj: object, /) -> None:
        """See `Line`."""
        self._there.put(obj)

    def close(self) -> None:
        """Tell both ends that there is nothing more to come."""
        self._there.put(_GONE)
        self._here.put(_GONE)


_GONE = object()
