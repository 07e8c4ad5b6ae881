"""What the tab "Your pictures" lays out, and its events: a database of one's own, and an example of what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app import controls, own
from app.examples import Tile, examples
from app.library import Library
from app.own import MAX_BYTES, MAX_PICTURES
from app.plain import plain
from app.presenting import error_message
from app.strength import FOLLOW, STRONG
from app.tabs.parts import CONCURRENT_RUNS, MODEL_QUEUE, Parts, draws, fills, follows, visitor
from core.inputs.formats import READ_NAMES

ABOUT = f"""
<div class="tab-text">
  <h3>Draw from your own pictures</h3>
  <p>Up to {MAX_PICTURES} files ({READ_NAMES}), each up to {MAX_BYTES >> 20} MB. They are made square, on white (white
  drawings on nothing: on black), encoded into codes, and kept in memory for this page only: nobody else can look
  into them, and they are gone when you close the page. File names are their captions, which the caption filter
  compares with the prompt.</p>
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
                files = gr.UploadButton(
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
            seen = gr.Gallery(
                label="Your pictures, as the model gets them", elem_id="bring-seen", columns=8, height="auto",
                object_fit="contain", allow_preview=False, interactive=False, buttons=[], visible="hidden",
            )  # fmt: skip
        with gr.Column(scale=3, min_width=280):
            tiles = showcase([tile for tile in examples().own if tile.asked.model in parts.session.library.backends])
    pickers = [parts.settings.widgets[name] for name in ("database", "method", "strength")]
    outputs = [status, seen, closely, loosely, *pickers]
    busy: dict[str, Any] = {"concurrency_id": MODEL_QUEUE, "concurrency_limit": CONCURRENT_RUNS}
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    files.upload(on_bring(parts.session.library), inputs=files, outputs=outputs, **busy, **quiet)
    forget.click(on_forget(parts.session.library), outputs=outputs, **quiet)
    for button, recipe in ((closely, FOLLOW), (loosely, STRONG)):
        draws(parts, follows(parts, button.click, own.YOURS, recipe).then)
    captioned = seen.select(on_seen, outputs=parts.prompt, **quiet)
    draws(parts, follows(parts, captioned.then, own.YOURS, FOLLOW).then)
    for button, tile in tiles:
        if tile.asked.settings.retrieves:
            brought = button.click(on_example(parts.session.library), outputs=outputs, **busy, **quiet)
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


def on_seen(event: gr.SelectData) -> str:
    """The handler of a click on one of the pictures: its caption is the prompt."""
    return str(event.value["caption"])


Brought = tuple[Any, ...]
"""What the widgets of the tab's outputs become: status, gallery, two buttons, databases, methods, strengths."""


def take(library: Library, who: str, paths: Sequence[Path]) -> Iterator[Brought]:
    """Status, gallery and pickers while a visitor's pictures are read and encoded, and after."""
    untouched = (gr.skip(),) * 6
    try:
        for found in library.bring(who, paths):
            if isinstance(found, own.Progress):
                yield f"{found.doing} pictures: {found.done} of {found.total}", *untouched
                continue
            pictures = [
                (Image.fromarray(image), caption) for image, caption in zip(found.images, found.captions, strict=True)
            ]
            able = gr.update(interactive=True)
            shown = gr.update(value=pictures, visible=True)
            yield found.message, shown, able, able, *pickers(library, who, own.YOURS)
    except Exception as error:
        yield plain(error_message(error)), *untouched


def pickers(library: Library, who: str, database: str | None) -> tuple[dict[str, Any], ...]:
    """What a visitor can choose from now: databases, one of them chosen, methods, and strengths."""
    databases, methods = tuple(library.databases_of(who)), library.methods_of(who)
    return (
        gr.update(choices=controls.choices_of(databases), value=database),
        gr.update(choices=controls.methods_offered(methods)),
        gr.update(choices=controls.strengths_offered(methods, ())),
    )


def on_bring(library: Library) -> Callable[..., Iterator[Brought]]:
    """The handler of chosen files."""

    def bring(paths: list[str] | None, request: gr.Request) -> Iterator[Brought]:
        yield from take(library, visitor(request), [Path(path) for path in paths or []])

    return bring


def on_example(library: Library) -> Callable[[gr.Request], Iterator[Brought]]:
    """The handler that takes the example set as if the visitor had brought it."""

    def bring(request: gr.Request) -> Iterator[Brought]:
        yield from take(library, visitor(request), examples().brought)

    return bring


def on_forget(library: Library) -> Callable[[gr.Request], Brought]:
    """The handler that drops the visitor's pictures."""

    def forget(request: gr.Request) -> Brought:
        who = visitor(request)
        library.own.forget(who)
        databases, methods, strengths = pickers(library, who, next(iter(library.databases), None))
        if not library.databases:
            methods["value"] = library.start.settings.method
        gone, unable = gr.update(value=[], visible="hidden"), gr.update(interactive=False)
        return "Your pictures are removed.", gone, unable, unable, databases, methods, strengths

    return forget
