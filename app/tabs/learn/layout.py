"""What the tab "Learn" lays out: the words."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from app.tabs.parts import Parts

GLOSSARY = Path(__file__).parent / "learn.html"


def build(parts: Parts) -> None:
    """The glossary, and another way to start the tour."""
    text = GLOSSARY.read_text(encoding="utf-8")
    gr.HTML(html_template=text, js_on_load=None, elem_id="learn", apply_default_css=False)
