"""The parts of the tab as Gradio components: held-out pictures to choose from, and the verdict with its maps."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gradio.data_classes import GradioModel
from pydantic import Field

from app.pictures import encoded, table_of
from app.reading import Given, MethodReading, Reading
from app.scripted import Scripted
from core.backends.protocol import Backend

FOLDER = Path(__file__).parent
THUMBNAIL = 64


class HeldOut(Scripted):
    """Offers held-out pictures; its event "take" carries the place of one."""

    def __init__(
        self,
        backend: Backend | None = None,
        pictures: Sequence[Given] = (),
        elem_id: str = "heldout",
        render: bool = True,
        value: Any = None,
    ) -> None:
        value = shelf_of(backend, pictures) if backend else value
        super().__init__(FOLDER / "heldout.html", FOLDER / "heldout.js", elem_id, render, events=["take"], value=value)


def shelf_of(backend: Backend, pictures: Sequence[Given]) -> dict[str, Any]:
    """What heldout.js takes: the pictures' captions, and all of them in one small encoded picture."""
    grids = np.array([given.codes for given in pictures], np.uint16).reshape(
        -1, backend.grid.height, backend.grid.width
    )
    images = backend.decode_codes(grids)
    step = max(images.shape[1] // THUMBNAIL, 1)
    small = images[:, : step * THUMBNAIL, : step * THUMBNAIL].astype(np.float32)
    side = small.shape[1] // step
    small = small.reshape(len(images), side, step, side, step, 3).mean(axis=(2, 4))
    sheet = encoded(table_of(small.round().astype(np.uint8), len(images)), quality=60)
    return {"captions": [given.prompt for given in pictures], "sheet": base64.b64encode(sheet).decode()}


@dataclass(frozen=True, slots=True)
class Said:
    """A message to the verdict: an error, how many patches are read, or what came of it."""

    message: str = ""
    steps: int = 0
    reading: Reading | None = None


class MethodData(GradioModel):
    """What one method made of the picture; see `MethodReading`."""

    name: str
    surprise: list[float]
    picks: list[int]
    nats: float
    change: float
    error: float
    word: str


class ReadingData(GradioModel):
    """What reading.js receives: see `Said` and `Reading`. The picture is base64."""

    state: str
    message: str = ""
    steps: int = 0
    run: str = ""
    prompt: str = ""
    sentence: str = ""
    about: str = ""
    height: int = 0
    width: int = 0
    codes: list[int] = Field(default_factory=list)
    picture: str = ""
    methods: list[MethodData] = Field(default_factory=list)


class Readings(Scripted):
    """Shows `Said`s: the verdict, by row and by patch."""

    data_model = ReadingData

    def __init__(self, elem_id: str = "image-maps", render: bool = True) -> None:
        super().__init__(FOLDER / "reading.html", FOLDER / "reading.js", elem_id, render)

    def postprocess(self, value: Any) -> Any:
        """A `Said` or None as ReadingData."""
        if not isinstance(value, Said):
            return None
        if value.reading is None:
            return ReadingData(state="error" if value.message else "reading", message=value.message, steps=value.steps)
        return read_data(value.reading)


def read_data(reading: Reading) -> ReadingData:
    """What came of a reading, for the page."""
    kept = reading.kept
    return ReadingData(
        state="ready",
        run=kept.id,
        prompt=reading.given.prompt,
        sentence=reading.sentence,
        about=reading.about,
        height=kept.trace.grid.height,
        width=kept.trace.grid.width,
        codes=kept.trace.codes.tolist(),
        picture=base64.b64encode(kept.picture).decode(),
        methods=[_method_data(method) for method in reading.methods],
    )


def _method_data(method: MethodReading) -> MethodData:
    verdict = method.verdict
    return MethodData(
        name=method.name,
        surprise=np.round(method.surprise, 4).tolist(),
        picks=list(method.picks),
        nats=verdict.nats,
        change=verdict.change,
        error=verdict.error,
        word=verdict.word,
    )
