"""What tabs with several pictures have in common: draw them with one click, open one of them in the stepper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from app.session import Session
from app.share.making import several
from app.share.saved import saves
from app.sheets import Sheet
from app.tabs.parts import DRAWS, Parts, on_stop, recovers, tab, visitor
from app.views import Update

SHOW_STEPPER = """
() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  document.querySelector("#stepper").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
}
"""


def draws(
    parts: Parts, button: gr.Button, draw: Callable[..., Any], inputs: Sequence[Component], outputs: Sequence[gr.HTML]
) -> None:
    """The button answers at once in the first output, and then draws.

    draw: a generator handler that takes the request, the prompt, the values of `inputs` and those of the settings.
    """
    begun = button.click(
        on_begin(parts.session),
        inputs=parts.prompt,
        outputs=outputs[0],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    drawn = begun.then(
        draw,
        inputs=[parts.prompt, *inputs, *parts.settings.inputs],
        outputs=list(outputs),
        **DRAWS,
        trigger_mode="multiple",
        show_progress="hidden",
        api_visibility="private",
    )
    for event in (begun, drawn):
        recovers(event, outputs[0], f"#{button.elem_id}")


def stops(parts: Parts, button: gr.Button) -> None:
    """The button ends what is being drawn, without waiting in the queue."""
    button.click(on_stop(parts.session), queue=False, show_progress="hidden", api_visibility="private")


def opens(parts: Parts, component: Any) -> None:
    """The component's event "open" puts the run that it names into the stepper and goes there."""
    opened = component.open(
        on_open(parts.session),
        outputs=[parts.stepper, parts.shown],
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )
    opened.then(None, js=SHOW_STEPPER, api_visibility="private")


def savable(parts: Parts, component: Any, what: str) -> None:
    """The component's event "save" saves a figure of the runs that it names, in as many columns as it says."""
    session = parts.session
    saves(
        session.files,
        component,
        lambda who, event: several(session, who, what, sent(event, "runs"), sent(event, "columns")),
    )


def on_begin(session: Session) -> Callable[[str, gr.Request], Sheet]:
    """The handler of a button's first, immediate part."""

    def begin(prompt: str, request: gr.Request) -> Sheet:
        return session.drawing.begin_together(visitor(request), prompt, tab(request))

    return begin


def on_open(session: Session) -> Callable[[gr.EventData, gr.Request], tuple[Update, Any]]:
    """The handler of "open", which names a run, and may name a step."""

    def open_run(event: gr.EventData, request: gr.Request) -> tuple[Update, Any]:
        step = sent(event, "step")
        update = session.opening.open(visitor(request), str(sent(event, "run")), step if isinstance(step, int) else -1)
        return update, update.kept or gr.skip()

    return open_run


def sent(event: gr.EventData, name: str) -> Any:
    """What a component's script sent with an event; None for what it did not send."""
    return event._data.get(name) if isinstance(event._data, dict) else None
