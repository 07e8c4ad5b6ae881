"""The tab that sweeps two settings: a grid of small pictures, drawn in one run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app import controls
from app.plans import AXES, MOST_VALUES, Axis, sweep_plan
from app.session import Session
from app.sheets import Sheet
from app.tabs.parts import Parts, tab, visitor
from app.tabs.sweep.sweep import Sweep
from app.tabs.together import draws, opens, savable, stops


def build(parts: Parts) -> None:
    """Two settings with their values, the buttons, and the grid."""
    with gr.Row(elem_id="sweep-ask", elem_classes="tab-ask", equal_height=False):
        across, across_values = axis_widgets("Across", AXES[0], "sweep-across")
        down, down_values = axis_widgets("Down", AXES[1], "sweep-down")
        draw = gr.Button("Draw all", variant="primary", size="sm", min_width=0, scale=0, elem_id="sweep-draw")
        stop = gr.Button("Stop", size="sm", min_width=0, scale=0, elem_id="sweep-stop")
    sweep = Sweep()
    draws(parts, draw, on_draw(parts.session), inputs=[across, across_values, down, down_values], outputs=[sweep])
    stops(parts, stop)
    opens(parts, sweep)
    savable(parts, sweep, "sweep")


def axis_widgets(label: str, axis: Axis, elem_id: str) -> tuple[gr.Dropdown, gr.Textbox]:
    """Which setting, and its values; another setting brings its own values to begin with."""
    choices: list[str | int | float | tuple[str, str | int | float]] = [(found.name, found.field) for found in AXES]
    setting = gr.Dropdown(
        choices, value=axis.field, label=label, elem_id=elem_id, filterable=False, scale=0, min_width=200
    )
    values = gr.Textbox(
        texts()[axis.field],
        label=f"Values (up to {MOST_VALUES}, with commas)",
        elem_id=f"{elem_id}-values",
        max_length=100,
        scale=0,
        min_width=200,
    )
    setting.input(
        None, setting, values, js=f"(field) => ({json.dumps(texts())})[field] ?? ''", api_visibility="private"
    )
    return setting, values


def texts() -> dict[str, str]:
    """The values that each setting begins with, as they are typed."""
    return {axis.field: ", ".join(f"{value:g}" for value in axis.values) for axis in AXES}


def on_draw(session: Session) -> Callable[..., Iterator[Sheet]]:
    """The handler that draws the grid."""

    def draw(
        request: gr.Request, prompt: str, across: str, across_values: str, down: str, down_values: str, *values: Any
    ) -> Iterator[Sheet]:
        yield from session.drawing.draw_sweep(
            visitor(request),
            prompt,
            lambda: sweep_plan(controls.asked_from(values), across, across_values, down, down_values),
            tab(request),
        )

    return draw
