"""The page's head as a component."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradio.data_classes import GradioModel

from app.scripted import Scripted
from app.tabs.tab import Tab
from core.inputs.prompt import PromptLimit

FOLDER = Path(__file__).parent
MAX_SEED = 2**32 - 1


class TabData(GradioModel):
    """A tab as the list of shortcuts names it."""

    label: str
    key: str


SEED = f"Starts the random numbers, 0 to {MAX_SEED}. Runs that share it draw with the same luck."


def own_tips(limit: PromptLimit) -> dict[str, str]:
    """Tooltips of the page's own controls that name a limit; the others are in tips.js."""
    return {"#prompt": f"What to draw: {limit.words}. A style and a colour in it are heeded.", "#seed": SEED}


class HeadData(GradioModel):
    """What head.js receives: the tabs in their order, and their tooltips by selector."""

    tabs: list[TabData]
    tips: dict[str, str]


class Head(Scripted):
    """The head; the keys and tooltips of the page follow from its tabs."""

    data_model = HeadData

    def __init__(
        self, tabs: Sequence[Tab], limit: PromptLimit, elem_id: str = "page-head", render: bool = True
    ) -> None:
        self._tips = own_tips(limit)
        super().__init__(FOLDER / "head.html", FOLDER / "head.js", elem_id, render, value=tabs)

    def postprocess(self, value: Any) -> Any:
        """Tabs as HeadData."""
        tips = self._tips | {selector: text for tab in value for selector, text in tab.explained.items()}
        return HeadData(tabs=[TabData(label=tab.label, key=tab.key) for tab in value], tips=tips)
