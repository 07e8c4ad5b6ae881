"""What the tab "What if" lays out, and its events: change one position, branch, and see what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app import branches, whatif
from app.delivery import loader
from app.sent import fields_of, position, text
from app.session import Session
from app.tabs.parts import DRAWS, Parts, recovers, tab, visitor
from core.types import ArragError, Change

FOLDER = Path(__file__).parent
STATE_SECONDS = 3600
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def build(parts: Parts) -> None:
    """Lay the tab out and wire its events."""
    served = (preview_of(parts.session), outcome_of(parts.session))
    panel = client("whatif", "whatif", ("branch", "choose"), *served, value=whatif.offers())
    wish = gr.State(None, time_to_live=STATE_SECONDS)
    for event in (panel.branch, panel.choose):
        started = event(on_wish(parts.session), outputs=[parts.stepper, wish], queue=False, **QUIET)
        drawn = started.then(
            on_branch(parts.session), wish, [parts.stepper, parts.shown], trigger_mode="multiple", **DRAWS, **QUIET,
        )  # fmt: skip
        for each in (started, drawn):
            recovers(each, parts.stepper, "#whatif")


def client(
    name: str, elem_id: str, events: Sequence[str], *served: Callable[..., Any], value: dict[str, Any] | None = None
) -> gr.HTML:
    """A component whose elements and behaviour are in two files of this folder; the template is constant.

    events: what its module may trigger; served: what it may call on the server; value: what it begins with.
    """
    return gr.HTML(
        value=value,
        html_template=(FOLDER / f"{name}.html").read_text(encoding="utf-8"),
        js_on_load=loader(FOLDER / f"{name}.js", events),
        elem_id=elem_id,
        apply_default_css=False,
        server_functions=list(served),
    )


def preview_of(session: Session) -> Callable[..., dict[str, Any]]:
    """What the script calls to know what a change would pick: a plain call, as an event takes twice the time."""

    def preview(asked: object) -> dict[str, Any]:
        wish = asked if isinstance(asked, dict) else {}
        try:
            kept = session.visits.known(text(wish, "run"))
            answer = whatif.answer(kept, position(wish), wish.get("change"))
            return {**answer, "can_blend": session.library.has_blenders(kept.asked.model)}
        except ArragError as error:
            return {"error": str(error)}

    return preview


def outcome_of(session: Session) -> Callable[..., dict[str, Any]]:
    """What the script calls to know in what a branch differs from the run that it came from, while that is kept."""

    def outcome(run: object) -> dict[str, Any]:
        try:
            kept = session.visits.known(str(run))
            return whatif.outcome(kept, session.visits.known(kept.parent))
        except ArragError as error:
            return {"error": str(error)}

    return outcome


def on_wish(session: Session) -> Callable[..., tuple[Any, Any]]:
    """The handler that checks what somebody wants to branch to, and answers at once."""

    def wish(event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        asked = fields_of(event)
        try:
            kept = session.visits.find(visitor(request), text(asked, "run"))
            if "code" in asked:
                count = len(kept.trace.steps)
                branches.onward(kept, "patch", Change(count, code=asked["code"]).code)
                return session.presenting.setting_out(kept, count), (kept.id, asked["code"])
            step = position(asked)
            change = whatif.wanted(whatif.trace_for(kept, step), step, asked.get("change"))
            branches.branch(kept, change)
            return session.presenting.setting_out(kept, step), (kept.id, change)
        except ArragError as error:
            return session.presenting.refusal(error), None

    return wish


def on_branch(session: Session) -> Callable[..., Iterator[tuple[Any, Any]]]:
    """The handler that draws what was wished for: a branch, or the next patch with a chosen code."""

    def branch(wish: tuple[str, Change | int] | None, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        if wish is None:
            yield gr.skip(), gr.skip()
            return
        run, what = wish
        who, here, drawing = visitor(request), tab(request), session.drawing
        updates = (
            drawing.branch(who, run, what, here)
            if isinstance(what, Change)
            else drawing.go_on(who, run, "patch", what, here)
        )
        for update in updates:
            yield update, update.kept or gr.skip()

    return branch
