"""Runs side by side as a Gradio component: small updates while they are drawn, then one file for each run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from app.handed import Files
from app.scripted import Message, Scripted, fetched, said
from app.sheets import Comparison, Sheet

FOLDER = Path(__file__).parent


class RunData(GradioModel):
    """One run: its id, in what it differs from the others, and its packed trace."""

    id: str
    label: str
    file: FileData


class CompareData(Message):
    """What compare.js receives; see `Sheet` and `Comparison`. The picture is base64, the files are fetched once."""

    labels: list[str] = Field(default_factory=list)
    runs: list[RunData] = Field(default_factory=list)
    atlas: FileData | None = None


class Compare(Scripted):
    """Shows `Sheet`s of one row and `Comparison`s; its event "open" carries the id of a run, "save" those of all."""

    data_model = CompareData

    def __init__(self, files: Files | None = None, elem_id: str = "compare", render: bool = True) -> None:
        super().__init__(FOLDER / "compare.html", FOLDER / "compare.js", elem_id, render, events=["open", "save"])
        self._files = files or Files()

    def postprocess(self, value: Any) -> Any:
        """A `Sheet`, a `Comparison` or None as CompareData, its files to be fetched."""
        if isinstance(value, Sheet):
            return CompareData(**said(value), labels=list(value.plan.across))
        if isinstance(value, Comparison):
            files = [(found, fetched(self._files, value.owner, found.file, "trace.bin")) for found in value.compared]
            return CompareData(
                run=value.run,
                number=value.number,
                state=value.state,
                message=value.message,
                prompt=value.prompt,
                runs=[RunData(id=found.id, label=found.label, file=file) for found, file in files if file],
                atlas=fetched(self._files, value.owner, value.atlas, "atlas.webp"),
            )
        return None
