"""Files that the browser saves at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, GradioModel

from app.handed import Files
from app.presenting import error_message
from app.scripted import Scripted, fetched
from app.tabs.parts import READS, recovers, visitor

FOLDER = Path(__file__).parent


class SavedData(GradioModel):
    """A file that the browser saves at once, or why there is none; once makes every one different from the last."""

    once: str
    file: FileData | None
    problem: str = ""


class Saved(Scripted):
    """Saves what it is given on the visitor's disk, (visitor, name, bytes), or tells the page why not: a text."""

    data_model = SavedData

    def __init__(self, elem_id: str, files: Files | None = None, render: bool = True) -> None:
        super().__init__(FOLDER / "saved.html", FOLDER / "saved.js", elem_id, render)
        self._files = files or Files()

    def postprocess(self, value: Any) -> Any:
        """(visitor, name, bytes) as a file to be fetched."""
        once = secrets.token_hex(8)
        if isinstance(value, str):
            return SavedData(once=once, file=None, problem=value)
        if not isinstance(value, tuple):
            return None
        who, name, data = value
        return SavedData(once=once, file=fetched(self._files, who, data, name))


def saves(files: Files, component: Any, make: Callable[[str, gr.EventData], tuple[str, bytes]]) -> None:
    """The component's event "save" makes a file and saves it; make: of a visitor and what the script sent.

    It waits with those that run a model: pictures are decoded by one.
    """

    def save(event: gr.EventData, request: gr.Request) -> tuple[str, str, bytes] | str:
        try:
            who = visitor(request)
            return who, *make(who, event)
        except Exception as error:
            return error_message(error)

    saved = component.save(
        save,
        outputs=Saved(f"{component.elem_id}-saved", files),
        **READS,
        trigger_mode="multiple",
        show_progress="hidden",
        api_visibility="private",
    )
    recovers(saved, component)
