"""What the tab "Sources" lays out.

It lives in the browser: the stepper holds the trace, with the provenance that app/sources.py put into it.
"""

from __future__ import annotations

from pathlib import Path

from app.scripted import Scripted
from app.tabs.parts import Parts

FOLDER = Path(__file__).parent


class Sources(Scripted):
    """Shows the sources of the picture in the stepper."""

    def __init__(self, elem_id: str = "sources", render: bool = True) -> None:
        super().__init__(FOLDER / "sources.html", FOLDER / "sources.js", elem_id, render)


def build(parts: Parts) -> None:
    """Lay out the tab; it has no events of the server."""
    Sources()
