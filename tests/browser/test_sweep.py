"""A sweep in a real browser: drawing, stopping, opening one picture, and what is told of values that make no sense."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import enter, say, tab_to, until, visit, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


def open_tab(page: Page, url: str, across: str = "0, 0.5, 1", down: str = "0.1, 1") -> None:
    """The page with the sweep in view, and values."""
    visit(page, url)
    page.get_by_role("tab", name="Sweep").click()
    say(page, "a red disc")
    for name, values in (("across", across), ("down", down)):
        enter(page.locator(f"#sweep-{name}-values").locator("textarea, input"), values)


def state(page: Page, name: str) -> None:
    """Wait for a state of the sweep."""
    until(page, "#sweep", state=name)


def test_a_sweep_fills_a_table_and_a_picture_opens(page: Page, gradual: str) -> None:
    open_tab(page, gradual)
    page.locator("#sweep-draw").click()
    page.wait_for_function("document.querySelector('#sweep').dataset.state === 'streaming'")
    state(page, "ready")
    assert page.locator("#sweep thead th").all_inner_texts() == ["λ 0", "λ 0.5", "λ 1"]
    assert page.locator("#sweep tbody th").all_inner_texts() == ["τ 0.1", "τ 1"]
    notes = page.locator(".sw-tile small").all_inner_texts()
    assert notes[0] == "first"
    assert notes[3] == "0"  # with λ 0, τ changes nothing
    assert int(notes[2]) > 0
    tile = page.get_by_role("button", name="Open λ 1, τ 1")
    tile.click()
    wait_for(page, "ready")
    facts = page.locator("[data-part=facts]").inner_text().replace("\n", "")
    assert "λ1" in facts
    assert "τ1" in facts
    page.wait_for_function("document.querySelector('#stepper').getBoundingClientRect().top < innerHeight / 2")
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#rail .rl-run")).to_have_count(1)  # only what was opened is a run of the visit


def test_stop_keeps_what_was_drawn(page: Page, slow: str) -> None:
    open_tab(page, slow)
    expect(page.locator("#sweep-stop")).to_be_hidden()
    page.locator("#sweep-draw").click()
    page.wait_for_function("Number(document.querySelector('#sweep').dataset.steps) > 2")
    page.locator("#sweep-stop").click()
    state(page, "stopped")
    steps = int(page.locator("#sweep").get_attribute("data-steps") or 0)
    assert 2 < steps < 256
    expect(page.locator("[data-part=sw-notice]")).to_contain_text(f"Stopped after {steps} of 256")
    page.locator(".sw-tile").nth(1).click()
    wait_for(page, "stopped")
    assert page.locator("#stepper").get_attribute("data-steps") == str(steps)


def test_values_that_make_no_sense_are_told_and_what_was_drawn_stays(page: Page, quick: str) -> None:
    open_tab(page, quick, "0, 1", "0.1")
    page.locator("#sweep-draw").click()
    state(page, "ready")
    enter(page.locator("#sweep-across-values").locator("textarea, input"), "0, <b>much</b>")
    page.locator("#sweep-draw").click()
    expect(page.locator("[data-part=sw-notice]")).to_contain_text("not '0, <b>much</b>'.")
    state(page, "ready")
    assert page.locator(".sw-tile").count() == 2
    tab_to(page, ".sw-tile")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".sw-tile").nth(1)).to_be_focused()


def test_another_setting_brings_its_own_values(page: Page, quick: str) -> None:
    open_tab(page, quick)
    page.locator("#sweep-across input").click()
    page.get_by_role("option", name="Neighbours K").click()
    expect(page.locator("#sweep-across-values").locator("textarea, input")).to_have_value("1, 4, 16, 64, 256")
