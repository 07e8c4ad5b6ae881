"""The suggestions below the prompt: the things that a database has pictures of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio.data_classes import GradioModel

from app.scripted import Scripted

FOLDER = Path(__file__).parent


class ThingsData(GradioModel):
    """What the script gets: the things, and what they are of, in words."""

    things: list[str]
    where: str


class Typeahead(Scripted):
    """Suggestions for the prompt, and a button that shows all of them."""

    data_model = ThingsData

    def __init__(self, value: Any = None, elem_id: str = "typeahead", render: bool = True) -> None:
        super().__init__(FOLDER / "typeahead.html", FOLDER / "typeahead.js", elem_id, render, value=value)

    def postprocess(self, value: Any) -> Any:
        """Things and where they are, as (things, where)."""
        return ThingsData(things=list(value[0]), where=value[1]) if value else None
