"""Who makes the parts of a build: this process, or processes beside it, which may die without harm.

A job is the folder of a build and the number of a part; all else lies in that folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from ...backends.protocol import Backend, ModelSource
from ...types import ArragError, CheckpointError, ConfigError, DatabaseError
from .facts import write_facts
from .parts import make_part

ERRORS: Final = {error.__name__: error for error in (ConfigError, CheckpointError, DatabaseError, ArragError)}
"""What a worker may raise that a user can mend, by name."""

PATIENCE: Final = 10
"""Seconds that a worker has to end by itself."""


@dataclass(frozen=True, slots=True)
class Done:
    """A part is whole."""

    number: int


@dataclass(frozen=True, slots=True)
class Died:
    """Whoever made a part is gone; reason: how it ended."""

    number: int
    reason: str


class Executor(Protocol):
    """Makes parts, several at a time, in any order."""

    @property
    def workers(self) -> int:
        """How many parts are made at a time."""
        ...

    def prepare(self, folder: Path) -> None:
        """Load the model and have it call `write_facts`; ArragError when it cannot be loaded."""
        ...

    def submit(self, folder: Path, number: int) -> None:
        """Have a part made; at most `workers` are under way."""
        ...

    def outcome(self, seconds: float) -> Done | Died | None:
        """What became of one of the parts, None when nothing has in that time; ArragError when one cannot be made."""
        ...

    def close(self) -> None:
        """End all workers, also those that are at work."""
        ...


class InProcess:
    """Makes parts in this process, one after the other: what kills it, kills all."""

    workers = 1

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._steps: deque[tuple[int, Generator[int, None, None]]] = deque()

    def prepare(self, folder: Path) -> None:
        """See `Executor`."""
        write_facts(folder, self._backend)

    def submit(self, folder: Path, number: int) -> None:
        """See `Executor`."""
        self._steps.append((number, make_part(folder, number, self._backend)))

    def outcome(self, seconds: float) -> Done | Died | None:
        """See `Executor`: works for that time."""
        until = time.monotonic() + seconds
        number, steps = self._steps[0]
        for _ in steps:
            if time.monotonic() >= until:
                return None
        self._steps.popleft()
        return Done(number)

    def close(self) -> None:
        """See `Executor`."""
        for _, steps in self._steps:
            steps.close()
        self._steps.clear()


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that a worker loads, as `load_backend` takes it."""

    name: str
    source: ModelSource = field(default_factory=ModelSource)


class Processes:
    """Makes parts in processes of their own, each with the model; one that dies is replaced."""

    def __init__(self, model: ModelChoice, workers: int) -> None:
        self._model, self.workers = model, workers
        self._answers: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()
        self._all: list[_Worker] = []

    def prepare(self, folder: Path) -> None:
        """See `Executor`: with the first worker, which goes on to make parts."""
        self._free().send({"facts": str(folder)})
        found = None
        while found is None:
            found = self.outcome(1.0)
        if isinstance(found, Died):
            raise ConfigError(f"backend {self._model.name:.80}: its process ended {found.reason} while it was loaded")

    def submit(self, folder: Path, number: int) -> None:
        """See `Executor`."""
        self._free().send({"folder": str(folder), "number": number})

    def outcome(self, seconds: float) -> Done | Died | None:
        """See `Executor`."""
        try:
            worker, answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        number, worker.job = (worker.job or {}).get("number", -1), None
        if answer is not None and "error" not in answer:
            return Done(number)
        if answer is not None:
            raise ERRORS.get(answer["error"], ArragError)(answer["message"])
        self._all.remove(worker)
        return Died(number, worker.end())

    def close(self) -> None:
        """See `Executor`."""
        for worker in self._all:
            worker.stop()
        self._all.clear()

    def _free(self) -> _Worker:
        """A worker that has nothing to do, a new one if need be."""
        found = next((worker for worker in self._all if worker.job is None and worker.is_alive()), None)
        if found is None:
            found = _Worker(self._model, self._answers)
            self._all.append(found)
        return found


class _Worker:
    """A process that makes parts; job: what it was told to do, None when nothing."""

    def __init__(self, model: ModelChoice, answers: queue.Queue[tuple[_Worker, dict[str, Any] | None]]) -> None:
        self.job: dict[str, Any] | None = None
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        chosen = json.dumps({"name": model.name, **asdict(model.source)})
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", chosen],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        self._answers = answers
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, job: dict[str, Any]) -> None:
        """Have it do something; one that is gone tells so by its end."""
        self.job = job
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass

    def is_alive(self) -> bool:
        """Whether it can do anything."""
        return self._process.poll() is None

    def end(self) -> str:
        """How it ended, in words."""
        code = self._process.wait()
        self._close()
        if code >= 0:
            return f"with status {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        """Nothing is said to it any more, and all that it has said is read."""
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _listen(self) -> None:
        """Hand its answers on, and None when it ends in the middle of something."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put((self, json.loads(line)))
        self._answers.put((self, None))
