"""The stepper as a Gradio component: sends small updates while drawing and one file with the whole trace at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio.data_classes import FileData

from app.handed import Files
from app.scripted import Message, Scripted, fetched, said
from app.views import Update

FOLDER = Path(__file__).parent


class StepperData(Message):
    """What stepper.js receives; see `Update`. The picture is base64, the files are fetched once."""

    step: int = -1
    file: FileData | None = None
    atlas: FileData | None = None


class Stepper(Scripted):
    """Shows `Update`s."""

    data_model = StepperData

    def __init__(self, files: Files | None = None, elem_id: str = "stepper", render: bool = True) -> None:
        super().__init__(FOLDER / "stepper.html", FOLDER / "stepper.js", elem_id, render)
        self._files = files or Files()

    def postprocess(self, value: Any) -> Any:
        """An `Update` (or None) as StepperData, its files to be fetched."""
        if not isinstance(value, Update):
            return None
        return StepperData(
            **said(value),
            step=value.step,
            file=fetched(self._files, value.owner, value.file, "trace.bin"),
            atlas=fetched(self._files, value.owner, value.atlas, "atlas.webp"),
        )
