"""The visitor's kept runs as a Gradio component."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradio.data_classes import GradioModel
from pydantic import Field

from app.plans import MOST_COMPARED
from app.rail.tree import Node, tree
from app.scripted import Scripted
from app.visits import MAX_NAME, Listed

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Kepts:
    """The runs of a visitor, the oldest first, and the ids of those that are compared (None: as they were)."""

    runs: Sequence[Listed]
    chosen: tuple[str, ...] | None = None


class RailRun(GradioModel):
    """One run: see `Node`; about is what the tooltip says, picture is base64."""

    id: str
    name: str
    parent: str
    level: int
    tags: list[str]
    about: str
    picture: str


class RailData(GradioModel):
    """What rail.js receives: the runs, each after its parent; see `Kepts`."""

    runs: list[RailRun] = Field(default_factory=list)
    chosen: list[str] | None = None
    most_compared: int = MOST_COMPARED
    longest_name: int = MAX_NAME


class Rail(Scripted):
    """Shows `Kepts`.

    Its events carry ids of runs: "show" (with the position to stand at), "rename" (with the name), "drop", and "pick",
    all that are to be compared, in their order.
    """

    data_model = RailData

    def __init__(self, elem_id: str = "rail", render: bool = True) -> None:
        events = ["show", "rename", "drop", "pick"]
        super().__init__(FOLDER / "rail.html", FOLDER / "rail.js", elem_id, render, events=events)

    def postprocess(self, value: Any) -> Any:
        """`Kepts` or None as RailData."""
        if not isinstance(value, Kepts):
            return None
        by_id = {run.id: run for run in value.runs}
        runs = [railed(node, by_id[node.id]) for node in tree(value.runs)]
        return RailData(runs=runs, chosen=None if value.chosen is None else list(value.chosen))


def railed(node: Node, run: Listed) -> RailRun:
    """A run as the rail shows it."""
    return RailRun(
        id=node.id,
        name=node.name,
        parent=node.parent,
        level=node.level,
        tags=list(node.tags),
        about=node.about,
        picture=base64.b64encode(run.picture).decode(),
    )
