"""The page's head: title, light and dark, the list of shortcuts, and the keys that work everywhere."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).parent


def head() -> gr.HTML:
    """The head as a component; its template is constant."""
    return gr.HTML(
        html_template=(FOLDER / "head.html").read_text(encoding="utf-8"),
        js_on_load=(FOLDER / "head.js").read_text(encoding="utf-8"),
        elem_id="page-head",
        apply_default_css=False,
    )
