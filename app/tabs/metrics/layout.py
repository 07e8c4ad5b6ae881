"""What the tab "Metrics" lays out, and its events.

Charts are made when the tab is opened, and again when another run comes into the stepper while it is open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData

from app.charts import CHARTS, Chart
from app.paper import ALL, WIDTHS, Format, paper_figure, rendered
from app.session import Session
from app.tabs.parts import Parts, visitor
from core.analysis.metrics import Metrics, measure
from core.types import ConfigError

NAME = Path(__file__).parent.name
CONFIG = {"displayModeBar": False, "displaylogo": False}
EMPTY = '<p class="me-empty">Draw a picture, and see here what happened while it was drawn.</p>'
SAVE = "() => setTimeout(() => document.querySelector('#me-file').click(), 50)"


def build(parts: Parts) -> None:
    """Lay out the charts and the downloads, and wire them."""
    empty = gr.HTML(html_template=EMPTY, js_on_load=None, elem_id="me-empty", apply_default_css=False)
    with gr.Column(visible=False, elem_id="metrics") as body:
        with gr.Row(elem_id="me-charts", equal_height=False):
            plots = [chart_widget(name, chart) for name, chart in CHARTS.items()]
        with gr.Row(elem_id="me-download", equal_height=False):
            figure, width, buttons = download_widgets()
        file = gr.DownloadButton("File", visible="hidden", elem_id="me-file")
    gr.on(
        [parts.opened.change, parts.shown.change],
        on_show(parts.session),
        inputs=[parts.opened, parts.shown],
        outputs=[empty, body, *plots],
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )
    for kind, button in buttons.items():
        made = button.click(
            on_download(parts.session, kind),
            inputs=[parts.shown, figure, width],
            outputs=file,
            show_progress="hidden",
            api_visibility="private",
        )
        made.success(None, js=SAVE, api_visibility="private")


def chart_widget(name: str, chart: Chart) -> gr.Plot:
    """A heading and a place for one chart."""
    heading = f'<h3 class="me-heading">{chart.heading} <small>{chart.meaning}</small></h3>'
    with gr.Column(elem_classes="me-chart", min_width=0):
        gr.HTML(html_template=heading, js_on_load=None, apply_default_css=False)
        return gr.Plot(show_label=False, container=False, elem_id=f"me-{name}")


def download_widgets() -> tuple[gr.Dropdown, gr.Radio, Mapping[Format, gr.Button]]:
    """Which figure, how wide, and in which format."""
    choices: list[str | int | float | tuple[str, str | int | float]] = [("All of them", ALL)]
    choices += [(chart.heading, name) for name, chart in CHARTS.items()]
    figure = gr.Dropdown(
        choices, value=ALL, label="Figure for a paper", info="Drawn anew with matplotlib, in print size.",
        min_width=200, elem_id="me-figure",
    )  # fmt: skip
    width = gr.Radio(
        list(WIDTHS),
        value="one column",
        label="Width",
        info="85 or 175 mm.",
        elem_id="me-width",
        elem_classes="lp-pick",
    )
    buttons: dict[Format, gr.Button] = {
        "png": gr.Button("PNG, 300 dpi", size="sm", min_width=0, scale=0, elem_id="me-png"),
        "svg": gr.Button("SVG", size="sm", min_width=0, scale=0, elem_id="me-svg"),
    }
    return figure, width, buttons


def on_show(session: Session) -> Callable[..., list[Any]]:
    """The handler of an opened tab and of another run."""

    def show(opened: str, shown: str, request: gr.Request) -> list[Any]:
        if opened != NAME:
            return [gr.skip()] * (2 + len(CHARTS))
        metrics = metrics_of(session, visitor(request), shown)
        if metrics is None:
            return [gr.update(visible=True), gr.update(visible=False), *[None] * len(CHARTS)]
        return [gr.update(visible=False), gr.update(visible=True), *map(partial(plotted, metrics), CHARTS.values())]

    return show


def on_download(session: Session, kind: Format) -> Callable[..., str]:
    """The handler of a download: the figure as a file to be fetched."""

    def download(shown: str, figure: str, width: str, request: gr.Request) -> str:
        who = visitor(request)
        metrics = metrics_of(session, who, shown)
        if metrics is None:
            raise gr.Error("This picture is not kept any more: draw it again.", print_exception=False)
        data = rendered(paper_figure(metrics, figure, width), kind)
        return session.files.put(who, data, f"{figure}.{kind}", once=True)

    return download


def metrics_of(session: Session, who: str, run: str) -> Metrics | None:
    """The metrics of a run that was kept; None when there is none."""
    try:
        return measure(session.visits.find(who, run).trace)
    except ConfigError:
        return None


def plotted(metrics: Metrics, chart: Chart) -> PlotData:
    """A chart as the page takes it, without plotly's buttons."""
    figure = json.loads(chart.draw(metrics).to_json())
    return PlotData(type="plotly", plot=json.dumps({**figure, "config": CONFIG}))
