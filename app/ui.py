"""The page: lays out the widgets and wires their events; what is below the stepper is in app/tabs/."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, NoReturn

import gradio as gr
from starlette.middleware import Middleware

from app import controls, delivery
from app.api import endpoints
from app.arrivals import MAX_FILE_BYTES
from app.branches import Onward
from app.controls import Controls
from app.examples import Tile, examples
from app.head.head import Head
from app.hint import Hint, hint_of
from app.languages import translate, translations, words_of
from app.library import Library
from app.session import Session
from app.stepper.stepper import Stepper
from app.tabs import found
from app.tabs.keep.link import open_link
from app.tabs.learn.tour import guide
from app.tabs.parts import MODEL_QUEUE, Parts, draws, fills, on_stop, visitor
from app.tabs.tab import Tab
from app.views import Update
from core.inputs.prompt import MAX_PROMPT
from core.types import ArragError, DecodeSettings

STATE_SECONDS = 3600
CACHE_CHECK_SECONDS, CACHE_AGE_SECONDS = 3600, 6 * 3600
COLOURS = {  # of light and of dark
    "body_background_fill": ("#fcfdfd", "#12181e"),
    "body_text_color": ("#18212b", "#e8edf2"),
    "body_text_color_subdued": ("#586472", "#9aa7b4"),
    "background_fill_primary": ("#ffffff", "#171e25"),
    "background_fill_secondary": ("#f3f5f7", "#1d252d"),
    "border_color_primary": ("#dde2e7", "#2a343e"),
    "input_background_fill": ("#ffffff", "#171e25"),
    "input_border_color": ("#cfd6dd", "#35414c"),
    "input_border_color_focus": ("#0072b2", "#56b4e9"),
    "slider_color": ("#0072b2", "#56b4e9"),
    "button_primary_background_fill": ("#0072b2", "#56b4e9"),
    "button_primary_background_fill_hover": ("#005c91", "#7cc6f0"),
    "button_primary_text_color": ("#ffffff", "#0b0f13"),
}
RANDOM_SEED = "() => Math.floor(Math.random() * 2 ** 32)"
SWAP = """
<div lang="en" class="swap-text">
  <h2>Swap the database, keep the model</h2>
  <p>The novice has never seen the flat style. One model, one prompt, one seed: only what it may look up differs.
  Click a picture to draw it and see why.</p>
</div>
"""
GO_ON = """
<span lang="en" title="The picture is paused: draw on, or choose its next code by hand under What if">Go on by</span>
"""


def launch(host: str, port: int, mcp: bool) -> None:
    """Load everything and serve the page until interrupted; exit status 2 with one line when something is missing.

    mcp: whether the public endpoints are served as tools for agents, too.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    if mcp and find_spec("mcp") is None:
        give_up("--mcp: the package mcp is not installed; run pip install -r requirements-mcp.txt")
    try:
        session = Session.over(Library.load())
        build(session).launch(server_name=host, server_port=port, mcp_server=mcp, **launch_options())
    except (ArragError, OSError) as error:
        give_up(" ".join(str(error).split()))


def give_up(reason: str) -> NoReturn:
    """One line and exit status 2."""
    sys.stderr.write(f"error: {reason}\n")
    sys.exit(2)


def launch_options() -> dict[str, Any]:
    """How the page is served: no history, no shared paths, no tracebacks, nothing from other hosts."""
    return {
        "theme": theme(),
        "head": delivery.links(),
        "app_kwargs": {"routes": [delivery.route()], "middleware": [Middleware(delivery.Squeezed)]},
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "enable_monitoring": False,
        "max_file_size": MAX_FILE_BYTES,
        "ssr_mode": False,
        "i18n": translations(words_of(found())),
    }


def theme() -> gr.themes.Base:
    """Fonts and colours of Gradio's own widgets; shapes and spacing are in page.css."""
    base = gr.themes.Base(
        text_size="sm",
        spacing_size="sm",
        radius_size="sm",
        font=[gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=[gr.themes.LocalFont("IBM Plex Mono", weights=(400,)), "ui-monospace", "monospace"],
    )
    light = {name: pair[0] for name, pair in COLOURS.items()}
    dark = {f"{name}_dark": pair[1] for name, pair in COLOURS.items()}
    return base.set(**light, **dark, input_border_width="1px")


def build(session: Session, tabs: Sequence[Tab] | None = None) -> gr.Blocks:
    """The whole page over a session; tabs: those below the stepper, by default all that there are."""
    tabs = found() if tabs is None else tabs
    library, offered = session.library, examples()
    defaults = library.start.settings
    page = gr.Blocks(
        title="AR-RAG Loupe",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(CACHE_CHECK_SECONDS, CACHE_AGE_SECONDS),
    )
    with page:
        endpoints(session, page)
        with gr.Row(elem_id="head", equal_height=False):
            Head(tabs)
            tour = gr.Button("Tour", elem_id="tour-start", size="sm", min_width=0, scale=0)
        with gr.Row(elem_id="ask", equal_height=False):
            prompt = prompt_widget()
            method = controls.method_widget(defaults, library.methods)
            seed = controls.seed_widget(defaults)
            dice = gr.Button("Random", elem_id="dice", size="sm", min_width=0, scale=0)
            generate = gr.Button("Generate", variant="primary", elem_id="generate", min_width=0, scale=0)
            stop = gr.Button("Pause", elem_id="stop", min_width=0, scale=0)
        hint = Hint()
        chips = chip_row(offered.prompts)
        tiles = tile_row([tile for tile in offered.swap if tile.asked.model in library.backends])
        with gr.Row(elem_id="bench", equal_height=False):
            with gr.Column(elem_id="view", scale=1, min_width=0):
                onward = onward_row()
                stepper = Stepper()
            with gr.Column(elem_id="panel", scale=0, min_width=280):
                widgets = {"method": method, "seed": seed, **panel(defaults, library)}
        shown, opened = (gr.State(value, time_to_live=STATE_SECONDS) for value in ("", tabs[0].name))
        parts = Parts(session, Controls(widgets), prompt, stepper, shown, opened)
        with gr.Tabs(elem_id="workbench"):
            for tab in tabs:
                with gr.Tab(tab.label, id=tab.name) as place:
                    tab.build(parts)
                opens = partial(str, tab.name)
                place.select(opens, outputs=opened, show_progress="hidden", api_visibility="private")
        wire(parts, generate, stop, tiles)
        wire_onward(parts, onward)
        wire_choice(parts)
        wire_hint(parts, hint)
        open_link(parts, page)
        guide(parts, tour)
        for chip, text in chips:
            chip.click(None, outputs=prompt, js=f"() => {json.dumps(text)}", api_visibility="private")
        dice.click(None, outputs=seed, js=RANDOM_SEED, api_visibility="private")
        page.unload(on_leave(session))
    translate(page, words_of(tabs))
    page.queue(api_open=False)  # so that no request gets past the queue, its limit and its sessions
    return page


def prompt_widget() -> gr.Textbox:
    """What to draw; Enter generates."""
    return gr.Textbox(
        label="Prompt",
        placeholder="Describe a picture: a thing, a colour, a style",
        elem_id="prompt",
        max_length=MAX_PROMPT,
        lines=1,
        max_lines=3,
        scale=1,
        min_width=240,
    )


def tile_row(tiles: Sequence[Tile]) -> list[tuple[gr.Button, Tile]]:
    """The first example: pictures beside each other that differ in the database alone; a click makes one anew."""
    if not tiles:
        return []
    with gr.Row(elem_id="swap"):
        gr.HTML(html_template=SWAP, js_on_load=None, apply_default_css=False)
        return [
            (gr.Button(tile.label, icon=tile.picture, min_width=0, scale=0, elem_classes="tile"), tile)
            for tile in tiles
        ]


def chip_row(prompts: Sequence[str]) -> list[tuple[gr.Button, str]]:
    """One small button for each example prompt."""
    with gr.Row(elem_id="chips"):
        gr.HTML(html_template="<span lang='en'>Try</span>", js_on_load=None, apply_default_css=False)
        return [(gr.Button(text, size="sm", min_width=0, scale=0, elem_classes="chip"), text) for text in prompts]


def onward_row() -> Mapping[Onward, gr.Button]:
    """How to go on with a paused picture; shown only while there is one."""
    labels: Mapping[Onward, str] = {"patch": "One patch", "row": "One row", "end": "To the end"}
    with gr.Row(elem_id="onward"):
        gr.HTML(html_template=GO_ON, js_on_load=None, apply_default_css=False)
        return {
            how: gr.Button(label, size="sm", min_width=0, scale=0, elem_id=f"onward-{how}")
            for how, label in labels.items()
        }


def panel(defaults: DecodeSettings, library: Library) -> dict[str, gr.components.Component]:
    """The settings in their groups, by name; those of methods that cannot be chosen are there but hidden."""
    faid_group: bool | Literal["hidden"] = "faid" in library.methods or "hidden"
    with gr.Accordion("Model and database", open=True, elem_classes="group"):
        sources: dict[str, gr.components.Component] = {
            "model": controls.model_widget(library.backends),
            "database": controls.database_widget(library.databases),
        }
    with gr.Accordion("Retrieval", open=True, elem_classes="group"):
        first = next(iter(library.databases.values()), None)
        retrieval = controls.knob_widgets(controls.RETRIEVAL_KNOBS, defaults, first)
        retrieval["styles"] = controls.styles_widget(defaults, library.styles, first)
    with gr.Accordion("Distribution mix (DAiD)", open=True, elem_classes=["group", "daid"]):
        daid = controls.knob_widgets(controls.DAID_KNOBS, defaults)
        daid["aggregate"] = controls.aggregate_widget(defaults)
    with gr.Accordion("Feature blend (FAiD)", open=True, visible=faid_group, elem_classes=["group", "faid"]):
        faid = controls.knob_widgets(controls.FAID_KNOBS, defaults)
        faid["record_unblended"] = controls.record_unblended_widget(defaults)
    with gr.Accordion("Sampling", open=False, elem_classes="group"):
        sampling = controls.knob_widgets(controls.SAMPLING_KNOBS, defaults)
    return {**sources, **retrieval, **daid, **faid, **sampling}


def wire(parts: Parts, generate: gr.Button, stop: gr.Button, tiles: Sequence[tuple[gr.Button, Tile]]) -> None:
    """Generate answers at once and then draws; Stop reaches the running drawing without waiting in the queue.

    A tile fills in its prompt and settings, and then does what Generate does.
    """
    draws(parts, partial(gr.on, [generate.click, parts.prompt.submit]))
    for button, tile in tiles:
        draws(parts, fills(parts, button.click, tile).then)
    stop.click(on_stop(parts.session), queue=False, show_progress="hidden", api_visibility="private")


def wire_onward(parts: Parts, buttons: Mapping[Onward, gr.Button]) -> None:
    """Each button goes on with the picture in the stepper, which is a paused one."""
    for how, button in buttons.items():
        button.click(
            on_go_on(parts.session, how),
            inputs=parts.shown,
            outputs=[parts.stepper, parts.shown],
            concurrency_id=MODEL_QUEUE,
            trigger_mode="once",
            show_progress="hidden",
            api_visibility="private",
        )


def wire_choice(parts: Parts) -> None:
    """Another model or database says what it is, and turns off what it cannot do."""
    widgets = parts.settings.widgets
    chosen: list[Any] = [widgets["model"], widgets["database"]]
    gr.on(
        [widget.change for widget in chosen],
        on_chosen(parts.session.library),
        inputs=chosen,
        outputs=[*chosen, *(widgets[name] for name in controls.RESTRICTED)],
        queue=False,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )


def wire_hint(parts: Parts, hint: Hint) -> None:
    """The line under the prompt follows what is typed, and the model."""
    model: Any = parts.settings.widgets["model"]
    gr.on(
        [parts.prompt.change, model.change],
        on_typed(parts.session.library),
        inputs=[parts.prompt, model],
        outputs=hint,
        queue=False,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )


def on_typed(library: Library) -> Callable[[str, str], str]:
    """The handler of another prompt."""

    def typed(prompt: str, model: str) -> str:
        return hint_of(library.backends[model], prompt) if model in library.backends else ""

    return typed


def on_chosen(library: Library) -> Callable[[str, str, gr.Request], list[dict[str, Any]]]:
    """The handler of another model or database."""

    def choose(model: str, database: str, request: gr.Request) -> list[dict[str, Any]]:
        databases = library.databases_of(visitor(request))
        about = (controls.about_model(library.backends, model), controls.about_database(databases, database))
        return [*(gr.update(info=text) for text in about), *controls.restricted(databases.get(database))]

    return choose


def on_go_on(session: Session, how: Onward) -> Callable[[str, gr.Request], Iterator[tuple[Update, Any]]]:
    """The handler of a button that goes on."""

    def go_on(shown: str, request: gr.Request) -> Iterator[tuple[Update, Any]]:
        for update in session.drawing.go_on(visitor(request), shown, how):
            yield update, update.kept or gr.skip()

    return go_on


def on_leave(session: Session) -> Callable[[gr.Request], None]:
    """The handler of a closed page: its run ends, and what it kept is forgotten."""

    def leave(request: gr.Request) -> None:
        session.leave(visitor(request))

    return leave
