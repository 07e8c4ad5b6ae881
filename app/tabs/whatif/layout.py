"""What the tab "What if" lays out, and its events: change one position, branch, and find the way back."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from app import branches, whatif
from app.delivery import loader
from app.pictures import small
from app.session import Session
from app.tabs.parts import MODEL_QUEUE, Parts, recovers, visitor
from app.tabs.whatif import image
from app.views import Update
from core.types import ArragError, Change, ConfigError

FOLDER = Path(__file__).parent
STATE_SECONDS = 3600
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def build(parts: Parts) -> None:
    """Lay the tab out and wire its events."""
    panel = client("whatif", "whatif", ("branch", "choose"), preview_of(parts.session), value=whatif.offers())
    tree = client("tree", "branches", ("show", "rename"))
    wish = gr.State(None, time_to_live=STATE_SECONDS)
    for event in (panel.branch, panel.choose):
        started = event(on_wish(parts.session), outputs=[parts.stepper, wish], queue=False, **QUIET)
        drawn = started.then(
            on_branch(parts.session), wish, [parts.stepper, parts.shown], concurrency_id=MODEL_QUEUE,
            trigger_mode="multiple", **QUIET,
        )  # fmt: skip
        recovers(drawn, parts.stepper)
    # queued, because a state that is set without the queue tells nobody that it has changed
    tree.show(on_show(parts.session), outputs=[parts.stepper, parts.shown], concurrency_limit=None, **QUIET)
    tree.rename(on_rename(parts.session), parts.shown, tree, queue=False, **QUIET)
    parts.shown.change(on_shown(parts.session), parts.shown, tree, queue=False, **QUIET)
    image.build(parts)


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


def on_wish(session: Session) -> Callable[..., tuple[Any, Any]]:
    """The handler that checks what somebody wants to branch to, and answers at once."""

    def wish(event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        asked = wishes(event)
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
        who = visitor(request)
        draw = session.drawing
        updates = draw.branch(who, run, what) if isinstance(what, Change) else draw.go_on(who, run, "patch", what)
        for update in updates:
            yield update, update.kept or gr.skip()

    return branch


def on_show(session: Session) -> Callable[..., tuple[Update, Any]]:
    """The handler that puts a run of the tree into the stepper."""

    def show(event: gr.EventData, request: gr.Request) -> tuple[Update, Any]:
        try:
            asked = wishes(event)
            update = session.opening.show(visitor(request), text(asked, "run"), position(asked))
            return update, update.kept
        except ArragError as error:
            return session.presenting.refusal(error), gr.skip()

    return show


def on_rename(session: Session) -> Callable[..., Any]:
    """The handler of a new name for a run; names that do not work change nothing."""

    def rename(shown: str, event: gr.EventData, request: gr.Request) -> Any:
        asked = wishes(event)
        try:
            session.visits.rename(visitor(request), text(asked, "run"), text(asked, "name"))
        except ArragError as error:
            gr.Warning(str(error))
        return forest(session, visitor(request), shown)

    return rename


def on_shown(session: Session) -> Callable[..., dict[str, Any]]:
    """The handler that draws the tree anew when another run is in the stepper."""

    def refresh(shown: str, request: gr.Request) -> dict[str, Any]:
        return forest(session, visitor(request), shown)

    return refresh


def forest(session: Session, who: str, shown: str) -> dict[str, Any]:
    """The runs of a visitor as tree.js takes them."""
    runs = session.visits.runs(who)
    pictures = {run.id: base64.b64encode(small(run.picture)).decode() for run in runs}
    return {"shown": shown, "nodes": [{**asdict(node), "picture": pictures[node.id]} for node in branches.tree(runs)]}


def wishes(event: gr.EventData) -> dict[str, Any]:
    """What came with an event; whatever it is, it becomes an object."""
    found = event._data
    return found if isinstance(found, dict) else {}


def text(asked: dict[str, Any], name: str) -> str:
    """A text of an event; ConfigError for anything else."""
    value = asked.get(name)
    if not isinstance(value, str) or len(value) > 200:
        raise ConfigError(f"{name}: got {value!r:.40}, expected a short text; reload the page")
    return value


def position(asked: dict[str, Any]) -> int:
    """The position of an event; ConfigError for anything that is no whole number."""
    value = asked.get("step")
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"step: got {value!r:.40}, expected a whole number; reload the page")
    return value
