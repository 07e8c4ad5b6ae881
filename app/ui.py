"""The page: lays out the widgets and wires their events; what is below the stepper is in app/tabs/."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, NoReturn

import gradio as gr
from starlette.middleware import Middleware

from app import controls, delivery, handed, logs, strength, tidying, uploads, zerogpu
from app.api import endpoints
from app.arrivals import MAX_FILE_BYTES
from app.branches import Onward
from app.command_line import Options
from app.controls import Controls
from app.counts import Counts
from app.decoding.lines import InProcess
from app.delivery import address
from app.doors import Doors
from app.ending import CLOSING, to_be_asked, wait, wind_up
from app.examples import examples
from app.head.head import Head
from app.hint import Hint, Told, told_of
from app.journal import Journal
from app.library import Library
from app.pace import pace_widget
from app.presence import Presence, Streams, here
from app.rail.events import wire_rail
from app.rail.rail import Rail
from app.returning import arrival, returns
from app.session import Session
from app.share.share import share
from app.stage.stage import is_drawn_by, stage_buttons
from app.stepper.stepper import Stepper
from app.tabs import found
from app.tabs.keep.link import open_link
from app.tabs.learn.tour import guide
from app.tabs.parts import DRAWS, Parts, draws, on_stop, recovers, tab, visitor
from app.tabs.tab import Tab
from app.things import things_of
from app.typeahead import Typeahead
from app.views import CHOICE_NAMES, Update, sentences
from core.patches.protocol import Database
from core.types import ArragError, DecodeSettings

logger = logging.getLogger("arrag")

STATE_SECONDS = 3600
MOST_EVENTS, MOST_THREADS = 400, 160
"""That wait, and that are dealt with at the same time: each of `app.runs.MOST` drawings takes one."""
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
MORE = """() => {
  const open = document.body.classList.toggle("has-settings");
  document.querySelector("#more").setAttribute("aria-expanded", String(open));
}"""
RANDOM_SEED = "() => Math.floor(Math.random() * 2 ** 32)"
GO_ON = """
<span title="The picture is paused: draw on, or choose its next code by hand under What if">Go on:</span>
"""


def launch(options: Options, passed_over: Sequence[str] = ()) -> None:
    """Load everything and serve the page until it is to end; exit status 2 with one line when something is missing.

    passed_over: variables that somebody has set to no effect, which the log tells.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    if options.mcp and find_spec("mcp") is None:
        give_up("--mcp: the package mcp is not installed; run pip install -r requirements-mcp.txt")
    try:
        zerogpu.prepare()
        library = Library.load()
        place = InProcess(Library.load) if library.small else None
        journal = Journal(counts_of(options), options.log_prompts)
        session = Session.over(library, place, journal)
        with logs.kept(options.log):
            if passed_over:
                logger.info("these variables mean nothing here: %s", ", ".join(passed_over))
            serve(session, options)
    except (ArragError, OSError) as error:
        give_up(" ".join(str(error).split()))


def serve(session: Session, options: Options) -> None:
    """Serve the page until it is to end, and end it."""
    session.speeds.measure()
    session.decoder.warm()
    if options.mcp:
        session.files.serve_agents()
    page, asked = build(session), to_be_asked()
    page.launch(
        server_name=options.host,
        server_port=options.port,
        root_path=options.root_path or None,
        mcp_server=options.mcp,
        quiet=True,
        prevent_thread_lock=True,
        **launch_options(session, is_drawn_by(session.library)),
    )
    logs.take_over()
    logger.info("serving on %s", page.local_url)
    wait(asked)
    wind_up(session.health)
    page.server.config.timeout_graceful_shutdown = CLOSING
    page.close(verbose=False)


def counts_of(options: Options) -> Counts:
    """What counts: nothing, unless that is asked for."""
    if not options.metrics:
        return Counts()
    from app.prometheus import PrometheusCounts  # noqa: PLC0415  (only where it is asked for)

    return PrometheusCounts()


def give_up(reason: str) -> NoReturn:
    """One line and exit status 2."""
    sys.stderr.write(f"error: {reason}\n")
    sys.exit(2)


def launch_options(session: Session, stage: bool = True) -> dict[str, Any]:
    """How the page is served: no history, no shared paths, no tracebacks, nothing from other hosts.

    stage: whether it begins with the finished example.
    """
    streams = Streams()
    middleware = [
        Middleware(Presence, session.visitors, streams),
        *(Middleware(part) for part in delivery.MIDDLEWARE),
        Middleware(Doors, session.uploads),
    ]
    ours = (
        here(session.visitors, streams), delivery.route(), uploads.route(session.uploads), handed.route(session.files),
        session.health.route(),
    )  # fmt: skip
    routes = [*ours, *session.journal.counts.routes()]
    return {
        "theme": theme(),
        "head": delivery.links(stage),
        "app_kwargs": {"routes": routes, "middleware": middleware, "lifespan": tidying.lifespan(session)},
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "enable_monitoring": False,
        "max_threads": MOST_THREADS,
        "max_file_size": MAX_FILE_BYTES,
        "ssr_mode": False,
        "share": False,
        "state_session_capacity": tidying.SESSIONS_KEPT,
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


class Page(gr.Blocks):
    """A page whose clients hold no connection while they wait for nothing.

    Gradio's hold one each to tell that they are there, and a browser has six for each server over HTTP/1.1: the sixth
    tab would hang. Pages say by themselves that they are there (`app/connection/`).
    """

    def get_config_file(self) -> Any:
        """What clients are told of the page."""
        return {**super().get_config_file(), "connect_heartbeat": False}


def build(session: Session, tabs: Sequence[Tab] | None = None) -> gr.Blocks:
    """The whole page over a session; tabs: those below the stepper, by default all that there are."""
    tabs = found() if tabs is None else tabs
    library, offered = session.library, examples()
    defaults = library.start.settings
    page = Page(
        title="AR-RAG Loupe",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(CACHE_CHECK_SECONDS, CACHE_AGE_SECONDS),
    )
    with page:
        endpoints(session, page)
        with gr.Row(elem_id="head", equal_height=False):
            Head(tabs, library.prompt_limit)
            tour = gr.Button("Tour", elem_id="tour-start", size="sm", min_width=0, scale=0)
        with gr.Row(elem_id="ask", equal_height=False):
            prompt = prompt_widget(library.prompt_limit.characters)
            seed = controls.seed_widget(defaults)
            dice = gr.Button("Random", elem_id="dice", size="sm", min_width=0, scale=0)
            generate = gr.Button("Draw", variant="primary", elem_id="generate", min_width=0, scale=0)
            stop = gr.Button("Pause", elem_id="stop", min_width=0, scale=0)
            more = gr.Button("Settings", elem_id="more", min_width=0, scale=0)
        hint = Hint(value=Told(session.speeds.told(library.start.model)))
        with gr.Row(elem_id="origin", equal_height=False):
            origin = Hint("came-from")
            reset = gr.Button("Reset", elem_id="reset", size="sm", min_width=0, scale=0)
        chips, typeahead = chip_row(offered.prompts, library)
        with gr.Row(elem_id="bench", equal_height=False):
            with gr.Column(elem_id="view", scale=1, min_width=0):
                onward = onward_row()
                stepper = Stepper(session.files)
            with gr.Column(elem_id="panel", scale=0, min_width=280):
                widgets = {"seed": seed, **panel(library)}
                pace = pace_widget()
        rail = Rail()
        shown, opened = (gr.State(value, time_to_live=STATE_SECONDS) for value in ("", tabs[0].name))
        parts = Parts(session, Controls(widgets), origin, prompt, stepper, shown, opened, pace, rail)
        with gr.Tabs(elem_id="workbench"):
            for tab in tabs:
                with gr.Tab(tab.label, id=tab.name) as place:
                    tab.build(parts)
                opens = partial(str, tab.name)
                place.select(opens, outputs=opened, show_progress="hidden", api_visibility="private")
        wire(parts, generate, stop, chips)
        stage_buttons(parts)
        wire_onward(parts, onward)
        wire_rail(parts)
        wire_choice(parts, typeahead)
        wire_strength(parts)
        wire_hint(parts, hint)
        returns(parts, open_link(parts, arrival(parts, page)))
        share(parts)
        guide(parts, tour)
        wire_small(parts, dice, more, reset)
    page.queue(max_size=MOST_EVENTS, api_open=False)  # so that no request gets past the queue and its sessions
    return page


def wire_small(parts: Parts, dice: gr.Button, more: gr.Button, reset: gr.Button) -> None:
    """Buttons that only the browser has to do with: another seed, the settings on a narrow page, the own settings."""
    more.click(None, js=MORE, api_visibility="private")
    dice.click(None, outputs=parts.settings.widgets["seed"], js=RANDOM_SEED, api_visibility="private")
    own = json.dumps([*controls.values_of(parts.session.library.start), {"text": ""}])
    reset.click(None, outputs=[*parts.settings.inputs, parts.origin], js=f"() => {own}", api_visibility="private")


def prompt_widget(most: int) -> gr.Textbox:
    """What to draw, in so many characters at most; Enter generates."""
    return gr.Textbox(
        label="Prompt",
        placeholder="Describe a picture: a thing, a colour, a style",
        elem_id="prompt",
        max_length=most,
        lines=1,
        max_lines=3,
        scale=1,
        min_width=240,
    )


def chip_row(prompts: Sequence[str], library: Library) -> tuple[list[tuple[gr.Button, str]], Typeahead]:
    """One small button for each example prompt, and the things that there are."""
    with gr.Row(elem_id="chips"):
        gr.HTML(html_template="<span>Draw</span>", js_on_load=None, apply_default_css=False)
        buttons = [(gr.Button(text, size="sm", min_width=0, scale=0, elem_classes="chip"), text) for text in prompts]
        name = library.start.database
        return buttons, Typeahead((things_of(library.databases.get(name)), CHOICE_NAMES.get(name, name)))


def onward_row() -> Mapping[Onward, gr.Button]:
    """How to go on with a paused picture; shown only while there is one."""
    labels: Mapping[Onward, str] = {"patch": "One patch", "row": "One row", "end": "To the end"}
    with gr.Row(elem_id="onward"):
        gr.HTML(html_template=GO_ON, js_on_load=None, apply_default_css=False)
        return {
            how: gr.Button(label, size="sm", min_width=0, scale=0, elem_id=f"onward-{how}")
            for how, label in labels.items()
        }


def panel(library: Library) -> dict[str, gr.components.Component]:
    """The settings by name: a basic view of three, and all of them in their groups, which page.css shows on demand.

    Those of methods that cannot be chosen are there but hidden.
    """
    start = library.start
    defaults, first = start.settings, library.databases.get(start.database)
    controls.view_widget()
    with gr.Column(elem_id="basic", min_width=0):
        basic: dict[str, gr.components.Component] = {
            "model": controls.model_widget(library.backends),
            "database": controls.database_widget(library.databases),
            "strength": controls.strength_widget(start, library.methods, first, library.first.defaults),
        }
    with gr.Column(elem_id="all-settings", min_width=0):
        return {**basic, **groups(defaults, library, first)}


def groups(defaults: DecodeSettings, library: Library, first: Database | None) -> dict[str, gr.components.Component]:
    """All settings beside the model and the database, in their groups; first: the database that is found chosen."""
    faid_group: bool | Literal["hidden"] = "faid" in library.methods or "hidden"
    method = controls.method_widget(defaults, library.methods)
    with gr.Accordion("Retrieval", open=True, elem_classes="group"):
        retrieval = controls.knob_widgets(controls.RETRIEVAL_KNOBS, defaults, first)
        retrieval["follow"] = controls.follow_widget(defaults, first)
        retrieval |= controls.knob_widgets(controls.FOLLOW_KNOBS, defaults, first)
        retrieval["styles"] = controls.styles_widget(defaults, library.styles, first)
    with gr.Accordion("Distribution mix (DAiD)", open=True, elem_classes=["group", "daid"]):
        daid = controls.knob_widgets(controls.DAID_KNOBS, defaults)
        daid["aggregate"] = controls.aggregate_widget(defaults)
    with gr.Accordion("Feature blend (FAiD)", open=True, visible=faid_group, elem_classes=["group", "faid"]):
        faid = controls.knob_widgets(controls.FAID_KNOBS, defaults)
        faid["record_unblended"] = controls.record_unblended_widget(defaults)
    with gr.Accordion("Sampling", open=False, elem_classes="group"):
        sampling = controls.knob_widgets(controls.SAMPLING_KNOBS, defaults, costs=library.costs)
    return {"method": method, **retrieval, **daid, **faid, **sampling}


def wire(parts: Parts, generate: gr.Button, stop: gr.Button, chips: Sequence[tuple[gr.Button, str]]) -> None:
    """Draw answers at once and then draws; Pause reaches the running drawing without waiting in the queue.

    A chip fills in its prompt, and then does what Draw does.
    """
    draws(parts, partial(gr.on, [generate.click, parts.prompt.submit]))
    for chip, text in chips:
        filled = chip.click(None, outputs=parts.prompt, js=f"() => {json.dumps(text)}", api_visibility="private")
        draws(parts, filled.then)
    stop.click(on_stop(parts.session), queue=False, show_progress="hidden", api_visibility="private")


def wire_onward(parts: Parts, buttons: Mapping[Onward, gr.Button]) -> None:
    """Each button goes on with the picture in the stepper, which is a paused one."""
    for how, button in buttons.items():
        gone_on = button.click(
            on_go_on(parts.session, how),
            inputs=parts.shown,
            outputs=[parts.stepper, parts.shown],
            **DRAWS,
            trigger_mode="once",
            show_progress="hidden",
            api_visibility="private",
        )
        recovers(gone_on, parts.stepper, f"#{button.elem_id}")


def wire_choice(parts: Parts, typeahead: Typeahead) -> None:
    """Another model or database says what it is and which things it has, and turns off what it cannot do."""
    widgets, library = parts.settings.widgets, parts.session.library
    chosen: list[Any] = [widgets["model"], widgets["database"]]
    gr.on(
        [widget.change for widget in chosen],
        on_chosen(library),
        inputs=chosen,
        outputs=[*chosen, *(widgets[name] for name in controls.RESTRICTED), widgets["strength"], typeahead],
        queue=False,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )


def wire_hint(parts: Parts, hint: Hint) -> None:
    """The line under the prompt follows what is typed, the model and the database."""
    chosen: list[Any] = [parts.settings.widgets[name] for name in ("model", "database")]
    gr.on(
        [parts.prompt.change, *(widget.change for widget in chosen)],
        on_typed(parts.session),
        inputs=[parts.prompt, *chosen],
        outputs=hint,
        queue=False,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )


def wire_strength(parts: Parts) -> None:
    """A strength sets its settings, and settings say which strength they are of; all of it in the browser."""
    widgets, library = parts.settings.widgets, parts.session.library
    table = controls.strength_table(library.databases, library.first.defaults)
    fields: list[Any] = [widgets[name] for name in strength.FIELDS]
    chosen: Any = widgets["strength"]
    script = f"async (...values) => (await import(new URL({json.dumps(address('strength.js'))}, document.baseURI)))"
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    chosen.input(
        None, [chosen, widgets["database"], *fields], fields, js=f"{script}.withStrength({table}, ...values)", **quiet
    )
    gr.on(
        [widget.change for widget in (*fields, widgets["database"])],
        None,
        [widgets["database"], *fields],
        chosen,
        js=f"{script}.strengthOf({table}, ...values)",
        **quiet,
    )


def on_typed(session: Session) -> Callable[[str, str, str, gr.Request], Told]:
    """The handler of another prompt, model or database."""
    library, speeds = session.library, session.speeds

    def typed(prompt: str, model: str, database: str, request: gr.Request) -> Told:
        if model not in library.backends:
            return Told("")
        found = library.databases_of(visitor(request)).get(database)
        told = told_of(library.backends[model], found, prompt)
        return replace(told, text=sentences(told.text, speeds.told(model)))

    return typed


def on_chosen(library: Library) -> Callable[[str, str, gr.Request], list[Any]]:
    """The handler of another model or database."""

    def choose(model: str, database: str, request: gr.Request) -> list[Any]:
        databases, methods = library.databases_of(visitor(request)), library.methods_of(visitor(request))
        about = (controls.about_model(library.backends, model), controls.about_database(databases, database))
        found = databases.get(database)
        refused = found.unsupported_settings if found else {}
        strengths = gr.update(choices=controls.strengths_offered(methods, refused, library.first.defaults))
        things = (things_of(found), CHOICE_NAMES.get(database, database))
        return [*(gr.update(info=text) for text in about), *controls.restricted(found), strengths, things]

    return choose


def on_go_on(session: Session, how: Onward) -> Callable[[str, gr.Request], Iterator[tuple[Update, Any]]]:
    """The handler of a button that goes on."""

    def go_on(shown: str, request: gr.Request) -> Iterator[tuple[Update, Any]]:
        for update in session.drawing.go_on(visitor(request), shown, how, tab=tab(request)):
            yield update, update.kept or gr.skip()

    return go_on
