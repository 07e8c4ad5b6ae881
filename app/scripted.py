"""Components of the page that are a script over a constant template: they only show what they are sent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache


class Scripted(gr.HTML):
    """A gr.HTML whose template is constant, so that no text of a visitor is ever evaluated.

    The script is the body of a function of `element` (the mounted template), `props`, `watch` and `trigger`. Whenever
    an event skips a component, Gradio makes it anew from its constructor's arguments, with `render` False.
    """

    def __init__(self, template: str, script: str, elem_id: str, render: bool) -> None:
        super().__init__(
            value=None,
            html_template=template,
            js_on_load=script,
            elem_id=elem_id,
            apply_default_css=False,
            render=render,
        )

    def cached(self, data: bytes, name: str) -> FileData | None:
        """A file in Gradio's cache, or None without data.

        The folders of the cache are named by a hash of the content, and a trace holds a random id: nobody can guess it.
        """
        return FileData(path=save_bytes_to_cache(data, name, self.GRADIO_CACHE)) if data else None

    def preprocess(self, payload: Any) -> None:
        """It is never an input."""

    def api_info(self) -> dict[str, Any]:
        """Schema for the API page."""
        return {"type": "object"}


def joined(files: Iterable[Path]) -> str:
    """Scripts as one function body."""
    return '"use strict";\n' + "\n".join(file.read_text(encoding="utf-8") for file in files)
