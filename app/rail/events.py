"""What the rail's events do: open a run where one stands, rename it, delete it, and list the runs anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.rail.rail import Kepts
from app.sent import fields_of, position, text
from app.session import Session
from app.tabs.parts import Parts, visitor
from app.views import Update
from app.visits import Listed
from core.types import ArragError, ConfigError

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def wire_rail(parts: Parts) -> None:
    """Wire the rail; what is chosen there to be compared is for the tab that compares."""
    session, rail = parts.session, parts.rail
    # queued, because a state that is set without the queue tells nobody that it has changed
    rail.show(on_show(session), outputs=[parts.stepper, parts.shown], concurrency_limit=None, **QUIET)
    rail.drop(
        on_drop(session), parts.shown, [rail, parts.stepper, parts.shown], concurrency_limit=None, **QUIET
    )  # fmt: skip
    rail.rename(on_rename(session), outputs=rail, queue=False, **QUIET)
    parts.shown.change(on_shown(session), outputs=rail, queue=False, **QUIET)


def on_shown(session: Session) -> Callable[[gr.Request], Kepts]:
    """The handler of another run in the stepper: it may be a new one."""

    def shown(request: gr.Request) -> Kepts:
        return Kepts(session.visits.runs(visitor(request)))

    return shown


def on_show(session: Session) -> Callable[..., tuple[Update, Any]]:
    """The handler that puts a run into the stepper, at the position where that stands."""

    def show(event: gr.EventData, request: gr.Request) -> tuple[Update, Any]:
        try:
            asked = fields_of(event)
            update = session.opening.show(visitor(request), text(asked, "run"), position(asked))
            return update, update.kept
        except ArragError as error:
            return session.presenting.refusal(error), gr.skip()

    return show


def on_rename(session: Session) -> Callable[..., Kepts]:
    """The handler of a new name for a run; names that do not work change nothing."""

    def rename(event: gr.EventData, request: gr.Request) -> Kepts:
        who, asked = visitor(request), fields_of(event)
        try:
            session.visits.rename(who, text(asked, "run"), text(asked, "name"))
        except ArragError as error:
            gr.Warning(str(error))
        return Kepts(session.visits.runs(who))

    return rename


def on_drop(session: Session) -> Callable[..., tuple[Kepts, Any, Any]]:
    """The handler that deletes a run; where it is the one in the stepper, another one takes its place there."""

    def drop(shown: str, event: gr.EventData, request: gr.Request) -> tuple[Kepts, Any, Any]:
        who, asked = visitor(request), fields_of(event)
        try:
            run, step = text(asked, "run"), position(asked)
            heir = heir_of(session.visits.runs(who), run)
            session.visits.drop(who, run)
            update = session.opening.show(who, heir, step) if run == shown else None
        except ArragError as error:
            return Kepts(session.visits.runs(who)), session.presenting.refusal(error), gr.skip()
        left = Kepts(session.visits.runs(who))
        return (left, update, update.kept) if update else (left, gr.skip(), gr.skip())

    return drop


def heir_of(runs: tuple[Listed, ...], run: str) -> str:
    """Which run is shown when this one is deleted: the one that it came from, or else the one before or after it.

    Raises ConfigError for the only run, which stays: there would be nothing to show.
    """
    ids = [kept.id for kept in runs]
    if run not in ids:
        raise ConfigError("this picture is not kept any more")
    if len(ids) == 1:
        raise ConfigError("delete: this is the only picture; draw another one first")
    place = ids.index(run)
    parent = runs[place].parent
    return parent if parent in ids else ids[place - 1 if place else 1]
