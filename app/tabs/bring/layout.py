"""What the tab "Your pictures" lays out, and its events: a database of one's own, and an example of what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import gradio as gr

from app import controls, own
from app.examples import Tile, examples
from app.library import Library
from app.own import MAX_BYTES, MAX_PICTURES
from app.plain import plain
from app.presenting import error_message
from app.session import Session
from app.strength import FOLLOW, STRONG
from app.tabs.bring.contacts import Contacts, Pictures
from app.tabs.parts import BRINGS, Parts, draws, fills, follows, tab, visitor
from app.tabs.together import sent
from app.uploads import MAX_BYTES as MAX_UPLOAD
from app.uploads import FileButton
from core.inputs.formats import READ_NAMES
from core.inputs.prompt import MAX_PROMPT

ABOUT = f"""
<div class="tab-text">
  <h3>Draw from your own pictures</h3>
  <p>Up to {MAX_PICTURES} files ({READ_NAMES}), each up to {MAX_BYTES >> 20} MB, together up to
  {MAX_UPLOAD >> 20} MB. They are made square, on white (white drawings on nothing: on black), and encoded into codes.
  File names are their captions, which the caption filter compares with the prompt.</p>
  <p>The files are deleted as soon as they have been read. Their pictures and captions stay in the memory of the
  server, where no other visitor reaches them, until 15 minutes after you leave, or until you press <b>Remove
  them</b>. Runs that you drew from them hold patches of them: delete those in the list of runs, or everything with
  <b>Forget everything of mine</b> under Keep and share.</p>
  <p>Click one of them to draw what its caption says, or draw the prompt: closely follows the picture that fits it best,
  loosely mixes several. Both choose <b>Yours</b> as the database; <b>Emoji + yours</b> has the others beside them.</p>
</div>
"""
SHOWCASE = """
<div class="tab-text">
  <h3>A style that the model has never seen</h3>
  <p>24 drawings in pixel art, in a database of their own. One model, one prompt, one seed: only what may be looked up
  differs. Most of what you see on the right is copied, patch by patch, from one drawing; no emoji has such squares.
  Click a picture to draw it and see why.</p>
</div>
"""


def build(parts: Parts) -> None:
    """Lay out the tab and wire its events."""
    with gr.Row(elem_id="bring", equal_height=False):
        with gr.Column(scale=4, min_width=280):
            gr.HTML(html_template=ABOUT, js_on_load=None, apply_default_css=False)
            with gr.Row(elem_id="bring-buttons"):
                files = FileButton(
                    "Choose pictures", elem_id="bring-files", file_count="multiple", variant="primary", min_width=0,
                    scale=0,
                )  # fmt: skip
                forget = gr.Button("Remove them", elem_id="bring-forget", min_width=0, scale=0)
            with gr.Row(elem_id="bring-draw"):
                closely, loosely = (
                    gr.Button(
                        f"Draw from these, {how}", elem_id=f"bring-{how}", min_width=0, scale=0, interactive=False
                    )
                    for how in ("closely", "loosely")
                )
            status = gr.Textbox(label="What was taken", elem_id="bring-status", interactive=False, lines=2, max_lines=8)
            seen: Any = Contacts()
        with gr.Column(scale=3, min_width=280):
            tiles = showcase([tile for tile in examples().own if tile.asked.model in parts.session.library.backends])
    pickers = [parts.settings.widgets[name] for name in ("database", "method", "strength")]
    outputs = [status, seen, closely, loosely, *pickers]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    files.upload(on_bring(parts.session), inputs=files, outputs=outputs, **BRINGS, **quiet)
    forget.click(on_forget(parts.session), outputs=outputs, queue=False, **quiet)
    for button, recipe in ((closely, FOLLOW), (loosely, STRONG)):
        draws(parts, follows(parts, button.click, own.YOURS, recipe).then)
    captioned = seen.draw(on_seen, outputs=parts.prompt, **quiet)
    draws(parts, follows(parts, captioned.then, own.YOURS, FOLLOW).then)
    for button, tile in tiles:
        if tile.asked.settings.retrieves:
            brought = button.click(on_example(parts.session), outputs=outputs, **BRINGS, **quiet)
            draws(parts, fills(parts, brought.then, tile).then)
        else:
            draws(parts, fills(parts, button.click, tile).then)


def showcase(tiles: Sequence[Tile]) -> list[tuple[gr.Button, Tile]]:
    """The example: pictures without and with the example set; a click makes one anew."""
    if not tiles:
        return []
    gr.HTML(html_template=SHOWCASE, js_on_load=None, apply_default_css=False)
    with gr.Row(elem_id="bring-tiles"):
        return [
            (gr.Button(tile.label, icon=tile.picture, min_width=0, scale=0, elem_classes="tile"), tile)
            for tile in tiles
        ]


def on_seen(event: gr.EventData) -> Any:
    """The handler of a click on one of the pictures: its caption is the prompt."""
    caption = sent(event, "caption")
    return caption[:MAX_PROMPT] if isinstance(caption, str) else gr.skip()


Brought = tuple[Any, ...]
"""What the widgets of the tab's outputs become: status, contact sheet, two buttons, databases, methods, strengths."""


def take(
    session: Session, request: gr.Request, paths: Sequence[Path], held: AbstractContextManager[object] | None = None
) -> Iterator[Brought]:
    """Status, contact sheet and pickers while a visitor's pictures are read and encoded, and after; held: see bring.

    Stop, leaving, and whatever the visitor begins next in this tab end it.
    """
    untouched, library, who = (gr.skip(),) * 6, session.library, visitor(request)
    try:
        with session.runs.live(who, tab(request)) as run:
            for found in library.bring(who, paths, run.stopped.is_set, held):
                if isinstance(found, own.Progress):
                    yield f"{found.doing} pictures: {found.done} of {found.total}", *untouched
                    continue
                able, shown = gr.update(interactive=True), Pictures(found.captions, found.images)
                yield found.message, shown, able, able, *pickers(library, who, own.YOURS)
    except Exception as error:
        yield plain(error_message(error)), *untouched


def pickers(library: Library, who: str, database: str | None) -> tuple[dict[str, Any], ...]:
    """What a visitor can choose from now: databases, one of them chosen, methods, and strengths."""
    databases, methods = tuple(library.databases_of(who)), library.methods_of(who)
    return (
        gr.update(choices=controls.choices_of(databases), value=database),
        gr.update(choices=controls.methods_offered(methods)),
        gr.update(choices=controls.strengths_offered(methods, (), library.first.defaults)),
    )


def on_bring(session: Session) -> Callable[..., Iterator[Brought]]:
    """The handler of chosen files, which are gone when they have been read."""

    def bring(paths: list[str] | None, request: gr.Request) -> Iterator[Brought]:
        with ExitStack() as held:
            files = held.enter_context(session.uploads.read(paths))
            yield from take(session, request, files, held)

    return bring


def on_example(session: Session) -> Callable[[gr.Request], Iterator[Brought]]:
    """The handler that takes the example set as if the visitor had brought it."""

    def bring(request: gr.Request) -> Iterator[Brought]:
        yield from take(session, request, examples().brought)

    return bring


def on_forget(session: Session) -> Callable[[gr.Request], Brought]:
    """The handler that drops the visitor's pictures, those that are just being read or encoded among them."""
    library = session.library

    def forget(request: gr.Request) -> Brought:
        who = visitor(request)
        library.own.forget(who)
        session.decoder.forget(who)
        session.files.forget(who)
        databases, methods, strengths = pickers(library, who, next(iter(library.databases), None))
        if not library.databases:
            methods["value"] = library.start.settings.method
        gone, unable = Pictures(), gr.update(interactive=False)
        return "Your pictures are removed.", gone, unable, unable, databases, methods, strengths

    return forget
