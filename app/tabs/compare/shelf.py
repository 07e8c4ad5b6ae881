"""The visitor's kept runs as a Gradio component, to choose those that are compared."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradio.data_classes import GradioModel
from pydantic import Field

from app.plans import brief
from app.scripted import Scripted
from app.visits import Kept

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Kepts:
    """The runs of a visitor, the oldest first, and the ids of those that are chosen; None leaves these as they are."""

    runs: Sequence[Kept]
    chosen: tuple[str, ...] | None = None


class ShelfRun(GradioModel):
    """One run: id, name, a few words about it, and its picture in base64."""

    id: str
    name: str
    label: str
    picture: str


class ShelfData(GradioModel):
    """What shelf.js receives; see `Kepts`."""

    runs: list[ShelfRun] = Field(default_factory=list)
    chosen: list[str] | None = None


class Shelf(Scripted):
    """Shows `Kepts`; its event "pick" carries the ids of the chosen runs."""

    data_model = ShelfData

    def __init__(self, elem_id: str = "shelf", render: bool = True) -> None:
        super().__init__(FOLDER / "shelf.html", FOLDER / "shelf.js", elem_id, render, events=["pick"])

    def postprocess(self, value: Any) -> Any:
        """`Kepts` or None as ShelfData."""
        if not isinstance(value, Kepts):
            return None
        runs = [
            ShelfRun(id=run.id, name=run.name, label=brief(run), picture=base64.b64encode(run.picture).decode())
            for run in value.runs
        ]
        return ShelfData(runs=runs, chosen=None if value.chosen is None else list(value.chosen))
