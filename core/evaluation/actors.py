"""A run on a Ray cluster: actors measure, each with the model, and the process that began it writes the rows.

As in builds (`core.patches.remote.actors.pool`), an actor that dies is not restarted by Ray, whose tries have no end:
its item goes to another one, and is listed as failed after TRIES.
"""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import RayError, RayTaskError

from .. import threads
from ..patches.remote.actors.cluster import PROCESSORS, connect, words
from ..types import ArragError, ConfigError
from . import harness
from .harness import Outcome, Progress
from .job import Job, Opened, opened
from .record import begin
from .store import Shard, Writer, writing
from .suite import Item, Measured

TRIES: Final = 3

Answer = tuple[str, "Measured | None", str]
"""Why nothing was measured, or ""; what was; and on which machine."""


class Measurer:
    """An actor with a model, which it loads at its first item."""

    def __init__(self, job: Job, identity: str) -> None:
        self._job, self._identity = job, identity
        self._opened: Opened | None = None

    def measure(self, item: Item) -> Answer:
        """Measure an item; ConfigError where this machine would measure something else."""
        if self._opened is None:
            found = opened(self._job)
            if found.record.identity != self._identity:
                got = "got another version of the code, of a package or of a model on this machine"
                raise ConfigError(f"ray: {got}; expected the same everywhere")
            self._opened = found
        try:
            return "", self._opened.work.measure(item), threads.machine()
        except ArragError as error:
            return str(error) or type(error).__name__, None, threads.machine()


def run_on_ray(job: Job, folder: Path, shard: Shard, workers: int, address: str, progress: Progress) -> Outcome:
    """As `harness.run`, with that many actors; address: of the cluster, "" for that of this machine."""
    found = opened(job)
    begin(folder, found.record)
    everything = harness.checked(found.work.items())
    items = shard.of_items(everything)
    with writing(folder, shard, found.record.identity, len(everything)) as writer:
        missing = harness.missing_of(items, harness.rows_of(found, folder, progress, writer), progress)
        connect(address)
        workers = min(workers, _room(job))
        actors = _Actors(job, found.record.identity)
        try:
            _measure(deque((item, 1) for item in missing), actors, workers, writer, progress)
        finally:
            actors.close()
    return harness.outcome(found, folder, items)


def _measure(
    waiting: deque[tuple[Item, int]], actors: _Actors, workers: int, writer: Writer, progress: Progress
) -> None:
    """Hand items to actors until none is left."""
    while waiting or actors.busy:
        while waiting and len(actors.busy) < workers:
            actors.give(*waiting.popleft())
        item, attempt, answer = actors.answer()
        if isinstance(answer, str):
            if attempt < TRIES:
                waiting.append((item, attempt + 1))
                continue
            reason = f"its actor ended {TRIES} times ({answer})"
            harness.failed(item, reason, writer, progress)
            continue
        reason, measured, machine = answer
        writer.head(machine)
        if measured is None:
            harness.failed(item, reason, writer, progress)
        else:
            writer.add(item, measured)
            progress.step()


def _room(job: Job) -> int:
    """How many actors the cluster takes; ConfigError for a model on GPUs where there is none."""
    if not job.source.device.startswith("cuda"):
        return sys.maxsize
    resources: Any = ray.cluster_resources
    found = int(resources().get("GPU", 0))
    if not found:
        raise ConfigError("ray: got a cluster without a GPU, expected one for --device cuda; take another device")
    return found


class _Actors:
    """Actors, and what each of them measures."""

    def __init__(self, job: Job, identity: str) -> None:
        self._job, self._identity = job, identity
        self._free: list[Any] = []
        self.busy: dict[Any, tuple[Any, Item, int]] = {}

    def give(self, item: Item, attempt: int) -> None:
        """Have an actor measure an item, a new one if need be."""
        actor = self._free.pop() if self._free else self._started()
        self.busy[actor.measure.remote(item)] = (actor, item, attempt)

    def answer(self) -> tuple[Item, int, Answer | str]:
        """The next answer, or how the actor ended; whatever a suite raises that is no ArragError is raised here."""
        ready, _ = ray.wait(list(self.busy))
        actor, item, attempt = self.busy.pop(ready[0])
        try:
            answer: Answer = ray.get(ready[0])
        except RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, ArragError) else error from None
        except RayError as error:
            ray.kill(actor)  # which may only be out of reach
            return item, attempt, words(error)
        self._free.append(actor)
        return item, attempt, answer

    def close(self) -> None:
        """End all of them."""
        if ray.is_initialized():
            for actor in [*self._free, *(actor for actor, _, _ in self.busy.values())]:
                ray.kill(actor)

    def _started(self) -> Any:
        """A new actor, on whichever node has the fewest."""
        on_gpu = self._job.source.device.startswith("cuda")
        options = {"num_cpus": PROCESSORS, "num_gpus": int(on_gpu), "max_restarts": 0, "max_task_retries": 0}
        kind = ray.remote(Measurer)
        return kind.options(**options, scheduling_strategy="SPREAD").remote(self._job, self._identity)
