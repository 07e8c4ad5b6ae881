"""The charts of the page and the figures for a paper say the numbers of the metrics."""

from __future__ import annotations

import io
import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.charts import CEILING, CHARTS, DISTRIBUTIONS, outside_text
from app.paper import ALL, DPI, MOSAICS, PANELS, WIDTHS, paper_figure, rendered
from core.analysis.metrics import PARTS, Metrics, measure
from core.types import Change, ConfigError
from tests.app.test_views import faid_trace, small_trace

PLAIN = small_trace().settings


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """Six positions in two rows; only position 4 retrieved, three neighbours at 0, 0, ln 2."""
    seen = measure(small_trace())
    return replace(seen, milliseconds=np.arange(18, dtype=np.float32).reshape(6, 3))


def drawn(metrics: Metrics, name: str) -> dict[str, dict[str, list[float]]]:
    """What a chart draws, by the name of the trace, as the page reads it."""
    figure = json.loads(CHARTS[name].draw(metrics).to_json())
    return {trace.get("name", ""): trace for trace in figure["data"]}


def said(metrics: Metrics, name: str) -> list[str]:
    """What is written into a chart."""
    layout = json.loads(CHARTS[name].draw(metrics).to_json())["layout"]
    return [note["text"] for note in layout.get("annotations", []) if note["text"]]


def test_entropy_is_drawn_by_row(metrics: Metrics) -> None:
    lines = drawn(metrics, "entropy")
    assert list(lines) == list(DISTRIBUTIONS)
    assert lines["without look-up"]["y"] == pytest.approx([1.2130, 1.2130], abs=1e-3)
    assert lines["look-up"]["y"] == [None, pytest.approx(0.5004, abs=1e-3)]
    assert lines["mix"]["x"] == [0, 1]


def test_kl_is_drawn_by_position(metrics: Metrics) -> None:
    bars, line = drawn(metrics, "kl").values()
    assert bars["y"] == pytest.approx([0, 0, 0, 0, 0.2960, 0], abs=1e-4)
    assert (line["name"], line["y"]) == (CEILING, pytest.approx([math.log(2)] * 6))  # lambda is 0.5
    assert bars["customdata"][4] == [1, 1]
    assert said(metrics, "kl") == []


def test_the_ceiling_is_drawn_only_where_there_is_one() -> None:
    assert list(drawn(measure(faid_trace("faid+daid")), "kl")) == [""]
    for settings in (replace(PLAIN, method="model"), replace(PLAIN, retrieval_weight=1.0)):
        assert not measure(small_trace(settings)).has_ceiling
    gated = replace(PLAIN, gate=0.1)
    assert measure(small_trace(gated)).ceiling == pytest.approx([math.log(2)] * 6)  # at the full lambda


@pytest.mark.parametrize("changed", [False, True])
def test_the_ceiling_follows_the_settings_of_each_position(changed: bool) -> None:
    changes = (Change(4, settings=replace(PLAIN, retrieval_weight=0.2)),) if changed else ()
    most = measure(replace(small_trace(), changes=changes)).ceiling
    assert most == pytest.approx([math.log(2)] * 4 + [-math.log(0.8) if changed else math.log(2)] * 2)


def test_distances_are_shares(metrics: Metrics) -> None:
    bars = drawn(metrics, "distances")
    assert sum(bars["all neighbours"]["y"]) == pytest.approx(100)
    assert bars["all neighbours"]["y"][0] == pytest.approx(200 / 3)
    assert bars["the nearest"]["y"][0] == pytest.approx(100)


def test_effective_neighbours_are_drawn_where_there_are_some(metrics: Metrics) -> None:
    dots, line = drawn(metrics, "effective").values()
    expected = math.exp(-0.8 * math.log(0.4) - 0.2 * math.log(0.2))
    assert (dots["x"], dots["y"]) == ([4], pytest.approx([expected]))
    assert (line["x"], line["y"]) == ([1, 4], [None, pytest.approx(expected)])


def test_time_is_stacked_by_part(metrics: Metrics) -> None:
    areas = drawn(metrics, "time")
    assert list(areas) == list(PARTS)
    assert areas["search"]["y"] == [1, 4, 7, 10, 13, 16]
    assert outside_text(metrics) == ""
    slow = np.ones((100, 3), np.float32)
    slow[7] = 200
    assert said(replace(metrics, milliseconds=slow), "time") == ["1 above, up to 600 ms"]


def test_charts_say_what_is_missing() -> None:
    alone = measure(replace(small_trace(), steps=small_trace().steps[:4]))
    assert said(alone, "distances") == said(alone, "effective") == ["nothing was looked up in this run"]
    assert said(measure(faid_trace(recorded=False)), "kl") == ["not recorded in this run"]
    assert "without look-up" not in drawn(measure(faid_trace(recorded=False)), "entropy")


@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("name", [*PANELS, ALL])
def test_figures_have_the_size_of_the_column(metrics: Metrics, name: str, width: str) -> None:
    figure = paper_figure(metrics, name, width)
    assert figure.get_figwidth() == WIDTHS[width]
    assert len(figure.axes) == (len(PANELS) if name == ALL else 1)
    sizes = {text.get_fontsize() for axes in figure.axes for text in (axes.xaxis.label, axes.yaxis.label)}
    assert sizes == {8}


def test_a_png_has_print_resolution(metrics: Metrics) -> None:
    with Image.open(io.BytesIO(rendered(paper_figure(metrics, "kl", "one column"), "png"))) as picture:
        assert picture.width == pytest.approx(3.35 * DPI, abs=1)
        assert picture.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)


def test_an_svg_needs_no_font(metrics: Metrics) -> None:
    root = ET.fromstring(rendered(paper_figure(metrics, ALL, "two columns"), "svg"))
    points = {name: float(root.attrib[name].removesuffix("pt")) for name in ("width", "height")}
    assert points == pytest.approx({"width": 6.9 * 72, "height": MOSAICS["two columns"][0] * 72})
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "path" in tags
    assert "text" not in tags


@pytest.mark.parametrize(("name", "width"), [("secret", "one column"), ("kl", "three columns")])
def test_figures_that_are_not_there_are_told(metrics: Metrics, name: str, width: str) -> None:
    with pytest.raises(ConfigError, match="expected one of entropy, kl"):
        paper_figure(metrics, name, width)
