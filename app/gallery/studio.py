"""Where the runs of the gallery are drawn: the models and databases, each loaded when the first run asks for it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Protocol

from app import arrivals, branches, packing, pictures
from app.branches import Plan
from app.gallery.table import Run
from app.looks import looks_of
from app.own import BOTH, YOURS
from app.record import taken
from app.visits import Kept
from core.analysis.inside import kept_small, look_inside
from core.backends import load_backend
from core.backends.protocol import Backend
from core.engine import decode
from core.patches.catalogue import DATABASES, open_database
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.types import StepRecord


class Shelf(Protocol):
    """Models and databases by name."""

    def backend(self, name: str) -> Backend:
        """A model."""
        ...

    def database(self, name: str) -> PatchDatabase:
        """A database."""
        ...


class Shipped:
    """Those that ship, and the example set of pictures as somebody's own."""

    def __init__(self) -> None:
        self._backends: dict[str, Backend] = {}

    def backend(self, name: str) -> Backend:
        """A model; loaded once."""
        if name not in self._backends:
            self._backends[name] = load_backend(name)
        return self._backends[name]

    @cached_property
    def _databases(self) -> dict[str, PatchDatabase]:
        """All databases that ship, and those of the example set."""
        backend = self.backend("emoji")
        found = {name: open_database(name, backend) for name in DATABASES}
        yours = taken(backend)
        return {**found, YOURS: yours, BOTH: yours.joined(found["emoji"])}

    def database(self, name: str) -> PatchDatabase:
        """A database; all are opened once."""
        return self._databases[name]


class Studio:
    """Draws runs; a run that others branch from is drawn once."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._kept: dict[str, Kept] = {}

    def draw(self, run: Run, parent: Run | None = None) -> Kept:
        """A run, as a visit would keep it; parent: that of a branch."""
        if run.name not in self._kept:
            self._kept[run.name] = self._draw(run, parent)
        return self._kept[run.name]

    def _draw(self, run: Run, parent: Run | None) -> Kept:
        plan = Plan(run.prompt, run.asked, pause=run.pause)
        if run.change is not None and parent is not None:
            plan = branches.branch(self.draw(parent), run.change)
        trace = self._trace(plan)
        if run.inside:
            seen = kept_small(look_inside(self._shelf.backend(run.asked.model), trace))
            trace = replace(trace, inside=seen)
        codes = pictures.continued_grid(trace.codes.tolist(), trace.grid)
        picture = pictures.encoded(self._shelf.backend(run.asked.model).decode_codes(codes[None])[0])
        return Kept(run.name, trace, run.asked, 0.0, picture, run.prompt, run.parent, plan.branch_step)

    def _trace(self, plan: Plan) -> Trace:
        """What is drawn and recorded by a plan, as far as it is to be drawn."""
        backend, settings = self._shelf.backend(plan.asked.model), plan.asked.settings
        database = self._shelf.database(plan.asked.database) if plan.retrieves else None
        steps: list[StepRecord] = list(plan.steps)
        for (record,) in decode(
            backend, database, [plan.prompt], settings, plan.changes, plan.codes, len(plan.steps)
        ):  # fmt: skip
            if plan.pause and len(steps) == plan.pause:
                break
            steps.append(record)
        return Trace.record(backend, database, plan.prompt, settings, steps, plan.changes, len(plan.given))

    def pack(self, run: Run, parent: Run | None = None) -> bytes:
        """What the stepper fetches of a run; without how long it took, so that it is the same whenever it is drawn."""
        kept = self.draw(run, parent)
        database = self._shelf.database(run.asked.database) if kept.trace.origin.database else None
        decoder = self._shelf.backend(run.asked.model)
        sources = arrivals.source_pictures(kept.trace, kept.picture, decoder, database)
        codes = self.draw(parent).trace.codes if parent else None
        patient = replace(sources, seconds=math.inf)  # all patches in their place, however long that takes
        return packing.pack_trace(kept.trace, kept.id, patient, None, kept.asked, codes)

    def atlas(self, model: str, database: str) -> bytes:
        """How all codes of a model look in the pictures of a database."""
        return looks_of(self._shelf.backend(model), self._shelf.database(database)).encoded()
