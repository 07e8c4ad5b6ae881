"""One picture that is to be drawn, as it goes to whatever draws it: in names and numbers, for any process."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from app.branches import Plan
from app.views import Asked
from core.backends.protocol import Backend
from core.engine import Request
from core.patches.database import PatchDatabase
from core.patches.protocol import Database
from core.types import Change, StepRecord

Stepped = tuple[int, StepRecord]
"""Which of several pictures that were asked for together, and its next record."""


class Stock(Protocol):
    """The models and databases that jobs name; a `Library` is one."""

    def backend(self, name: str) -> Backend:
        """The model of that name; ConfigError when there is none."""
        ...

    def database(self, asked: Asked, theirs: Mapping[str, PatchDatabase]) -> Database:
        """The database that a request asks, among those of all and `theirs`; ConfigError without one."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Positions first..end-1 of a visitor's picture, whose codes before `first` are given.

    theirs: those databases of the visitor's own pictures that it may look into.
    """

    visitor: str
    prompt: str
    asked: Asked
    retrieves: bool
    end: int
    changes: tuple[Change, ...] = ()
    codes: tuple[int, ...] = ()
    first: int = 0
    theirs: Mapping[str, PatchDatabase] = field(default_factory=dict)
    likely: tuple[int, ...] = ()

    @classmethod
    def of(cls, visitor: str, plan: Plan, positions: int, theirs: Mapping[str, PatchDatabase]) -> Job:
        """What is left to do of a plan. One that is to pause is drawn for one position more, see `Kept.ahead`."""
        wanted = {name: found for name, found in theirs.items() if name == plan.asked.database and plan.retrieves}
        end = min(plan.pause + 1, positions) if plan.pause else positions
        codes, kept = tuple(plan.codes), len(plan.steps)
        return cls(
            visitor, plan.prompt, plan.asked, plan.retrieves, end, plan.changes, codes, kept, wanted, plan.likely
        )

    @property
    def positions(self) -> int:
        """How many are to be drawn."""
        return self.end - self.first

    def cut(self) -> Job:
        """The same for one position alone, which every picture has at least that was begun."""
        return replace(self, end=min(self.end, self.first + 1))

    def request(self, stock: Stock) -> Request:
        """The job with the model and the database themselves; ConfigError for a name that is none."""
        database = stock.database(self.asked, self.theirs) if self.retrieves else None
        backend = stock.backend(self.asked.model)
        settings, changes = self.asked.settings, self.changes
        return Request(backend, database, self.prompt, settings, changes, self.codes, likely=self.likely)

    def batch_key(self, stock: Stock) -> Hashable:
        """How the model runs; jobs with an equal one can be rows of one batch."""
        backend = stock.backend(self.asked.model)
        request = Request(backend, None, self.prompt, self.asked.settings, self.changes, self.codes)
        return (self.first, request.batch_key(self.first))
