"""What the tab "Read a picture" lays out, and its events: pictures to read, the verdict, and completing one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import gradio as gr

from app import controls
from app.branches import Plan
from app.presenting import error_message
from app.reading import Given, Reading, completions, from_database, held_out, made, read, uploaded
from app.session import Session
from app.tabs.parts import DRAWS, Parts, recovers, tab, visitor
from app.tabs.read.reading import HeldOut, Readings, Said
from app.tabs.together import sent
from app.uploads import FileButton
from app.views import Asked

STATE_SECONDS = 3600
QUEUED: dict[str, Any] = {
    **DRAWS, "trigger_mode": "multiple", "show_progress": "hidden", "api_visibility": "private",
}  # fmt: skip
HEAD = """
<div lang="en" class="tab-text">
  <h3>Does looking up help with a real picture, and where?</h3>
  <p>A real picture is read as if it were being drawn: how surprising is each of its patches for the model alone, and
  with look-ups? Less surprise is help. It is read under its own caption (yours: under the prompt above), with the
  model, database and settings above, but without guidance, which would flatter every look-up.</p>
</div>
"""


def build(parts: Parts) -> None:
    """Lay the tab out and wire its events."""
    gr.HTML(html_template=HEAD, js_on_load=None, apply_default_css=False, elem_id="image-head")
    pictures = held_out(parts.session.library.first)
    shelf = HeldOut(parts.session.library.first, pictures) if pictures else None
    last, height = gr.State(None, time_to_live=STATE_SECONDS), parts.session.library.grid.height
    with gr.Row(elem_id="image-ask", elem_classes="tab-ask"):
        upload = FileButton("Upload an image", size="sm", scale=0, min_width=0, elem_id="image-upload")
        number = gr.Number(0, label="A picture of the database, by number", precision=0, minimum=0, min_width=120,
                           elem_id="image-number", scale=0)  # fmt: skip
        take = gr.Button("Read this one", size="sm", scale=0, min_width=0, elem_id="image-take")
    readings = Readings()
    with gr.Row(elem_id="image-rest", elem_classes="tab-ask"):
        rows = gr.Slider(1, height - 1, value=height // 2, step=1, label="Rows to keep", buttons=[],
                         elem_id="image-rows", elem_classes="lp-knob", scale=0, min_width=180)  # fmt: skip
        complete = gr.Button("Complete with each method", size="sm", scale=0, min_width=0, elem_id="image-complete")
    inputs = [parts.prompt, *parts.settings.inputs]
    outputs = [parts.stepper, parts.shown, readings, last]
    session = parts.session
    events = [
        upload.upload(on_upload(session), [upload, *inputs], outputs, **QUEUED),
        take.click(on_take(session), [number, *inputs], outputs, **QUEUED),
        complete.click(on_complete(session), [last, rows, *inputs], outputs[:2], **QUEUED),
    ]
    if shelf:
        events.append(shelf.take(on_held_out(session, pictures), inputs, outputs, **QUEUED))
    for event in events:
        recovers(event, parts.stepper)


def on_upload(session: Session) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler of an uploaded picture."""

    def upload(request: gr.Request, path: str | None, prompt: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        def given(asked: Asked, files: Sequence[Path]) -> Given:
            return uploaded(session.library, asked, files[0] if files else None, prompt)

        yield from show(session, request, values, given, session.uploads.read(path))

    return upload


def on_take(session: Session) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler that reads a picture of the chosen database."""

    def take(request: gr.Request, number: Any, prompt: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        who = visitor(request)
        yield from show(session, request, values, lambda asked, _: from_database(session.library, who, asked, number))

    return take


def on_held_out(session: Session, pictures: Sequence[Given]) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler that reads one of the held-out pictures."""

    def take(event: gr.EventData, request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
        place = sent(event, "picture")
        if isinstance(place, int) and 0 <= place < len(pictures):
            yield from show(session, request, values[1:], lambda asked, _: pictures[place])

    return take


def show(
    session: Session,
    request: gr.Request,
    values: Sequence[Any],
    given: Callable[[Asked, Sequence[Path]], Given],
    upload: AbstractContextManager[Sequence[Path]] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Read a picture: what the stepper, the state of the shown run, the verdict and the last reading become.

    upload: gives the visitor's files, which are gone when it is left, also when something else is refused.
    """
    try:
        with upload or nullcontext(()) as files:
            asked = controls.asked_from(values)
            picture = given(asked, files)
    except Exception as error:
        yield session.presenting.refusal(error), gr.skip(), Said(message=error_message(error)), gr.skip()
        return
    who = visitor(request)
    for found in read(session, who, asked, picture, tab(request)):
        if isinstance(found, Reading):
            shown = session.opening.show(who, found.kept.id)
            yield shown, shown.kept, Said(reading=found), (found.given, found.kept.id)
        else:
            ended = found.message if found.state in ("error", "stopped") else ""
            yield found, gr.skip(), Said(ended, found.steps), gr.skip()


def on_complete(session: Session) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler that lets each method draw what is below the first rows of the picture that was read last."""

    def complete(
        request: gr.Request, last: tuple[Given, str] | None, rows: Any, prompt: str, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        try:
            plans = completions(session.library, last, rows, controls.asked_from(values))
        except Exception as error:
            yield session.presenting.refusal(error), gr.skip()
            return
        yield from draw_each(session, visitor(request), tab(request), plans)

    return complete


def draw_each(session: Session, who: str, here: str, plans: Sequence[Plan]) -> Iterator[tuple[Any, ...]]:
    """Draw one plan after the other, as long as nothing fails, and nothing newer takes the place of one."""
    for plan in plans:
        kept = ""
        for update in session.drawing.carry_out(who, made(plan), here):
            yield update, update.kept or gr.skip()
            kept = update.kept if update.state == "ready" else ""
        if not kept:
            return
