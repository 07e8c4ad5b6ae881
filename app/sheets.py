"""What the page is told of several pictures: while they are drawn together, and when they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from app.plans import Batch
from app.views import State
from app.visits import Kept
from core.types import Grid


@dataclass(frozen=True, slots=True)
class Sheet:
    """One message about pictures that are drawn together; `run`, `number` and `state` as in `Update`.

    plan: what is drawn, with the headings; before: the codes that all of them began with; steps: how many positions
    they have on average; counts: how many each has, in the order of the plan; picture: all of them so far in one
    encoded picture, in the rows of the plan; runs: the finished ones, in that order.
    """

    run: int
    number: int
    state: State
    message: str = ""
    prompt: str = ""
    plan: Batch = field(default_factory=lambda: Batch((), ()))
    before: tuple[int, ...] = ()
    steps: int = 0
    counts: tuple[int, ...] = ()
    grid: Grid = field(default_factory=lambda: Grid(16, 16))
    picture: bytes = b""
    runs: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """One run of a comparison: its id, in what it differs from the others, and its packed trace."""

    id: str
    label: str
    file: bytes


@dataclass(frozen=True, slots=True)
class Comparison:
    """Finished runs side by side; `run`, `number`, `state`, `owner` as in `Update`, atlas the pictures of all codes."""

    run: int
    number: int
    state: State
    message: str = ""
    prompt: str = ""
    compared: tuple[Compared, ...] = ()
    atlas: bytes = b""
    owner: str = ""


def changed_codes(runs: Sequence[Kept]) -> list[int]:
    """For each run, how many of its codes differ from those of the first run at the same positions."""
    first = runs[0].trace.codes
    codes = [run.trace.codes for run in runs]
    return [int(np.count_nonzero(mine[: len(first)] != first[: len(mine)])) for mine in codes]
