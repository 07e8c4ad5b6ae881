"""A run in several processes of this machine: each measures a shard, and ends with the process that began it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ..types import ArragError, ConfigError
from . import harness
from .harness import Progress
from .job import Job, opened
from .store import Shard


def run_in_workers(job: Job, folder: Path, shard: Shard, workers: int, progress: Progress) -> dict[str, str]:
    """Measure a shard with several processes, each with the model; the reasons of what failed, by key.

    ConfigError when one of them ended too early: the others go on to their end, and what is done is kept.
    """
    context, ends = multiprocessing.get_context("spawn"), ExitStack()
    with ends:
        told: dict[Any, Any] = {}
        for number in range(workers):
            mine, theirs = context.Pipe(duplex=False)
            arguments = (job, str(folder), shard.part(number, workers), theirs)
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            theirs.close()
            ends.callback(process.join)
            ends.callback(process.terminate)
            told[mine] = process
        return _watched(told, progress)


def _watched(told: dict[Any, Any], progress: Progress) -> dict[str, str]:
    """What the processes of some pipes say until all have ended."""
    counts, failed, errors = [0, 0], dict[str, str](), list[str]()
    while told:
        for pipe in wait(list(told)):
            assert isinstance(pipe, Connection)
            try:
                kind, value = pipe.recv()
            except (EOFError, OSError):
                process = told.pop(pipe)
                process.join()
                if process.exitcode:
                    errors.append(f"a process ended {_how(process.exitcode)}; start again to go on")
                continue
            if kind == "begin":
                counts = [counts[0] + value[0], counts[1] + value[1]]
                progress.begin(*counts)
            elif kind == "step":
                counts[1] += 1
                progress.step()
            elif kind == "tell":
                progress.tell(value)
            elif kind == "failed":
                failed |= value
            else:
                errors.append(value)
    if errors:
        raise ConfigError("; ".join(dict.fromkeys(errors)))
    return failed


def _how(code: int) -> str:
    """An exit status in words."""
    if code > 0:
        return f"with status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


class _Told:
    """Tells the process that began this one."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def begin(self, items: int, done: int) -> None:
        """See `Progress`."""
        self._pipe.send(("begin", (items, done)))

    def step(self) -> None:
        """See `Progress`."""
        self._pipe.send(("step", None))

    def tell(self, message: str) -> None:
        """See `Progress`."""
        self._pipe.send(("tell", message))


def _work(job: Job, folder: str, shard: Shard, pipe: Any) -> None:
    """A process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it, too, and says when to end
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        found = harness.run(opened(job), Path(folder), shard, _Told(pipe))
        pipe.send(("failed", found.failed))
    except ArragError as error:
        pipe.send(("error", str(error)))
    except OSError as error:
        pipe.send(("error", f"{error.filename or 'file'}: {error.strerror or error}; check the path"))
    pipe.close()


def _end_with_parent() -> None:
    """Wait for the end of the parent; rows are whole at any moment, so that nothing has to be tidied."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        sys.stderr.flush()
        os._exit(1)
