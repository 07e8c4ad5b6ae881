"""Components of the page that are a script over a constant template: they only show what they are sent."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, GradioModel

from app.delivery import loader
from app.handed import Files
from app.plain import plain
from app.sheets import Sheet
from app.views import Update


class Message(GradioModel):
    """What all components that draw receive: see `Update`, whose fields these are. The picture is base64."""

    run: int
    number: int
    state: str
    message: str = ""
    prompt: str = ""
    steps: int = 0
    height: int = 0
    width: int = 0
    counts: list[int] = []  # noqa: RUF012  # pydantic copies it
    picture: str = ""


def said(value: Update | Sheet) -> dict[str, Any]:
    """The fields of a `Message` from what the server says."""
    return {
        "run": value.run,
        "number": value.number,
        "state": value.state,
        "message": plain(value.message),
        "prompt": value.prompt or "",  # an event that is not the page's may bring none
        "steps": value.steps,
        "counts": list(value.counts) if isinstance(value, Sheet) else [],
        "height": value.grid.height,
        "width": value.grid.width,
        "picture": base64.b64encode(value.picture).decode(),
    }


def fetched(files: Files, owner: str, data: bytes, name: str) -> FileData | None:
    """A file that the page of its owner fetches at once, or None without data."""
    return FileData(path=files.put(owner, data, name, once=True)) if data else None


class Scripted(gr.HTML):
    """A gr.HTML whose template is constant, so that no text of a visitor is ever evaluated.

    template, script: files of its elements and of its module, which the loader of `app.delivery` imports; events: what
    the module may trigger; served: what it may call on the server. Whenever an event skips a component, Gradio makes it
    anew from its constructor's arguments, with `render` False.
    """

    def __init__(
        self,
        template: Path,
        script: Path,
        elem_id: str,
        render: bool,
        *,
        events: Sequence[str] = (),
        served: Sequence[Callable[..., Any]] = (),
        value: Any = None,
    ) -> None:
        super().__init__(
            value=value,
            html_template=template.read_text(encoding="utf-8"),
            js_on_load=loader(script, events),
            elem_id=elem_id,
            apply_default_css=False,
            render=render,
            server_functions=list(served) or None,
        )

    def preprocess(self, payload: Any) -> None:
        """It is never an input."""

    def api_info(self) -> dict[str, Any]:
        """Schema for the API page."""
        return {"type": "object"}
