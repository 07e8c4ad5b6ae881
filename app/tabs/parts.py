"""What a tab gets from the page, who is asking, and how an event draws."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app import controls
from app.controls import Controls
from app.examples import Tile
from app.hint import Hint
from app.pace import pause_after
from app.rail.rail import Rail
from app.session import Session
from app.stepper.stepper import Stepper
from app.strength import Strength
from app.views import Update

MODEL_QUEUE = "model"
"""`concurrency_id` of every event that runs a model: together they get no more than CONCURRENT_RUNS at once."""

CONCURRENT_RUNS = 2

FROM = "Model, database, seed and settings are those of %s."
"""What is told of settings that something else than the visitor's hand has set."""

FAILED = """
() => document.querySelector("#%s").loupe?.fail(
  "The server did not take this: a setting is out of its range, or the connection was cut. Check them and try again.")
"""


@dataclass(frozen=True)
class Parts:
    """The parts of the page that tabs read and change.

    origin: says where the settings came from when the visitor did not choose them; shown: state with the id of the run
    in the stepper, "" before the first; opened: state with the name of the open tab; pace: how fast to draw (see
    `app.pace`); rail: the runs of the visit.
    """

    session: Session
    settings: Controls
    origin: Hint
    prompt: gr.Textbox
    stepper: Stepper
    shown: gr.State
    opened: gr.State
    pace: gr.Radio
    rail: Rail


def visitor(request: gr.Request) -> str:
    """Who is asking: one browser tab."""
    return str(request.session_hash)


def on_stop(session: Session) -> Callable[[gr.Request], None]:
    """The handler of a Stop button: what the visitor has under way ends."""

    def stop(request: gr.Request) -> None:
        session.runs.stop(visitor(request))

    return stop


def fills(parts: Parts, event: Callable[..., Any], tile: Tile) -> Any:
    """After an event, the widgets hold the prompt and the settings of a tile; returns what can be followed."""
    said = {"text": FROM % f"the example “{tile.label}”"}
    values = json.dumps([tile.prompt, *controls.values_of(tile.asked), said])
    outputs = [parts.prompt, *parts.settings.inputs, parts.origin]
    return event(None, outputs=outputs, js=f"() => {values}", api_visibility="private")


def follows(parts: Parts, event: Callable[..., Any], database: str, strength: Strength) -> Any:
    """After an event, the widgets hold a database and a strength; returns what can be followed."""
    widgets = parts.settings.widgets
    values = json.dumps([database, *strength.settings.values()])
    outputs = [widgets["database"], *(widgets[name] for name in strength.settings)]
    return event(None, outputs=outputs, js=f"() => {values}", api_visibility="private")


def draws(parts: Parts, event: Callable[..., Any]) -> None:
    """After an event, a picture is drawn from what the widgets hold; of several clicks, from the last one."""
    begun = gr.Number(visible=False, precision=0)
    started = event(
        on_begin(parts.session),
        inputs=parts.prompt,
        outputs=[parts.stepper, begun],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    drawn = started.then(
        on_draw(parts.session),
        inputs=[begun, parts.pace, parts.prompt, *parts.settings.inputs],
        outputs=[parts.stepper, parts.shown],
        concurrency_id=MODEL_QUEUE,
        concurrency_limit=CONCURRENT_RUNS,
        trigger_mode="multiple",
        show_progress="hidden",
        api_visibility="private",
    )
    recovers(drawn, parts.stepper)


def recovers(event: Any, component: gr.HTML) -> None:
    """Where Gradio refuses an event before its handler runs, or loses it, the component waits for it no longer."""
    event.failure(None, js=FAILED % component.elem_id, api_visibility="private")


def on_begin(session: Session) -> Callable[[str, gr.Request], tuple[Update, int]]:
    """The handler of Generate's first, immediate part; the number of its answer tells its click from others."""

    def begin(prompt: str, request: gr.Request) -> tuple[Update, int]:
        update = session.drawing.begin(visitor(request), prompt)
        return update, update.run

    return begin


def on_draw(session: Session) -> Callable[..., Iterator[tuple[Update, Any]]]:
    """The handler that draws; settings that do not fit become an update with the message."""

    def draw(
        request: gr.Request, begun: int | None, pace: str | None, prompt: str, *values: Any
    ) -> Iterator[tuple[Update, Any]]:
        who, pause = visitor(request), pause_after(pace)
        for update in session.drawing.draw(who, prompt, lambda: controls.asked_from(values), begun=begun, pause=pause):
            yield update, update.kept or gr.skip()

    return draw
