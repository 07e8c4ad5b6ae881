"""The stepper as a Gradio component: sends small updates while drawing and one file with the whole trace at the end."""

from __future__ import annotations

import base64
from typing import Any

from gradio.data_classes import FileData, GradioModel

from app.scripted import Scripted
from app.stepper import script, template
from app.views import Update


class StepperData(GradioModel):
    """What stepper.js receives; see `Update`. The picture is base64, the files are fetched once."""

    run: int
    number: int
    state: str
    message: str = ""
    prompt: str = ""
    steps: int = 0
    height: int = 0
    width: int = 0
    step: int = -1
    picture: str = ""
    file: FileData | None = None
    atlas: FileData | None = None


class Stepper(Scripted):
    """Shows `Update`s."""

    data_model = StepperData

    def __init__(self, elem_id: str = "stepper", render: bool = True) -> None:
        super().__init__(template(), script(), elem_id, render)

    def postprocess(self, value: Any) -> Any:
        """An `Update` (or None) as StepperData, its files in Gradio's cache."""
        if not isinstance(value, Update):
            return None
        return StepperData(
            run=value.run,
            number=value.number,
            state=value.state,
            message=value.message,
            prompt=value.prompt,
            steps=value.steps,
            height=value.grid.height,
            width=value.grid.width,
            step=value.step,
            picture=base64.b64encode(value.picture).decode(),
            file=self.cached(value.file, "trace.bin"),
            atlas=self.cached(value.atlas, "atlas.webp"),
        )
