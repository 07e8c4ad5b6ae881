"""What the tab "Evaluation" lays out: a script that fetches the report when it is first seen."""

from __future__ import annotations

from pathlib import Path

from app.delivery import address
from app.scripted import Scripted
from app.tabs.parts import Parts

FOLDER = Path(__file__).parent
PLACE = f"tabs/{FOLDER.name}/report.json"


class Evaluation(Scripted):
    """Shows assets/evaluation/report.json, which `core evaluate publish` writes; it is sent where that is."""

    def __init__(self, elem_id: str = "evaluation", render: bool = True) -> None:
        super().__init__(FOLDER / "evaluation.html", FOLDER / "evaluation.js", elem_id, render, value=address(PLACE))


def build(parts: Parts) -> None:
    """Lay it out; it has no events."""
    Evaluation()
