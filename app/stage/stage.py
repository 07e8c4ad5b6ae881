"""The debugger's side of the stage: buttons, out of sight, that draw its runs anew so that everything works on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from app.examples import Tile
from app.library import Library
from app.session import Session
from app.stage.recording import example, strengths
from app.tabs.parts import DRAWS, Parts, draws, fills, recovers, tab, visitor
from app.views import Update
from core.types import Change

POSITION = "() => Number(document.documentElement.dataset.stagePosition ?? -1)"


def is_drawn_by(library: Library) -> bool:
    """Whether a server has the model of the example, so that the debugger can go on with it."""
    return example().asked.model in library.backends


def stage_buttons(parts: Parts) -> None:
    """One button for each recording of the stage, and one that turns look-ups off from a position on."""
    tile = example()
    if not is_drawn_by(parts.session.library):
        return
    with gr.Row(elem_id="stage-buttons"):
        for strength in strengths():
            button = gr.Button(strength.label, elem_id=f"stage-{strength.name}")
            asked = replace(tile.asked, settings=strength.settings)
            draws(parts, fills(parts, button.click, Tile(strength.label, tile.picture, tile.prompt, asked)).then)
        branch = gr.Button("Off from here", elem_id="stage-branch")
    position = gr.Number(visible=False, precision=0)
    asked_for = branch.click(None, outputs=position, js=POSITION, api_visibility="private")
    drawn = fills(parts, asked_for.then, tile).then(
        on_branch(parts.session),
        inputs=position,
        outputs=[parts.stepper, parts.shown],
        **DRAWS,
        trigger_mode="once",
        show_progress="hidden",
        api_visibility="private",
    )
    recovers(drawn, parts.stepper, "#stage-branch")


def on_branch(session: Session) -> Callable[[int | None, gr.Request], Iterator[tuple[Update, Any]]]:
    """The handler that draws the example, and then goes on from a position without look-ups."""

    def branch(position: int | None, request: gr.Request) -> Iterator[tuple[Update, Any]]:
        who, here, tile, kept = visitor(request), tab(request), example(), ""
        for update in session.drawing.draw(who, tile.prompt, lambda: tile.asked, here):
            kept = update.kept
            yield update, kept or gr.skip()
        if not kept:
            return
        off = Change(int(position or 0), settings=replace(tile.asked.settings, method="model"))
        for update in session.drawing.branch(who, kept, off, here):
            yield update, update.kept or gr.skip()

    return branch
