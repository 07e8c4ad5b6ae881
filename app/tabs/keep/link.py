"""Links that are followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from app import controls, links
from app.hint import Told
from app.links import Link
from app.session import Session
from app.tabs.parts import DRAWS, FROM, Parts, recovers, tab, visitor
from app.views import Update, sentences
from core.types import ArragError, ConfigError


def open_link(parts: Parts, arrived: Callable[..., Any]) -> Callable[..., Any]:
    """When the page was opened by a link: the widgets take its values, and its run is drawn.

    arrived: once it is known whose page it is. Returns what follows once the address has been read.
    """
    link = gr.State(None, time_to_live=3600)
    loaded = arrived(  # in the queue: elsewhere a changed state does not start what waits for it
        on_load(parts.session),
        outputs=[link, parts.stepper, parts.prompt, *parts.settings.inputs, parts.origin],
        show_progress="hidden",
        api_visibility="private",
    )
    drawn = link.change(
        on_link(parts.session),
        inputs=link,
        outputs=[parts.stepper, parts.shown],
        **DRAWS,
        show_progress="hidden",
        api_visibility="private",
    )
    recovers(drawn, parts.stepper, "#generate")
    then: Callable[..., Any] = loaded.then
    return then


def on_load(session: Session) -> Callable[[gr.Request], list[Any]]:
    """The handler of an opened page: what its address asks for."""
    start = session.library.start

    def load(request: gr.Request) -> list[Any]:
        untouched = [gr.skip()] * (2 + len(controls.NAMES))
        try:
            link = links.parse_query(dict(request.query_params), start)
            if link is None:
                return [gr.skip(), gr.skip(), *untouched]
            check_offered(link, session)
        except ArragError as error:
            return [gr.skip(), session.presenting.tell(f"{error}. The page shows its own settings."), *untouched]
        came = Told(FROM % "the link") if link.asked != start else Told("")
        values = [link.prompt, *controls.values_of(link.asked), came]
        if link.prompt and links.drawn_by(link, session.visits.runs(visitor(request))):
            return [gr.skip(), gr.skip(), *values]  # a page that comes back shows it as it is
        if link.prompt:
            return [link, session.drawing.begin(visitor(request), link.prompt, tab(request)), *values]
        ignored = f"link: left out what this page does not know: {', '.join(link.ignored)}." if link.ignored else ""
        return [gr.skip(), session.presenting.tell(ignored) if ignored else gr.skip(), *values]

    return load


def check_offered(link: Link, session: Session) -> None:
    """ConfigError unless everything that a link asks for can be chosen on the page, whoever opens it."""
    try:
        controls.check_offered(link.asked, session.library.choices(""))
    except ConfigError as error:
        raise ConfigError(f"link: {error}") from None


def on_link(session: Session) -> Callable[[Link | None, gr.Request], Iterator[tuple[Update, Any]]]:
    """The handler that draws what a link asks for, and stands at its position."""

    def follow(link: Link | None, request: gr.Request) -> Iterator[tuple[Update, Any]]:
        if link is None:  # the event was not begun by an address
            return
        who = visitor(request)
        for update in session.drawing.draw(who, link.prompt, lambda: link.asked, tab(request)):
            if not update.kept:
                yield update, gr.skip()
                continue
            message = sentences(update.message, links.outcome(link, session.visits.find(who, update.kept)))
            yield replace(update, message=message, step=link.step), update.kept

    return follow
