"""Files that the browser saves at once."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from gradio.data_classes import FileData, GradioModel

from app.scripted import Scripted

FOLDER = Path(__file__).parent


class SavedData(GradioModel):
    """A file that the browser saves at once; once makes every one different from the last."""

    once: str
    file: FileData | None


class Saved(Scripted):
    """Saves what it is given on the visitor's disk: (name, bytes)."""

    data_model = SavedData

    def __init__(self, elem_id: str = "saved", render: bool = True) -> None:
        super().__init__(FOLDER / "saved.html", FOLDER / "saved.js", elem_id, render)

    def postprocess(self, value: Any) -> Any:
        """(name, bytes) as a file in Gradio's cache."""
        if not isinstance(value, tuple):
            return None
        name, data = value
        return SavedData(once=secrets.token_hex(8), file=self.cached(data, name))
