"""Makes the parts of a build with actors on a Ray cluster; see `building.executor.Executor`.

An actor that dies, with its node or by itself, is not restarted by Ray, whose tries have no end: the build counts, and
has another actor make the part again. The folder of the build has to be on storage that all machines share.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import RayError

from ....backends.protocol import Backend
from ....types import ArragError, ConfigError
from ...building.executor import ERRORS, Died, Done, ModelChoice
from ...building.facts import write_facts
from ...building.parts import make_part
from ...building.plan import TRIES
from ...building.worker import loaded
from .cluster import PROCESSORS, connect, words

Failure = tuple[str, str]
"""Name and message of an error that the user can mend."""

NOTHING: Final[Failure] = ("", "")


class Encoder:
    """An actor with a model, which it loads at its first job."""

    def __init__(self, model: dict[str, Any]) -> None:
        self._model = model
        self._backend: Backend | None = None

    def facts(self, folder: str) -> Failure:
        """Write what a build has to know of the model."""
        return self._do(lambda backend: write_facts(Path(folder), backend))

    def make(self, folder: str, number: int) -> Failure:
        """Make a part of a build."""

        def made(backend: Backend) -> None:
            for _ in make_part(Path(folder), number, backend):
                pass

        return self._do(made)

    def _do(self, work: Any) -> Failure:
        """Do something with the model; what went wrong, if the user can mend it."""
        try:
            self._backend = self._backend or loaded(self._model)
            work(self._backend)
        except (ArragError, OSError) as error:
            return type(error).__name__ if isinstance(error, ArragError) else "ArragError", str(error)
        return NOTHING


class RayPool:
    """Actors that make parts, one part at a time each."""

    def __init__(self, model: ModelChoice, workers: int, address: str = "") -> None:
        """model: what each loads, on a GPU of its own where its device is cuda; address: of the cluster, "" or "auto"
        for the one of this machine."""
        self.workers, self._address, self._model = workers, address, model
        self._free: list[Any] = []
        self._busy: dict[Any, tuple[int, Any]] = {}

    def prepare(self, folder: Path) -> None:
        """See `Executor`: with the first actor that lives, which goes on to make parts; ConfigError when none does."""
        connect(self._address)
        died: list[str] = []
        while len(died) < TRIES:
            actor = self._started()
            self._busy[actor.facts.remote(str(folder))] = (-1, actor)
            found = None
            while found is None:
                found = self.outcome(1.0)
            if isinstance(found, Done):
                return
            died.append(found.reason)
        said = f"{TRIES} actors ended while they loaded it, the last: {died[-1]}"
        raise ConfigError(f"backend {self._model.name:.80}: {said}; see the logs of Ray")

    def submit(self, folder: Path, number: int) -> None:
        """See `Executor`."""
        actor = self._free.pop() if self._free else self._started()
        self._busy[actor.make.remote(str(folder), number)] = (number, actor)

    def outcome(self, seconds: float) -> Done | Died | None:
        """See `Executor`."""
        ready, _ = ray.wait(list(self._busy), timeout=seconds)
        if not ready:
            return None
        number, actor = self._busy.pop(ready[0])
        try:
            name, message = ray.get(ready[0])
        except RayError as error:
            ray.kill(actor)  # which may only be out of reach
            return Died(number, words(error))
        self._free.append(actor)
        if name:
            raise ERRORS.get(name, ArragError)(message)
        return Done(number)

    def close(self) -> None:
        """See `Executor`."""
        if ray.is_initialized():
            for actor in [*self._free, *(actor for _, actor in self._busy.values())]:
                ray.kill(actor)
        self._free.clear()
        self._busy.clear()

    def _started(self) -> Any:
        """A new actor, on whichever node has the fewest."""
        on_gpu = self._model.source.device.startswith("cuda")
        options = {"num_cpus": PROCESSORS, "num_gpus": int(on_gpu), "max_restarts": 0, "max_task_retries": 0}
        model = {"name": self._model.name, **asdict(self._model.source)}
        return ray.remote(Encoder).options(**options, scheduling_strategy="SPREAD").remote(model)
