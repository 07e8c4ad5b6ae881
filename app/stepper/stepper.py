"""The stepper as a Gradio component: sends small updates while drawing and one file with the whole trace at the end."""

from __future__ import annotations

import base64
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, GradioModel
from gradio.processing_utils import save_bytes_to_cache

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


class Stepper(gr.HTML):
    """Shows `Update`s; the template is constant, so that no text of a visitor is ever evaluated."""

    data_model = StepperData

    def __init__(self, elem_id: str = "stepper") -> None:
        super().__init__(
            value=None,
            html_template=template(),
            js_on_load=script(),
            elem_id=elem_id,
            apply_default_css=False,
        )

    def postprocess(self, value: Any) -> Any:
        """An `Update` (or None) as StepperData, its files in Gradio's cache.

        The folders of the cache are named by a hash of the content, and a trace holds a random id: nobody can guess it.
        """
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
            file=self._cached(value.file, "trace.bin"),
            atlas=self._cached(value.atlas, "atlas.webp"),
        )

    def _cached(self, data: bytes, name: str) -> FileData | None:
        """A file in Gradio's cache, or None without data."""
        return FileData(path=save_bytes_to_cache(data, name, self.GRADIO_CACHE)) if data else None

    def preprocess(self, payload: Any) -> None:
        """The stepper is never an input."""

    def api_info(self) -> dict[str, Any]:
        """Schema for the API page."""
        return {"type": "object"}
