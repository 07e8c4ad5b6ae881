"""Link and files of the run in the stepper, beside its title, and the address bar, as a Gradio component."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import GradioModel

from app import links
from app.figures.words import caption
from app.presenting import error_message
from app.scripted import Scripted
from app.session import Session
from app.share.citation import BIBTEX
from app.share.command import command_of
from app.share.making import made
from app.share.saved import saves
from app.tabs.parts import Parts, visitor
from app.tabs.together import sent
from app.visits import Kept
from core.types import ConfigError, DecodeSettings

FOLDER = Path(__file__).parent
NO_RUN = "Draw something first."


class ShareData(GradioModel):
    """What share.js receives: the id of a run, the query of its link, and why there is none."""

    run: str
    query: str
    reason: str


class Share(Scripted):
    """Shows `ShareData`; its event "save" carries what to save of which run at which position."""

    data_model = ShareData

    def __init__(self, served: Sequence[Callable[..., Any]] = (), elem_id: str = "share", render: bool = True) -> None:
        super().__init__(FOLDER / "share.html", FOLDER / "share.js", elem_id, render, events=["save"], served=served)

    def postprocess(self, value: Any) -> Any:
        """ShareData as it is."""
        return value if isinstance(value, ShareData) else None


def share(parts: Parts) -> None:
    """Lay the component out, which stands in the stepper's head, and wire its events."""
    session = parts.session
    component = Share([words_of(session)])
    asked = ("kind", "run", "step")
    saves(session.files, component, lambda who, event: made(session, who, *(sent(event, name) for name in asked)))
    parts.shown.change(
        on_shown(session), parts.shown, component, queue=False, show_progress="hidden", api_visibility="private"
    )


def on_shown(session: Session) -> Callable[[str, gr.Request], ShareData]:
    """The handler of another run in the stepper."""

    def shown(run: str, request: gr.Request) -> ShareData:
        return ShareData(run=run, **dict(zip(("query", "reason"), linked(session, visitor(request), run), strict=True)))

    return shown


def linked(session: Session, who: str, run: str) -> tuple[str, str]:
    """The query of the link of a visitor's run, and why there is none; one of them is empty."""
    try:
        kept = session.visits.find(who, run) if run else None
        if kept is None:
            return "", NO_RUN
        return links.link_of(kept, session.library.backends, session.library.databases), ""
    except ConfigError as error:
        return "", str(error)


def words_of(session: Session) -> Callable[[object], dict[str, str]]:
    """What the script calls for the words of a figure."""

    def words(asked: object) -> dict[str, str]:
        wish = asked if isinstance(asked, dict) else {}
        try:
            kept = session.visits.known(str(wish.get("run", "")))
            step = wish.get("step")
            place = step if isinstance(step, int) and 0 <= step < len(kept.trace.steps) else -1
            return {
                "caption": caption(kept.trace, kept.asked, place),
                "command": said_command(session, kept),
                "citation": BIBTEX,
            }
        except Exception as error:
            return {"error": error_message(error)}

    return words


def said_command(session: Session, kept: Kept) -> str:
    """The command line, or why there is none, as a comment."""
    backend = session.library.backends.get(kept.asked.model)
    try:
        return command_of(kept, backend.defaults if backend else DecodeSettings())
    except ConfigError as error:
        return f"# {error}"
