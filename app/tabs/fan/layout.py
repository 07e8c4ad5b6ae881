"""The tab that goes on from the stepper's position in many ways: which ways, the buttons, and the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.fan import KINDS, MOST, fan
from app.session import Session
from app.sheets import Sheet
from app.tabs.fan.fan import FanOut
from app.tabs.parts import DRAWS, Parts, recovers, tab, visitor
from app.tabs.together import on_begin, opens, stops

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
USUAL = 12
HERE = """
(run, step, ...chosen) => {
  const { loupe } = document.querySelector("#stepper") ?? {};
  return [loupe?.trace?.id ?? "", loupe?.step ?? -1, ...chosen];
}
"""
"""Puts the run and the step of the stepper into the first two inputs."""


def build(parts: Parts) -> None:
    """In what the ways differ, the buttons, and the pictures."""
    choices: list[str | int | float | tuple[str, str | int | float]] = [(said[0], kind) for kind, said in KINDS.items()]
    with gr.Row(elem_id="fan-ask", elem_classes="tab-ask", equal_height=False):
        kind = gr.Radio(choices, value="codes", label="What differs", elem_id="fan-kind", elem_classes="lp-pick")
        count = gr.Slider(2, MOST, value=USUAL, step=1, label="How many", elem_id="fan-count", buttons=[],
                          elem_classes="lp-knob", scale=0, min_width=150)  # fmt: skip
        draw = gr.Button("Draw all", variant="primary", size="sm", min_width=0, scale=0, elem_id="fan-draw")
        stop = gr.Button("Stop", size="sm", min_width=0, scale=0, elem_id="fan-stop")
    run, step = gr.Textbox("", visible=False), gr.Number(-1, precision=0, visible=False)
    pictures = FanOut()
    begun = draw.click(on_begin(parts.session), inputs=parts.prompt, outputs=pictures, queue=False, **QUIET)
    drawn = begun.then(
        on_draw(parts.session), [run, step, kind, count], pictures, js=HERE, trigger_mode="multiple", **DRAWS, **QUIET,
    )  # fmt: skip
    for event in (begun, drawn):
        recovers(event, pictures, "#fan-draw")
    stops(parts, stop)
    opens(parts, pictures)


def on_draw(session: Session) -> Callable[..., Iterator[Sheet]]:
    """The handler that draws all ways of going on."""

    def draw(request: gr.Request, run: str, step: float | None, kind: str, count: float | None) -> Iterator[Sheet]:
        at, many = int(-1 if step is None else step), int(count or 0)
        yield from session.drawing.draw_fan(
            visitor(request), str(run), lambda kept: fan(kept, at, kind, many), tab(request)
        )

    return draw
