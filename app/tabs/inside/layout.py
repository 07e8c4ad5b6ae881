"""What the tab "Inside" lays out, and its events: look inside once for a run, then ask about positions.

What runs a model goes through the model queue: the pass over the run, and the pictures of patches. What is there of one
position is a plain call, which reads what was seen.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app import inside
from app.presenting import error_message
from app.scripted import Scripted
from app.session import Session
from app.tabs.parts import READS, Parts, recovers, tab, visitor
from app.tabs.together import sent
from core.types import ArragError, ConfigError

FOLDER = Path(__file__).parent
LONGEST_NAME = 200
Answer = dict[str, Any]


class Inside(Scripted):
    """Shows attention and lens of the position where the stepper stands; see inside.js for what it is sent."""

    def __init__(
        self, elem_id: str = "inside", render: bool = True, *, at: Callable[[object], Answer] | None = None
    ) -> None:
        super().__init__(
            FOLDER / "inside.html", FOLDER / "inside.js", elem_id, render,
            events=["look", "patches", "keep"], served=[at] if at else [],
        )  # fmt: skip


def build(parts: Parts) -> None:
    """Lay the tab out and wire its events."""
    panel: Any = Inside(at=at_of(parts.session))
    quiet: Answer = {"outputs": panel, "show_progress": "hidden", "api_visibility": "private"}
    runs: Answer = {**quiet, **READS}
    for event, handler in ((panel.look, on_look), (panel.patches, on_patches), (panel.keep, on_keep)):
        recovers(event(handler(parts.session), trigger_mode="always_last", **runs), panel)


def at_of(session: Session) -> Callable[[object], Answer]:
    """What the script calls for one position: a plain call, as an event takes several times as long."""

    def at(asked: object) -> Answer:
        wish = asked if isinstance(asked, dict) else {}
        try:
            found = session.looking.seen(name(wish.get("run")))
            if found is None:
                return {"missing": True}
            position, layer, head = (number(wish, part) for part in ("step", "layer", "head"))
            if position is None:
                raise ConfigError("step: got none, expected a position; reload the page")
            return inside.answer(*found, position, layer, head)
        except ArragError as error:
            return {"error": str(error)}

    return at


def on_look(session: Session) -> Callable[..., Answer]:
    """The handler that looks inside of a run."""

    def look(event: gr.EventData, request: gr.Request) -> Answer:
        who = visitor(request)

        def seen(run: str) -> Answer:
            session.looking.look(who, run, tab(request))
            return {"quick": session.looking.is_quick(who, run)}

        return told(session, "look", sent(event, "run"), seen)

    return look


def on_patches(session: Session) -> Callable[..., Answer]:
    """The handler that shows what stages would draw at a position, as patches in their place."""

    def patches(event: gr.EventData, request: gr.Request) -> Answer:
        step = sent(event, "step")

        def shown(run: str) -> Answer:
            at = number({"step": step}, "step")
            made = session.looking.patches(visitor(request), run, -1 if at is None else at, tab(request))
            picture = base64.b64encode(made.picture).decode()
            return {"step": step, "codes": made.codes, "corner": list(made.corner), "picture": picture}

        return told(session, "patches", sent(event, "run"), shown)

    return patches


def on_keep(session: Session) -> Callable[..., Answer]:
    """The handler that puts what was seen into the trace of the run."""

    def keep(event: gr.EventData, request: gr.Request) -> Answer:
        def kept(run: str) -> Answer:
            session.looking.keep(visitor(request), run, tab(request))
            return {}

        return told(session, "keep", sent(event, "run"), kept)

    return keep


def told(session: Session, kind: str, run: object, work: Callable[[str], Answer]) -> Answer:
    """What came of some work on a run, or why nothing did; the number makes it another value than the last one."""
    answer: Answer = {"kind": kind, "run": run if isinstance(run, str) else "", "number": session.runs.number()}
    try:
        return {**answer, **work(name(run))}
    except Exception as error:
        return {**answer, "error": error_message(error)}


def name(value: object) -> str:
    """The id of a run; ConfigError for anything else."""
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise ConfigError(f"run: got {value!r:.40}, expected a short text; reload the page")
    return value


def number(asked: Answer, part: str) -> int | None:
    """A number of what was asked, None for none; ConfigError for anything else."""
    value = asked.get(part)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ConfigError(f"{part}: got {value!r:.40}, expected a whole number; reload the page")
    return value
