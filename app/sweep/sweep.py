"""A grid of small pictures over two settings as a Gradio component."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from gradio.data_classes import GradioModel
from pydantic import Field

from app.scripted import Scripted, joined
from app.sheets import Sheet, changed_codes
from app.stepper import FOLDER as SHARED_FOLDER
from app.stepper import SHARED

FOLDER = Path(__file__).parent


class SweepData(GradioModel):
    """What sweep.js receives; see `Sheet`. The picture is base64; ids and changed are those of the finished runs."""

    run: int
    number: int
    state: str
    message: str = ""
    prompt: str = ""
    across: list[str] = Field(default_factory=list)
    down: list[str] = Field(default_factory=list)
    steps: int = 0
    height: int = 0
    width: int = 0
    picture: str = ""
    ids: list[str] = Field(default_factory=list)
    changed: list[int] = Field(default_factory=list)


class Sweep(Scripted):
    """Shows `Sheet`s; its event "open" carries the id of a run."""

    data_model = SweepData

    def __init__(self, elem_id: str = "sweep", render: bool = True) -> None:
        scripts = [*(SHARED_FOLDER / name for name in SHARED), FOLDER / "sweep.js"]
        super().__init__((FOLDER / "sweep.html").read_text(encoding="utf-8"), joined(scripts), elem_id, render)

    def postprocess(self, value: Any) -> Any:
        """A `Sheet` or None as SweepData."""
        if not isinstance(value, Sheet):
            return None
        return SweepData(
            run=value.run,
            number=value.number,
            state=value.state,
            message=value.message,
            prompt=value.prompt,
            across=list(value.plan.across),
            down=list(value.plan.down),
            steps=value.steps,
            height=value.grid.height,
            width=value.grid.width,
            picture=base64.b64encode(value.picture).decode(),
            ids=[run.id for run in value.runs],
            changed=changed_codes(value.runs) if value.runs else [],
        )
