"""What the tab "Keep and share" lays out, and its events."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app import links
from app.files import page_file, picture_file, trace_file
from app.languages import said
from app.presenting import error_message
from app.session import Session
from app.tabs.keep.saved import Saved
from app.tabs.keep.words import WORDS
from app.tabs.parts import Parts, visitor
from app.views import METHOD_NAMES, Update
from app.visits import Kept
from core.types import ArragError, ConfigError

COPY = """
(query) => {
  const step = document.querySelector("#stepper").dataset.step;
  const link = query ? location.origin + location.pathname + query + (step >= 0 ? `&step=${step}` : "") : "";
  const told = document.querySelector("#keep-told");
  const tell = (text) => { told.textContent = text; };
  const byHand = () => tell("Select the link and copy it.");
  if (!navigator.clipboard) byHand();
  else navigator.clipboard.writeText(link).then(() => tell(`Copied, with position ${step}.`), byHand);
  return link;
}
"""
NO_RUN = "Draw something first."
Making = Callable[[str, Kept], tuple[str, bytes]]
"""Makes a file, as its name and its bytes, of a visitor and one of their runs."""

TOLD = '<p lang="en" id="keep-told" role="status"></p>'
LINK_INFO = (
    "Prompt, seed, model, database, all settings and the position you look at; whoever opens it draws the same, "
    "and is told if another processor or version drew otherwise."
)


def build(parts: Parts) -> None:
    """Lay out the tab and wire its events."""
    with gr.Row(elem_id="keep", equal_height=False):
        with gr.Column(scale=3, min_width=260):
            with gr.Row(elem_id="keep-link", equal_height=False):
                link = gr.Textbox(
                    label="Link to this run", info=LINK_INFO, placeholder=NO_RUN, elem_id="run-link",
                    interactive=False, max_lines=1,
                )  # fmt: skip
                copy = off("Copy link", "copy-link")
            gr.HTML(html_template=TOLD, js_on_load=None, apply_default_css=False)
            with gr.Row(elem_id="keep-files"):
                picture = off("Download picture (.webp)", "save-picture")
                page, trace = off("Download page (.html)", "save-page"), off("Download trace (.npz)", "save-trace")
                opened = gr.UploadButton("Open a trace", elem_id="open-trace", min_width=0, scale=0)
            saved = Saved()
            query = gr.Textbox(visible="hidden", elem_id="link-query")
        with gr.Column(scale=4, min_width=260):
            history = gr.Gallery(
                label="This visit, newest first",
                elem_id="history",
                columns=6,
                height="auto",
                object_fit="contain",
                allow_preview=False,
                interactive=False,
                buttons=[],
            )
            ids = gr.State([], time_to_live=3600)
    session = parts.session
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    parts.shown.change(
        on_shown(session), inputs=parts.shown, outputs=[query, link, copy, picture, page, trace, history, ids], **quiet
    )
    copy.click(None, inputs=query, outputs=link, js=COPY, api_visibility="private")
    makers: dict[gr.Button, Making] = {
        picture: lambda who, kept: picture_file(kept),
        page: lambda who, kept: page_file(kept, *session.presenting.packed(who, kept)),
        trace: lambda who, kept: trace_file(kept),
    }
    for button, make in makers.items():
        button.click(on_save(session, make), inputs=parts.shown, outputs=[saved, parts.stepper], **quiet)
    opened.upload(on_open(session), inputs=opened, outputs=[parts.stepper, parts.shown], **quiet)
    history.select(on_pick(session), inputs=ids, outputs=[parts.stepper, parts.shown], **quiet)


def off(label: str, name: str) -> gr.Button:
    """A button that waits for a run."""
    return gr.Button(label, elem_id=name, interactive=False, min_width=0, scale=0)


def on_shown(session: Session) -> Callable[..., tuple[Any, ...]]:
    """The handler of another run in the stepper: what can be done with it, and the pictures of the visit."""

    def shown(run: str, request: gr.Request) -> tuple[Any, ...]:
        who = visitor(request)
        runs = session.visits.runs(who)[::-1]
        query, reason = "", NO_RUN
        here = next((kept for kept in runs if kept.id == run), None)
        if here:
            try:
                query = links.link_of(here, session.library.backends, session.library.databases)
                reason = "Press Copy link."
            except ConfigError as error:
                reason = str(error)
        files = [gr.update(interactive=here is not None)] * 3
        link = gr.update(value="", placeholder=said(reason, WORDS))
        pictures = [(small(kept), caption_of(kept)) for kept in runs]
        place = next((i for i, kept in enumerate(runs) if kept.id == run), None)
        gallery = gr.update(value=pictures, selected_index=place)
        return query, link, gr.update(interactive=bool(query)), *files, gallery, [kept.id for kept in runs]

    return shown


def small(kept: Kept) -> Image.Image:
    """The picture of a run."""
    return Image.open(io.BytesIO(kept.picture)).convert("RGB")


def caption_of(kept: Kept) -> str:
    """A run in a few words."""
    settings = kept.asked.settings
    return f"{kept.name} · {METHOD_NAMES[settings.method]} · seed {settings.seed}"


def on_save(session: Session, make: Making) -> Callable[[str, gr.Request], tuple[Any, Any]]:
    """The handler of a download."""

    def save(run: str, request: gr.Request) -> tuple[Any, Any]:
        who = visitor(request)
        try:
            return make(who, session.visits.find(who, run)), gr.skip()
        except Exception as error:
            return gr.skip(), session.presenting.tell(error_message(error))

    return save


def on_open(session: Session) -> Callable[[str, gr.Request], tuple[Update, Any]]:
    """The handler of a trace from a file."""

    def open_trace(path: str, request: gr.Request) -> tuple[Update, Any]:
        update = session.opening.open_file(visitor(request), Path(path))
        return update, update.kept or gr.skip()

    return open_trace


def on_pick(session: Session) -> Callable[..., tuple[Any, Any]]:
    """The handler of a click on a picture of the visit."""

    def pick(ids: list[str], event: gr.SelectData, request: gr.Request) -> tuple[Any, Any]:
        place = event.index
        run = ids[place] if isinstance(place, int) and 0 <= place < len(ids) else ""
        try:
            update = session.opening.show(visitor(request), run)
        except ArragError as error:
            return session.presenting.tell(str(error)), gr.skip()
        return update, update.kept

    return pick
