"""The tab that compares runs: those that are chosen in the rail, or several that are drawn together for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr

from app import controls, plans
from app.library import Library
from app.plans import Batch
from app.rail.rail import Kepts
from app.session import Session
from app.sheets import Comparison, Sheet
from app.tabs.compare.compare import Compare
from app.tabs.parts import Parts, tab, visitor
from app.tabs.together import draws, opens, savable, sent, stops
from app.views import Asked

Planning = Callable[[Library, Asked], Batch]
CHOICES: Mapping[str, tuple[str, Planning]] = {
    "Compare methods": ("compare-methods", lambda library, asked: plans.methods_plan(asked, library.methods)),
    "Compare λ": ("compare-weights", lambda library, asked: plans.weights_plan(asked)),
    "Compare databases": (
        "compare-databases",
        lambda library, asked: plans.databases_plan(asked, tuple(library.databases)),
    ),
    "Compare models": ("compare-models", lambda library, asked: plans.models_plan(asked, tuple(library.backends))),
}
"""What can be drawn and compared with one click: by the button's text, its id and the plan."""


def build(parts: Parts) -> None:
    """Buttons that draw, and the comparison."""
    session, library = parts.session, parts.session.library
    several = {
        "compare-methods": len(library.methods),
        "compare-weights": len(library.methods),
        "compare-databases": len(library.databases),
        "compare-models": len(library.backends),
    }
    with gr.Row(elem_id="compare-ask", elem_classes="tab-ask"):
        buttons = [
            (gr.Button(text, size="sm", min_width=0, scale=0, elem_id=name, visible=several[name] > 1), plan)
            for text, (name, plan) in CHOICES.items()
        ]
        stop = gr.Button("Stop", size="sm", min_width=0, scale=0, elem_id="compare-stop")
    compare = Compare(session.files)
    for button, planning in buttons:
        draws(parts, button, on_draw(session, planning), inputs=[], outputs=[compare, parts.rail])
    stops(parts, stop)
    parts.rail.pick(
        on_pick(session),
        outputs=compare,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )
    opens(parts, compare)
    savable(parts, compare, "compared")


def on_draw(session: Session, planning: Planning) -> Callable[..., Iterator[tuple[Sheet | Comparison, Any]]]:
    """The handler that draws several runs and compares them."""

    def draw(request: gr.Request, prompt: str, *values: Any) -> Iterator[tuple[Sheet | Comparison, Any]]:
        who = visitor(request)

        def plan() -> Batch:
            return planning(session.library, controls.asked_from(values))

        for answer in session.drawing.draw_compared(who, prompt, plan, tab(request)):
            chosen = tuple(run.id for run in answer.compared) if isinstance(answer, Comparison) else ()
            yield answer, Kepts(session.visits.runs(who), chosen) if chosen else gr.skip()

    return draw


def on_pick(session: Session) -> Callable[[gr.EventData, gr.Request], Comparison]:
    """The handler of a choice in the rail."""

    def pick(event: gr.EventData, request: gr.Request) -> Comparison:
        return session.presenting.compare(visitor(request), sent(event, "runs"))

    return pick
