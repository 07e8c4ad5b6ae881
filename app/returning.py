"""How a browser finds its visit again, what is shown of it then, and how a page goes on after a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app import links
from app.presence import visitors_of
from app.rail.rail import Kepts
from app.scripted import Scripted
from app.sent import fields_of
from app.session import Session
from app.tabs.parts import Parts, recovers, tab, visitor
from app.visits import Listed
from core.types import ArragError

FOLDER = Path(__file__).parent / "connection"
PLACE = "loupe-visit"
LONGEST = 100
RECALL = f"""(held) => {{
  try {{ return localStorage.getItem("{PLACE}") || held; }} catch {{ return held; }}
}}"""
"""Gradio's own component for this ends the whole page where a browser lets it store nothing."""

REMEMBER = f"""(token) => {{
  try {{ localStorage.setItem("{PLACE}", token); }} catch {{ /* the visit is that of this page alone */ }}
}}"""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
NOTHING_LEFT = "The connection was cut, and nothing of this picture is left. Draw it again."


class Following(Scripted):
    """Nothing to see; its event "follow" asks for what the tab missed, and carries the runs that it knows, by id."""

    def __init__(self, elem_id: str = "following", render: bool = True) -> None:
        super().__init__(FOLDER / "following.html", FOLDER / "following.js", elem_id, render, events=["follow"])


def arrival(parts: Parts, page: gr.Blocks) -> Callable[..., Any]:
    """When the page loads, it takes its place in the visit of its browser; returns what can be followed."""
    token = gr.Textbox(visible=False, max_length=LONGEST)
    arrived = page.load(on_arrival, inputs=token, outputs=token, js=RECALL, queue=False, **QUIET)
    arrived.success(None, inputs=token, js=REMEMBER, api_visibility="private")
    return arrived.then


def returns(parts: Parts, loaded: Callable[..., Any]) -> None:
    """When the page has loaded, it shows what its visit has; after a cut it asks for what it missed.

    loaded: once the address has been read: Gradio's client can lose one of two events that begin together.
    """
    # in the queue: elsewhere a changed state does not start what waits for it
    loaded(on_return(parts.session), outputs=[parts.rail, parts.stepper, parts.shown], concurrency_limit=None, **QUIET)
    followed = Following().follow(
        on_follow(parts.session), outputs=[parts.stepper, parts.shown], concurrency_limit=None,
        trigger_mode="multiple", **QUIET,
    )  # fmt: skip
    recovers(followed, parts.stepper, "#generate")


def on_arrival(token: str | None, request: gr.Request) -> str:
    """The handler of a page that has loaded: which token to keep, for the one that was kept."""
    visitors = visitors_of(request.request)
    return visitors.arrive(tab(request), str(token or "")) if visitors else ""


def on_return(session: Session) -> Callable[[gr.Request], Iterator[tuple[Any, Any, Any]]]:
    """The handler of a page whose visit may have begun before: its runs are listed, and the newest is shown.

    One that is under way is followed where the page that showed it is gone. What the address asks for comes first; a
    link to one of the runs shows that one.
    """

    def back(request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
        who, here = visitor(request), tab(request)
        session.journal.visited(who)
        runs, query = session.visits.runs(who), dict(request.query_params)
        if runs:
            yield Kepts(runs), gr.skip(), gr.skip()
        kept, step = asked_again(session, query, runs)
        if kept is None and asks(session, query):
            return
        followed = False
        for update in session.drawing.follow(who, here, session.visitors.is_present):
            followed = True
            yield gr.skip(), update, update.kept or gr.skip()
        if followed or not runs:
            return
        shown = session.opening.show(who, (kept or runs[-1]).id, step)
        yield gr.skip(), shown, shown.kept

    return back


def asks(session: Session, query: dict[str, str]) -> bool:
    """Whether an address asks for a picture."""
    try:
        link = links.parse_query(query, session.library.start)
    except ArragError:
        return True  # the visitor is told why it cannot be drawn
    return link is not None and bool(link.prompt)


def asked_again(session: Session, query: dict[str, str], runs: tuple[Listed, ...]) -> tuple[Listed | None, int]:
    """The run of a visit that an address would only draw again, and at which position to stand."""
    try:
        link = links.parse_query(query, session.library.start)
    except ArragError:
        return None, -1
    found = links.drawn_by(link, runs) if link else None
    return found, link.step if link and found else -1


def on_follow(session: Session) -> Callable[[gr.EventData, gr.Request], Iterator[tuple[Any, Any]]]:
    """The handler of a tab that missed something: what is under way, or else what was finished meanwhile."""

    def follow(event: gr.EventData, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        who, here, known = visitor(request), tab(request), fields_of(event).get("known")
        followed = False
        for update in session.drawing.follow(who, here, session.visitors.is_present):
            followed = True
            yield update, update.kept or gr.skip()
        if followed:
            return
        new = [run for run in session.visits.runs(who) if isinstance(known, list) and run.id not in known]
        if new:
            shown = session.opening.show(who, new[-1].id)
            yield shown, shown.kept
        else:
            yield session.presenting.tell(NOTHING_LEFT), gr.skip()

    return follow
