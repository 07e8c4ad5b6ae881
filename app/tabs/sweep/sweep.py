"""A grid of small pictures over two settings as a Gradio component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from app.scripted import Message, Scripted, said
from app.sheets import Sheet, changed_codes

FOLDER = Path(__file__).parent


class SweepData(Message):
    """What sweep.js receives; see `Sheet`. The picture is base64; ids and changed are those of the finished runs."""

    across: list[str] = Field(default_factory=list)
    down: list[str] = Field(default_factory=list)
    ids: list[str] = Field(default_factory=list)
    changed: list[int] = Field(default_factory=list)


class Sweep(Scripted):
    """Shows `Sheet`s; its event "open" carries the id of a run, "save" those of all and the columns."""

    data_model = SweepData

    def __init__(self, elem_id: str = "sweep", render: bool = True) -> None:
        super().__init__(FOLDER / "sweep.html", FOLDER / "sweep.js", elem_id, render, events=["open", "save"])

    def postprocess(self, value: Any) -> Any:
        """A `Sheet` or None as SweepData."""
        if not isinstance(value, Sheet):
            return None
        return SweepData(
            **said(value),
            across=list(value.plan.across),
            down=list(value.plan.down),
            ids=[run.id for run in value.runs],
            changed=changed_codes(value.runs) if value.runs else [],
        )
