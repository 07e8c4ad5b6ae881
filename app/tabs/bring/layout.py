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
from app.presenting import error_message
from app.tabs.parts import CONCURRENT_RUNS, MODEL_QUEUE, Parts, draws, fills, visitor

ABOUT = """
<div lang="en" class="tab-text">
  <h3>Let retrieval draw from your own pictures</h3>
  <p>Up to 200 files (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF), each up to 10 MB. They are made square, on white (white
  drawings on nothing: on black), encoded into codes, and kept in memory for this page only: nobody else can retrieve
  from them, and they are gone when you close the page. File names are their captions, which the caption filter
  compares with the prompt.</p>
  <p>Then choose <b>Yours</b> or <b>Emoji + yours</b> as the database. A large retrieval weight, no gate, a caption
  filter of 1 and a position term of 0.3 follow one picture closely; a filter of 4 mixes several.</p>
</div>
"""
SHOWCASE = """
<div lang="en" class="tab-text">
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
                forget = gr.Button("Forget them", elem_id="bring-forget", min_width=0, scale=0)
            status = gr.Textbox(label="What was taken", elem_id="bring-status", interactive=False, lines=2, max_lines=8)
            seen = gr.Gallery(
                label="Your pictures, as the model gets them", elem_id="bring-seen", columns=8, height="auto",
                object_fit="contain", allow_preview=False, interactive=False, buttons=[], visible="hidden",
            )  # fmt: skip
        with gr.Column(scale=3, min_width=280):
            tiles = showcase([tile for tile in examples().own if tile.asked.model in parts.session.library.backends])
    outputs = [status, seen, parts.settings.widgets["database"], parts.settings.widgets["method"]]
    busy: dict[str, Any] = {"concurrency_id": MODEL_QUEUE, "concurrency_limit": CONCURRENT_RUNS}
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    files.upload(on_bring(parts.session.library), inputs=files, outputs=outputs, **busy, **quiet)
    forget.click(on_forget(parts.session.library), outputs=outputs, **quiet)
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


Brought = tuple[Any, Any, Any, Any]
"""What the widgets of the tab's outputs become: status, gallery, databases, methods."""


def take(library: Library, who: str, paths: Sequence[Path]) -> Iterator[Brought]:
    """Status, gallery and pickers while a visitor's pictures are read and encoded, and after."""
    untouched = (gr.skip(), gr.skip(), gr.skip())
    try:
        for found in library.bring(who, paths):
            if isinstance(found, own.Progress):
                yield f"{found.doing} pictures: {found.done} of {found.total}", *untouched
                continue
            pictures = [
                (Image.fromarray(image), caption) for image, caption in zip(found.images, found.captions, strict=True)
            ]
            yield found.message, gr.update(value=pictures, visible=True), *pickers(library, who, own.YOURS)
    except Exception as error:
        yield error_message(error), *untouched


def pickers(library: Library, who: str, database: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a visitor can choose from now: databases, one of them chosen, and methods."""
    databases, methods = tuple(library.databases_of(who)), library.methods_of(who)
    return (
        gr.update(choices=controls.choices_of(databases), value=database),
        gr.update(choices=controls.methods_offered(methods)),
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
        databases, methods = pickers(library, who, next(iter(library.databases), None))
        if not library.databases:
            methods["value"] = library.start.settings.method
        return "Your pictures are forgotten.", gr.update(value=[], visible="hidden"), databases, methods

    return forget
