"""The guided tour over a recorded run, which needs no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import GradioModel

from app.scripted import Scripted
from app.session import Session
from app.tabs.learn.recording import TOUR_ID, Recording
from app.tabs.parts import Parts, tab, visitor
from app.views import Update
from core.types import ArragError

FOLDER = Path(__file__).parent


class TourData(GradioModel):
    """What tour.js receives: which run the stops belong to, and a number that makes every start a new one."""

    number: int
    run: str
    stops: list[dict[str, Any]]


class Tour(Scripted):
    """The tour's card; it points at parts of the page, and is only text and buttons."""

    data_model = TourData

    def __init__(self, elem_id: str = "tour", render: bool = True) -> None:
        super().__init__(FOLDER / "tour.html", FOLDER / "tour.js", elem_id, render)


def guide(parts: Parts, start: gr.Button) -> None:
    """The tour itself, beside all tabs."""
    tour = Tour()
    start.click(
        on_tour(parts.session),
        outputs=[parts.stepper, parts.shown, tour],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


@lru_cache(maxsize=1)
def recording() -> Recording:
    """What was recorded for the tour."""
    return Recording.load()


def on_tour(session: Session) -> Callable[[gr.Request], tuple[Update, Any, Any]]:
    """The handler that opens the recorded run and starts the tour."""

    def start(request: gr.Request) -> tuple[Update, Any, Any]:
        try:
            found = recording()
        except ArragError as error:
            return session.presenting.refusal(error), gr.skip(), gr.skip()
        update = session.opening.recorded(visitor(request), found.update, tab(request))
        return update, "", TourData(number=update.run, run=TOUR_ID, stops=[asdict(stop) for stop in found.stops])

    return start
