"""The tab "Sources": which source images shaped the picture in the stepper, what each shaped, and what is copied.

It lives in the browser: the stepper holds the trace, with the provenance that app/sources.py put into it.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from app.stepper import FOLDER as STEPPER
from app.stepper import SHARED, joined
from app.tabs.parts import Parts

FOLDER = Path(__file__).parent


def build(parts: Parts) -> None:
    """Lay out the tab; it has no events of the server."""
    gr.HTML(html_template=template(), js_on_load=script(), elem_id="sources", apply_default_css=False)


def template() -> str:
    """The tab's elements; constant, because Gradio evaluates what is in a template."""
    return (FOLDER / "sources.html").read_text(encoding="utf-8")


def script() -> str:
    """The tab's code: the body of a function of `element`."""
    return joined([*SHARED, STEPPER / "sources.js", FOLDER / "sources.js"])
