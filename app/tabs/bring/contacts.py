"""The contact sheet of a visitor's pictures as a Gradio component: sent as one picture, never a file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from gradio.data_classes import GradioModel
from PIL import Image
from pydantic import Field

from app.pictures import RGB, encoded, table_of
from app.scripted import Scripted

FOLDER = Path(__file__).parent
SIDE: Final = 152
"""Of a picture in pixels: twice what it takes on the page, for screens of double density."""

COLUMNS: Final = 16
QUALITY: Final = 75


@dataclass(frozen=True, slots=True)
class Pictures:
    """A visitor's pictures [pixels, pixels, 3] with their captions, in the same order."""

    captions: Sequence[str] = ()
    images: Sequence[RGB] = ()


class ContactsData(GradioModel):
    """What contacts.js receives: captions, and all pictures, `columns` in a row, as one encoded picture in base64."""

    captions: list[str] = Field(default_factory=list)
    columns: int = COLUMNS
    sheet: str = ""


class Contacts(Scripted):
    """Shows `Pictures`; its event "draw" carries the caption of the one that was clicked."""

    data_model = ContactsData

    def __init__(self, elem_id: str = "bring-seen", render: bool = True) -> None:
        super().__init__(FOLDER / "contacts.html", FOLDER / "contacts.js", elem_id, render, events=["draw"])

    def postprocess(self, value: Any) -> Any:
        """`Pictures` or None as ContactsData."""
        if not isinstance(value, Pictures):
            return None
        if not value.images:
            return ContactsData()
        sheet = encoded(table_of(np.stack([_small(image) for image in value.images]), COLUMNS), QUALITY)
        return ContactsData(captions=list(value.captions), sheet=base64.b64encode(sheet).decode())


def _small(image: RGB) -> RGB:
    """A picture as it stands on the sheet; what is smaller keeps its hard edges."""
    method = Image.Resampling.LANCZOS if len(image) > SIDE else Image.Resampling.NEAREST
    small: RGB = np.asarray(Image.fromarray(image).resize((SIDE, SIDE), method), dtype=np.uint8)
    return small
