"""Start from an image: how surprising each patch of it is for every method, and what each would make of its first rows.

The second half of the tab "What if".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app import controls
from app.branches import Plan
from app.delivery import loader
from app.library import Library
from app.session import Session
from app.tabs.parts import MODEL_QUEUE, Parts, visitor
from app.views import METHOD_NAMES, Asked
from core.inputs.prompt import clean_prompt
from core.trace import Trace
from core.types import ConfigError

FOLDER = Path(__file__).parent
STATE_SECONDS = 3600
QUEUED: dict[str, Any] = {
    "concurrency_id": MODEL_QUEUE, "trigger_mode": "multiple", "show_progress": "hidden", "api_visibility": "private",
}  # fmt: skip
HEAD = """
<div lang="en" class="wi-image-text">
  <h3>Start from an image</h3>
  <p>Read an image as if it were being drawn: how surprising is each patch for the model, and for the model with
  retrieval? Or keep its first rows and let each method draw the rest. The prompt and the settings above apply.</p>
</div>
"""


@dataclass(frozen=True, slots=True)
class Given:
    """An image as codes: what it is called, its prompt, and its number in the database (-1: it is not from there)."""

    name: str
    prompt: str
    codes: tuple[int, ...]
    number: int = -1


def build(parts: Parts) -> None:
    """Lay the section out and wire its events."""
    gr.HTML(html_template=HEAD, js_on_load=None, apply_default_css=False, elem_id="image-head")
    given, height = gr.State(None, time_to_live=STATE_SECONDS), parts.session.library.grid.height
    with gr.Row(elem_id="image-ask"):
        # without file_types, which go by the name: what a file is, its content says
        upload = gr.UploadButton("Upload an image", size="sm", scale=0, min_width=0, elem_id="image-upload")
        number = gr.Number(0, label="Image no. of the database", precision=0, minimum=0, elem_id="image-number",
                           min_width=120, scale=0, info="The # in the cards of neighbours.")  # fmt: skip
        take = gr.Button("Read this one", size="sm", scale=0, min_width=0, elem_id="image-take")
        rows = gr.Slider(1, height - 1, value=height // 2, step=1,
                         label="Rows to keep", info="The rest is drawn by each method.", buttons=[],
                         elem_id="image-rows", elem_classes="lp-knob", scale=0, min_width=180)  # fmt: skip
        complete = gr.Button("Complete with each method", size="sm", scale=0, min_width=0, elem_id="image-complete")
    maps = gr.HTML(
        value=None,
        html_template=(FOLDER / "image.html").read_text(encoding="utf-8"),
        js_on_load=loader(FOLDER / "image.js"),
        elem_id="image-maps",
        apply_default_css=False,
    )
    inputs = [parts.prompt, *parts.settings.inputs]
    outputs = [parts.stepper, parts.shown, maps, given]
    upload.upload(on_upload(parts.session), [upload, *inputs], outputs, **QUEUED)
    take.click(on_take(parts.session), [number, *inputs], outputs, **QUEUED)
    complete.click(on_complete(parts.session), [given, rows, *inputs], outputs[:2], **QUEUED)


def on_upload(session: Session) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler of an uploaded image."""

    def read(path: str | None, prompt: str, *values: Any, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        def given(asked: Asked) -> Given:
            if not path:
                raise ConfigError("image: got nothing, expected a file; choose one")
            codes = session.library.codes_of(asked.model, Path(path))
            return Given("uploaded", clean_prompt(prompt), tuple(codes.ravel().tolist()))

        yield from inspect(session, visitor(request), lambda: controls.asked_from(values), given)

    return with_request(read)


def on_take(session: Session) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler that reads an image of the chosen database."""

    def read(number: Any, prompt: str, *values: Any, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        def given(asked: Asked) -> Given:
            return from_database(session.library, visitor(request), asked, number, prompt)

        yield from inspect(session, visitor(request), lambda: controls.asked_from(values), given)

    return with_request(read)


def from_database(library: Library, who: str, asked: Asked, number: Any, prompt: str) -> Given:
    """An image of the database; without a prompt, its caption is the prompt."""
    database = library.database_of(who, asked)
    if not isinstance(number, (int, float)) or number not in database.images:
        last = int(database.images[-1])
        raise ConfigError(f"image: got no. {number!r:.20}, expected one of {len(database.images)} up to {last}")
    info, codes = database.image_info(int(number)), database.image_codes(int(number))
    wanted = prompt if prompt.strip() else f"{info.caption}, {info.style} style"
    return Given(
        f"#{int(number)} {info.caption}"[:30], clean_prompt(wanted), tuple(codes.ravel().tolist()), int(number)
    )


def inspect(
    session: Session, who: str, asked: Callable[[], Asked], given: Callable[[Asked], Given]
) -> Iterator[tuple[Any, ...]]:
    """Read an image with every method, one after the other; the one with DAiD stays in the stepper."""
    same = (gr.skip(),) * 3
    try:
        request = asked()
        image = given(request)
    except Exception as error:
        yield session.presenting.refusal(error), *same
        return
    request = replace(request, without=image.number)
    traces: dict[str, Trace] = {}
    ids: dict[str, str] = {}
    for method in reading_methods(session.library, request):
        settings = replace(request.settings, method=method, record_unblended=True)
        plan = Plan(
            image.prompt, replace(request, settings=settings), given=image.codes,
            name=f"{image.name}, read by {METHOD_NAMES[method]}",
        )  # fmt: skip
        for update in session.drawing.carry_out(who, made(plan)):
            yield update, *same
            if update.state in ("error", "stopped"):
                return
            if update.kept:
                ids[method] = update.kept
                traces[method] = session.visits.find(who, update.kept).trace
        if method not in ids:  # something newer took its place
            return
    shown = session.opening.show(who, ids["daid"])
    yield shown, shown.kept, surprise_maps(traces, ids), (image, ids["daid"])


def reading_methods(library: Library, asked: Asked) -> tuple[str, ...]:
    """DAiD, which tells of the model alone as well, after FAiD, if the model has blenders."""
    return ("faid", "daid") if library.has_blenders(asked.model) else ("daid",)


def surprise_maps(traces: dict[str, Trace], ids: dict[str, str]) -> dict[str, Any]:
    """Surprise in nats and the code that the run's noise picks, for every position and method; see image.js."""
    daid = traces["daid"]
    every = range(len(daid.steps))
    columns = [
        ("model", daid.surprise()[:, 0], [daid.luck(p).draw(daid.blend(p).model) for p in every]),
        ("DAiD", daid.surprise()[:, 1], [daid.pick(p) for p in every]),
    ]
    if "faid" in traces:
        faid = traces["faid"]
        columns.append(("FAiD", faid.surprise()[:, 1], [faid.pick(p) for p in every]))
    return {
        "runs": list(ids.values()),
        "grid": [daid.grid.height, daid.grid.width],
        "codes": daid.codes.tolist(),
        "methods": [
            {"name": name, "surprise": np.round(values, 3).tolist(), "picks": picks} for name, values, picks in columns
        ],
    }


def on_complete(session: Session) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler that lets each method draw what is below the first rows of the image that was read last."""

    def complete(
        read: tuple[Given, str] | None, rows: Any, prompt: str, *values: Any, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        try:
            plans = completions(session.library, read, rows, controls.asked_from(values))
        except Exception as error:
            yield session.presenting.refusal(error), gr.skip()
            return
        yield from draw_each(session, visitor(request), plans)

    return with_request(complete)


def draw_each(session: Session, who: str, plans: Sequence[Plan]) -> Iterator[tuple[Any, ...]]:
    """Draw one plan after the other, as long as nothing fails, and nothing newer takes the place of one."""
    for plan in plans:
        kept = ""
        for update in session.drawing.carry_out(who, made(plan)):
            yield update, update.kept or gr.skip()
            kept = update.kept if update.state == "ready" else ""
        if not kept:
            return


def completions(library: Library, read: tuple[Given, str] | None, rows: Any, asked: Asked) -> list[Plan]:
    """One plan for each method, from the first rows of an image."""
    if read is None:
        raise ConfigError("image: got none, expected one to complete; upload or read one first")
    image, parent = read
    height, width = library.grid.height, library.grid.width
    if not isinstance(rows, (int, float)) or not 1 <= rows < height:
        raise ConfigError(f"rows: got {rows!r:.20}, expected 1 to {height - 1}")
    kept = int(rows) * width
    blending: Sequence[str] = ("faid",) if library.has_blenders(asked.model) else ()
    return [
        Plan(
            image.prompt,
            replace(asked, without=image.number, settings=replace(asked.settings, method=method)),
            given=image.codes[:kept],
            name=f"{image.name}, {int(rows)} rows, {METHOD_NAMES[method]}",
            parent=parent,
            branch_step=kept,
        )
        for method in ("model", "daid", *blending)
    ]


def made(plan: Plan) -> Callable[[], Plan]:
    """A plan that is there already, for a session that asks for one."""
    return lambda: plan


def with_request(handler: Callable[..., Iterator[tuple[Any, ...]]]) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """Gradio passes the request by annotation and in its place: put it first, where any number of values may follow."""

    def handle(request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
        yield from handler(*values, request=request)

    return handle
