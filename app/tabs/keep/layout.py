"""What the tab "Keep and share" lays out, and its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app import tidying
from app.session import Session
from app.share.share import NO_RUN, linked
from app.tabs.parts import Parts, tab, visitor
from app.uploads import FileButton
from app.views import Update

COPY = "() => document.querySelector('#share').loupe.copyLink(document.querySelector('#keep-told'))"
SAVE = "() => document.querySelector('#share').loupe.save('%s')"
"""What stands beside the title of the stepper does it, see app/share/."""

ANEW = "() => { location.replace(location.pathname); }"
"""A new visit, without the link of a run, which would be drawn again."""

PRIVACY = """
<div class="tab-text">
  <h3>What the server keeps of you</h3>
  <p>Your runs, the pictures that you brought, and what can be fetched of them stay on the server until 15 minutes after
  you leave, and can be reached from your browser alone, or by whoever has the address of a file while that file is here
  (15 minutes at most). Files that you upload are deleted as soon as they have been read. What you typed stands in the
  links of your runs, which are yours to share.</p>
</div>
"""

TOLD = '<p id="keep-told" role="status"></p>'
LINK_INFO = (
    "Prompt, seed, model, database, all settings and the position you look at; whoever opens it draws the same, "
    "and is told if another processor or version drew otherwise."
)


def build(parts: Parts) -> None:
    """Lay out the tab and wire its events."""
    with gr.Row(elem_id="keep", equal_height=False), gr.Column(scale=3, min_width=260):
        with gr.Row(elem_id="keep-link", equal_height=False):
            link = gr.Textbox(
                label="Link to this run", info=LINK_INFO, placeholder=NO_RUN, elem_id="run-link",
                interactive=False, max_lines=1,
            )  # fmt: skip
            copy = off("Copy link", "copy-link")
        gr.HTML(html_template=TOLD, js_on_load=None, apply_default_css=False)
        with gr.Row(elem_id="keep-files"):
            picture = off("Download picture (.png)", "save-picture")
            page, trace = off("Download page (.html)", "save-page"), off("Download trace (.npz)", "save-trace")
            opened = FileButton("Open a trace", elem_id="open-trace", min_width=0, scale=0)
        gr.HTML(html_template=PRIVACY, js_on_load=None, apply_default_css=False, elem_id="keep-privacy")
        with gr.Row(elem_id="keep-forget"):
            forget = gr.Button("Forget everything of mine", elem_id="forget-all", min_width=0, scale=0)
    session = parts.session
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    parts.shown.change(on_shown(session), inputs=parts.shown, outputs=[link, copy, picture, page, trace], **quiet)
    copy.click(None, outputs=link, js=COPY, api_visibility="private")
    for button, kind in ((picture, "picture"), (page, "page"), (trace, "trace")):
        button.click(None, js=SAVE % kind, api_visibility="private")
    forgotten = forget.click(on_forget(session), queue=False, **quiet)
    forgotten.success(None, js=ANEW, api_visibility="private")
    opened.upload(on_open(session), inputs=opened, outputs=[parts.stepper, parts.shown], **quiet)


def on_forget(session: Session) -> Callable[[gr.Request], None]:
    """The handler that ends the visit at once."""

    def forget(request: gr.Request) -> None:
        session.leave(visitor(request))
        session.visitors.end(tab(request))
        tidying.drop_asking(request)

    return forget


def off(label: str, name: str) -> gr.Button:
    """A button that waits for a run."""
    return gr.Button(label, elem_id=name, interactive=False, min_width=0, scale=0)


def on_shown(session: Session) -> Callable[..., tuple[Any, ...]]:
    """The handler of another run in the stepper: what can be done with it."""

    def shown(run: str, request: gr.Request) -> tuple[Any, ...]:
        who = visitor(request)
        runs = session.visits.runs(who)
        query, reason = linked(session, who, run)
        here = next((kept for kept in runs if kept.id == run), None)
        files = [gr.update(interactive=here is not None)] * 3
        link = gr.update(value="", placeholder=reason or "Press Copy link.")
        return link, gr.update(interactive=bool(query)), *files

    return shown


def on_open(session: Session) -> Callable[[str, gr.Request], tuple[Update, Any]]:
    """The handler of a trace from a file."""

    def open_trace(path: str, request: gr.Request) -> tuple[Update, Any]:
        with session.uploads.read(path) as files:
            if not files:
                return session.presenting.tell("trace: got nothing, expected a file; choose one"), gr.skip()
            update = session.opening.open_file(visitor(request), files[0], tab(request))
        return update, update.kept or gr.skip()

    return open_trace
