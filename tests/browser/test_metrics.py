"""The tab of metrics in a real browser: what is drawn, when, in which colours, and what can be downloaded."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app.charts import CHARTS
from tests.browser.chromium import find_chromium
from tests.browser.visitor import choose, fetched_arrays, generate, open_tab, ready, visit, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


def open_metrics(page: Page) -> None:
    """Open the tab and wait for its last chart."""
    open_tab(page, "Metrics")
    expect(page.locator("#me-time .js-plotly-plot .xtitle")).to_be_visible()


def series(page: Page, name: str) -> list[float | None]:
    """The values of the first series of a chart."""
    values: list[float | None] = page.locator(f"#me-{name} .js-plotly-plot").evaluate("plot => [...plot.data[0].y]")
    return values


def test_charts_are_drawn_when_the_tab_is_opened(page: Page, quick: str) -> None:
    visit(page, quick)
    open_tab(page, "Metrics")
    expect(page.locator(".me-empty")).to_contain_text("Draw a picture")
    open_tab(page, "Sources")
    generate(page, "a red disc")
    wait_for(page, "ready")
    assert page.locator(".js-plotly-plot").count() == 0
    open_metrics(page)
    assert page.locator("#metrics .js-plotly-plot").count() == len(CHARTS)
    expect(page.locator(".me-empty")).to_be_hidden()
    _, arrays = fetched_arrays(page)
    assert series(page, "kl") == pytest.approx(arrays["kl"].tolist(), abs=1e-5)
    entropy = arrays["entropy"].reshape(16, 16, 3)[..., 0].mean(axis=1)
    assert series(page, "entropy") == pytest.approx(entropy.tolist(), abs=1e-5)


def test_charts_follow_the_run_while_the_tab_is_open(page: Page, quick: str) -> None:
    ready(page, quick)
    open_metrics(page)
    before = series(page, "kl")
    choose(page, "method", "model")
    generate(page, "another disc")
    page.wait_for_function("document.querySelector('#me-kl .js-plotly-plot')?.data[0].y.every(value => value === 0)")
    assert any(before)
    expect(page.locator("#me-distances")).to_contain_text("nothing was looked up in this run")


COLOURS = """() => [".xtitle", ".xtick text", ".legendtext"].map(
  part => getComputedStyle(document.querySelector(`#me-entropy ${part}`)).fill)"""


def test_charts_change_with_the_theme_at_once(drawn: Page) -> None:
    open_metrics(drawn)
    light = drawn.evaluate(COLOURS)
    drawn.get_by_role("button", name="Switch between light and dark").click()
    dark = drawn.evaluate(COLOURS)
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_figures_can_be_downloaded(drawn: Page) -> None:
    open_metrics(drawn)
    with drawn.expect_download() as png:
        drawn.locator("#me-png").click()
    with Image.open(io.BytesIO(Path(png.value.path()).read_bytes())) as picture:
        assert picture.width == pytest.approx(3.35 * 300, abs=1)
    drawn.locator("#me-width label", has_text="two columns").click()
    with drawn.expect_download() as svg:
        drawn.locator("#me-svg").click()
    assert svg.value.suggested_filename == "all.svg"
    assert float(ET.parse(svg.value.path()).getroot().attrib["width"].removesuffix("pt")) == pytest.approx(6.9 * 72)
