"""Pictures that go on from one patch in many ways as a Gradio component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio.data_classes import GradioModel
from pydantic import Field

from app.fan import Fan, Way, sentence, ways_of
from app.scripted import Message, Scripted, said
from app.sheets import Sheet

FOLDER = Path(__file__).parent


class WayData(GradioModel):
    """What came of one way; see `Way`."""

    id: str
    code: int
    chance: float
    differs: list[int]
    later: int


class FanData(Message):
    """What fan.js receives; see `Sheet` and `Fan`. The picture is base64; ways and sentence are of finished ones."""

    position: int = -1
    labels: list[str] = Field(default_factory=list)
    own: int = -1
    ways: list[WayData] = Field(default_factory=list)
    sentence: str = ""


class FanOut(Scripted):
    """Shows `Sheet`s of a `Fan`; its event "open" carries the id of a run and the position."""

    data_model = FanData

    def __init__(self, elem_id: str = "fan", render: bool = True) -> None:
        super().__init__(FOLDER / "fan.html", FOLDER / "fan.js", elem_id, render, events=["open"])

    def postprocess(self, value: Any) -> Any:
        """A `Sheet` or None as FanData."""
        if not isinstance(value, Sheet):
            return None
        if not isinstance(value.plan, Fan):
            return FanData(**said(value))
        made = value.plan
        ways = ways_of(made, value.runs) if value.runs else []
        return FanData(
            **said(value),
            position=made.position,
            labels=list(made.across),
            own=made.own,
            ways=[_way_data(way) for way in ways],
            sentence=sentence(made, ways) if ways else "",
        )


def _way_data(way: Way) -> WayData:
    return WayData(id=way.id, code=way.code, chance=way.chance, differs=list(way.differs), later=way.later)
