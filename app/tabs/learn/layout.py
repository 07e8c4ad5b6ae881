"""What the tab "Learn" lays out: the words."""

from __future__ import annotations

import math
from pathlib import Path
from string import Template

import gradio as gr

from app.tabs.parts import Parts
from core.backends.protocol import Backend

GLOSSARY = Path(__file__).parent / "learn.html"


def build(parts: Parts) -> None:
    """The glossary, and another way to start the tour."""
    gr.HTML(
        html_template=glossary(parts.session.library.first), js_on_load=None, elem_id="learn", apply_default_css=False
    )


def glossary(backend: Backend) -> str:
    """The words, with the figures of a model; nothing of a visitor's is in them."""
    grid, codebook = backend.grid, backend.codebook
    return Template(GLOSSARY.read_text(encoding="utf-8")).substitute(
        codes=f"{codebook.size:,}",
        rows=grid.height,
        columns=grid.width,
        side=backend.pixels // grid.height,
        dimensions=codebook.vectors.shape[1],
        undecided=f"{math.log(codebook.size):.2f}",
    )
