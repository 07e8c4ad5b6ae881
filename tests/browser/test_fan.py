"""The tab "From here" in a real browser: ways of going on are drawn, told, stopped and opened."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    at,
    choose,
    enter,
    generate,
    give_focus,
    open_tab,
    ready,
    shows,
    stand,
    until,
    visit,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

AT = 150
OPENED = "document.querySelector('#stepper').loupe.trace.id"


def pick(page: Page, kind: str) -> None:
    """Choose what differs."""
    page.locator(f"#fan-kind input[value={kind}]").locator("..").click()


def draw(page: Page) -> None:
    """Draw all ways, to their ends."""
    page.locator("#fan-draw").click()
    until(page, "#fan", state="streaming")
    until(page, "#fan", state="ready")


def opened(page: Page) -> None:
    """A finished picture, the stepper at a patch, and the tab."""
    stand(page, AT)
    shows(page, AT)
    open_tab(page, "From here")


def test_ways_are_drawn_told_and_opened(page: Page, gradual: str) -> None:
    ready(page, gradual)
    opened(page)
    enter(page.locator("#fan-count input[type=number]"), "5")
    page.keyboard.press("Tab")
    draw(page)
    tiles = page.locator(".fn-tile")
    assert tiles.count() == 5
    notes = page.locator(".fn-tile small").all_inner_texts()
    counts = [int(re.findall(r"(\d+) of 105 later differ", note)[0]) for note in notes]
    own = [place for place, note in enumerate(notes) if "as in the picture above" in note]
    assert len(own) == 1
    assert counts[own[0]] == 0
    others = [count for place, count in enumerate(counts) if place != own[0]]
    summary = page.locator("[data-part=fn-summary]").inner_text()
    assert f"({min(others)} to {max(others)})" in summary or f"(all {others[0]})" in summary
    place = next(place for place in range(5) if place != own[0])
    before = page.evaluate(OPENED)
    give_focus(tiles.nth(place))
    page.keyboard.press("Enter")
    page.wait_for_function(f"{OPENED} !== {before!r}")
    at(page, AT)
    expect(page.locator("[data-part=flip]")).to_contain_text("Chosen by hand")
    differing = page.evaluate(
        "(({ trace }) => trace.arrays.code.filter((code, p) => code !== trace.arrays.parent[p] && p > 150).length)"
        "(document.querySelector('#stepper').loupe)"
    )
    assert differing == counts[place]


def test_luck_and_settings_can_differ_and_marks_are_drawn(page: Page, gradual: str) -> None:
    ready(page, gradual)
    opened(page)
    pick(page, "seeds")
    draw(page)
    assert page.locator(".fn-tile b").first.inner_text() == "seed 0"
    picture = "document.querySelectorAll('.fn-tile > canvas')[3].toDataURL()"
    plain = page.evaluate(picture)
    page.locator("[data-part=fn-marks]").check()
    assert page.evaluate(picture) != plain
    pick(page, "weights")
    expect(page.locator("#fan-count")).to_be_hidden()
    draw(page)
    assert "λ 0.8" in page.locator(".fn-tile b").all_inner_texts()


def test_what_cannot_be_drawn_is_told_and_a_run_can_be_stopped(page: Page, slow: str) -> None:
    visit(page, slow)
    choose(page, "method", "model")
    open_tab(page, "From here")
    page.locator("#fan-draw").click()
    expect(page.locator("[data-part=fn-notice]")).to_contain_text("not kept any more")
    generate(page, "a red disc")
    page.wait_for_function("Number(document.querySelector('#stepper').dataset.steps) > 30")
    page.locator("#stop").click()
    wait_for(page, "stopped")
    stand(page, 20)
    shows(page, 20)
    pick(page, "weights")
    page.locator("#fan-draw").click()
    expect(page.locator("[data-part=fn-notice]")).to_contain_text("changes nothing with Model only")
    pick(page, "codes")
    page.locator("#fan-draw").click()
    page.locator("#fan[data-state=streaming]:not([data-pictures='0'])").wait_for(state="attached")
    page.locator("#fan-stop").click()
    until(page, "#fan", state="stopped")
    expect(page.locator("[data-part=fn-notice]")).to_contain_text("Stopped after ")
