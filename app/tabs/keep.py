"""Keep and share: a link, downloads, a trace from a file, and the pictures of this visit."""

from __future__ import annotations

import io
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, GradioModel
from PIL import Image

from app import controls, links
from app.languages import said
from app.links import Link
from app.replay import replay_page
from app.scripted import Scripted
from app.session import Session, error_message
from app.tabs.parts import CONCURRENT_RUNS, MODEL_QUEUE, Parts, recovers, visitor
from app.views import METHOD_NAMES, Update, notice_of, sentences
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
SAVE = """
watch("value", () => {
  const file = props.value && props.value.file;
  if (!file) return;
  const anchor = document.createElement("a");
  anchor.href = file.url;
  anchor.download = file.orig_name || file.path.split("/").pop();
  anchor.click();
});
"""
MAX_STEM = 80
"""Bytes of a file's name before the seed and the suffix; file systems take 255 in all."""
NO_RUN = "Draw something first."
TOLD = '<p lang="en" id="keep-told" role="status"></p>'
LINK_INFO = (
    "Prompt, seed, model, database, all settings and the position you look at; whoever opens it draws the same, "
    "and is told if another processor or version drew otherwise."
)


class SavedData(GradioModel):
    """A file that the browser saves at once; once makes every one different from the last."""

    once: str
    file: FileData | None


class Saved(Scripted):
    """Saves what it is given on the visitor's disk: (name, bytes)."""

    data_model = SavedData

    def __init__(self, elem_id: str = "saved", render: bool = True) -> None:
        super().__init__("<i></i>", SAVE, elem_id, render)

    def postprocess(self, value: Any) -> Any:
        """(name, bytes) as a file in Gradio's cache."""
        if not isinstance(value, tuple):
            return None
        name, data = value
        return SavedData(once=secrets.token_hex(8), file=self.cached(data, name))


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
        on_shown(session), inputs=parts.shown, outputs=[query, link, copy, page, trace, history, ids], **quiet
    )
    copy.click(None, inputs=query, outputs=link, js=COPY, api_visibility="private")
    for button, make in ((page, page_file), (trace, trace_file)):
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
                query, reason = links.link_of(here, session.backends, session.databases), "Press Copy link."
            except ConfigError as error:
                reason = str(error)
        page, trace = gr.update(interactive=here is not None), gr.update(interactive=here is not None)
        link = gr.update(value="", placeholder=said(reason))
        pictures = [(small(kept), caption_of(kept)) for kept in runs]
        place = next((i for i, kept in enumerate(runs) if kept.id == run), None)
        gallery = gr.update(value=pictures, selected_index=place)
        return query, link, gr.update(interactive=bool(query)), page, trace, gallery, [kept.id for kept in runs]

    return shown


def small(kept: Kept) -> Image.Image:
    """The picture of a run."""
    return Image.open(io.BytesIO(kept.picture)).convert("RGB")


def caption_of(kept: Kept) -> str:
    """A run in a few words."""
    settings = kept.asked.settings
    return f"{kept.name} · {METHOD_NAMES[settings.method]} · seed {settings.seed}"


def page_file(session: Session, who: str, kept: Kept) -> tuple[str, bytes]:
    """The run as a page of one file."""
    packed, atlas = session.packed(who, kept)
    done, of = len(kept.trace.steps), kept.trace.grid.positions
    state, message = ("ready", "") if kept.trace.complete else ("stopped", f"Stopped after {done} of {of} patches.")
    told = sentences(message, notice_of(kept.trace))
    return f"{file_name(kept)}.html", replay_page(kept.name, state, told, packed, atlas)


def trace_file(session: Session, who: str, kept: Kept) -> tuple[str, bytes]:
    """The run as a trace."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.npz"
        kept.trace.save(path)
        return f"{file_name(kept)}.npz", path.read_bytes()


def file_name(kept: Kept) -> str:
    """What to call the files of a run: letters and digits only, no longer than file systems take."""
    words = "".join(char if char.isascii() and char.isalnum() else " " for char in kept.name).split()
    stem = "-".join(["loupe", *words[:8]])[:MAX_STEM].rstrip("-")
    return f"{stem}-seed{kept.asked.settings.seed}".lower()


def on_save(
    session: Session, make: Callable[[Session, str, Kept], tuple[str, bytes]]
) -> Callable[[str, gr.Request], tuple[Any, Any]]:
    """The handler of a download."""

    def save(run: str, request: gr.Request) -> tuple[Any, Any]:
        who = visitor(request)
        try:
            return make(session, who, session.visits.find(who, run)), gr.skip()
        except Exception as error:
            return gr.skip(), session.tell(error_message(error))

    return save


def on_open(session: Session) -> Callable[[str, gr.Request], tuple[Update, Any]]:
    """The handler of a trace from a file."""

    def open_trace(path: str, request: gr.Request) -> tuple[Update, Any]:
        update = session.open_file(visitor(request), Path(path))
        return update, update.kept or gr.skip()

    return open_trace


def on_pick(session: Session) -> Callable[..., tuple[Any, Any]]:
    """The handler of a click on a picture of the visit."""

    def pick(ids: list[str], event: gr.SelectData, request: gr.Request) -> tuple[Any, Any]:
        place = event.index
        run = ids[place] if isinstance(place, int) and 0 <= place < len(ids) else ""
        try:
            update = session.show(visitor(request), run)
        except ArragError as error:
            return session.tell(str(error)), gr.skip()
        return update, update.kept

    return pick


# ---------------------------------------------------------------------------------------------------------------------
# Links that are followed


def open_link(parts: Parts, page: gr.Blocks) -> None:
    """When the page was opened by a link: the widgets take its values, and its run is drawn."""
    link = gr.State(None, time_to_live=3600)
    page.load(  # in the queue: elsewhere a changed state does not start what waits for it
        on_load(parts.session),
        outputs=[link, parts.stepper, parts.prompt, *parts.settings.inputs],
        show_progress="hidden",
        api_visibility="private",
    )
    drawn = link.change(
        on_link(parts.session),
        inputs=link,
        outputs=[parts.stepper, parts.shown],
        concurrency_id=MODEL_QUEUE,
        concurrency_limit=CONCURRENT_RUNS,
        show_progress="hidden",
        api_visibility="private",
    )
    recovers(drawn, parts.stepper)


def on_load(session: Session) -> Callable[[gr.Request], list[Any]]:
    """The handler of an opened page: what its address asks for."""
    start = session.start

    def load(request: gr.Request) -> list[Any]:
        untouched = [gr.skip()] * (1 + len(controls.NAMES))
        try:
            link = links.parse_query(dict(request.query_params), start)
            if link is None:
                return [gr.skip(), gr.skip(), *untouched]
            check_offered(link, session)
        except ArragError as error:
            return [gr.skip(), session.tell(f"{error}. The page shows its own settings."), *untouched]
        values = [link.prompt, *controls.values_of(link.asked)]
        if link.prompt:
            return [link, session.begin(visitor(request), link.prompt), *values]
        told = f"link: left out what this page does not know: {', '.join(link.ignored)}." if link.ignored else ""
        return [gr.skip(), session.tell(told) if told else gr.skip(), *values]

    return load


def check_offered(link: Link, session: Session) -> None:
    """ConfigError unless everything that a link asks for can be chosen on the page, whoever opens it."""
    try:
        controls.check_offered(link.asked, session.choices(""))
    except ConfigError as error:
        raise ConfigError(f"link: {error}") from None


def on_link(session: Session) -> Callable[[Link, gr.Request], Iterator[tuple[Update, Any]]]:
    """The handler that draws what a link asks for, and stands at its position."""

    def follow(link: Link, request: gr.Request) -> Iterator[tuple[Update, Any]]:
        who = visitor(request)
        for update in session.draw(who, link.prompt, lambda: link.asked):
            if not update.kept:
                yield update, gr.skip()
                continue
            told = sentences(update.message, links.outcome(link, session.visits.find(who, update.kept)))
            yield replace(update, message=told, step=link.step), update.kept

    return follow
