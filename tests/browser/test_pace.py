"""Pictures that are drawn slowly or patch by patch, each look-up shown before the next patch, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import fetched_arrays, generate, until, visit, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

DRAWN = "Number(document.querySelector('#stepper').dataset.steps) >= %d"


def paced(page: Page, url: str, pace: str) -> None:
    """Begin a picture at a pace."""
    visit(page, url)
    choice = page.locator(f"#pace input[value={pace}]")
    choice.locator("..").click()
    expect(choice).to_be_checked()
    generate(page, "a red disc")
    wait_for(page, "stopped")


def test_patch_by_patch_waits_for_the_visitor(page: Page, quick: str) -> None:
    paced(page, quick, "hand")
    until(page, "#stepper", steps=1, step=0)
    page.locator("#onward-patch").click()
    until(page, "#stepper", state="stopped", steps=2, step=1)
    page.locator("#onward-row").click()
    until(page, "#stepper", state="stopped", steps=16)
    page.locator("#onward-end").click()
    wait_for(page, "ready")
    assert len(fetched_arrays(page)[1]["code"]) == 256


def test_slowly_goes_on_by_itself_and_shows_each_look_up_until_it_is_paused(page: Page, quick: str) -> None:
    paced(page, quick, "slowly")
    page.wait_for_function(DRAWN % 4)
    expect(page.locator("[data-part=choice]")).to_contain_text("row 0, column")
    page.locator("#stop").click()
    page.wait_for_function("document.querySelector('#stepper').dataset.state === 'stopped'")
    page.wait_for_timeout(1500)  # three times as long as it looks at one
    stood = page.locator("#stepper").get_attribute("data-steps")
    page.wait_for_timeout(1500)
    assert page.locator("#stepper").get_attribute("data-steps") == stood
    page.locator("#onward-end").click()
    wait_for(page, "ready")


def test_a_slow_picture_is_the_same_picture(page: Page, other: Page, quick: str) -> None:
    paced(page, quick, "hand")
    page.locator("#onward-row").click()
    until(page, "#stepper", state="stopped", steps=16)
    page.locator("#onward-end").click()
    wait_for(page, "ready")
    visit(other, quick)
    generate(other, "a red disc")
    wait_for(other, "ready")
    assert (fetched_arrays(page)[1]["code"] == fetched_arrays(other)[1]["code"]).all()
