"""What a tab gets from the page, who is asking, and how an event draws."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app import controls
from app.controls import Controls
from app.examples import Tile
from app.hint import Hint
from app.pace import pause_after
from app.presence import visitors_of
from app.rail.rail import Rail
from app.session import Session
from app.stepper.stepper import Stepper
from app.strength import Strength
from app.views import Update

DRAWS: Mapping[str, Any] = {"concurrency_id": "draws", "concurrency_limit": None}
"""Of every event that draws: they wait in `app.decoding`, where it is known what for and how long."""

BRINGS: Mapping[str, Any] = {"concurrency_id": "brings", "concurrency_limit": 8}
"""Of every event that takes a visitor's pictures: they take turns, slice by slice."""

READS: Mapping[str, Any] = {"concurrency_id": "reads", "concurrency_limit": 2}
"""Of every event that runs a model in its own thread: together they get no more than so many at once."""

FROM = "Model, database, seed and settings are those of %s."
"""What is told of settings that something else than the visitor's hand has set."""

FAILED = """
() => document.querySelector("#%s").loupe?.fail(
  "unreached" in document.documentElement.dataset
    ? "The server cannot be reached. Try again when it can."
    : "The server did not take this: a setting is out of its range, or too much waits there. Check them and try again.",
  "%s")
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


def tab(request: gr.Request) -> str:
    """Which tab of a browser, or which client of a script, is asking."""
    return str(request.session_hash)


def visitor(request: gr.Request) -> str:
    """Who is asking: the name of a visit, which the tabs of one browser share."""
    visitors, who = visitors_of(request.request), tab(request)
    return visitors.of(who, request.client.host if request.client else "") if visitors else who


def on_stop(session: Session) -> Callable[[gr.Request], None]:
    """The handler of a Stop button: what the visitor has under way in this tab ends."""

    def stop(request: gr.Request) -> None:
        session.runs.stop(visitor(request), tab(request))

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
        **DRAWS,
        trigger_mode="multiple",
        show_progress="hidden",
        api_visibility="private",
    )
    recovers(started, parts.stepper, "#generate")
    recovers(drawn, parts.stepper, "#generate")


def recovers(event: Any, component: gr.HTML, again: str = "") -> None:
    """Where Gradio refuses an event before its handler runs, or loses it, the component waits for it no longer.

    again: selector of the button, or of the component, that does it once more; "" where nothing does.
    """
    event.failure(None, js=FAILED % (component.elem_id, again), api_visibility="private")


def on_begin(session: Session) -> Callable[[str, gr.Request], tuple[Update, int]]:
    """The handler of Generate's first, immediate part; the number of its answer tells its click from others."""

    def begin(prompt: str, request: gr.Request) -> tuple[Update, int]:
        update = session.drawing.begin(visitor(request), prompt, tab(request))
        return update, update.run

    return begin


def on_draw(session: Session) -> Callable[..., Iterator[tuple[Update, Any]]]:
    """The handler that draws; settings that do not fit become an update with the message."""

    def draw(
        request: gr.Request, begun: int | None, pace: str | None, prompt: str, *values: Any
    ) -> Iterator[tuple[Update, Any]]:
        who, here, pause = visitor(request), tab(request), pause_after(pace)
        drawn = session.drawing.draw(who, prompt, lambda: controls.asked_from(values), here, begun, pause)
        for update in drawn:
            yield update, update.kept or gr.skip()

    return draw
