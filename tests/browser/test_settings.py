"""Settings that a person can hold: strengths, where they came from, the things that there are, in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    all_settings,
    enter,
    generate,
    give_focus,
    open_tab,
    part,
    say,
    visit,
    visitor,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

MOST_STOPS = 6
"""Of the Tab key in the basic settings: their view, model, database, strength; one or two more may come."""


def strength(page: Page, name: str) -> None:
    """Expect a strength to be chosen."""
    expect(page.locator("#strength label.selected")).to_have_text(name)


def holds(page: Page, label: str, number: str) -> None:
    """Expect the field of a setting to hold a number; it follows a strength a moment later."""
    field = page.locator("#panel .lp-knob", has_text=label).locator("input[type=number]")
    expect(field).to_have_value(number)


def drawn(page: Page, prompt: str) -> None:
    """Wait for a picture of a prompt."""
    expect(page.locator("[data-part=title]")).to_have_text(prompt)
    wait_for(page, "ready")


def stops(page: Page, first: str) -> int:
    """How often Tab stops within the settings, from the first of them on."""
    give_focus(page.locator(first))
    for count in range(1, 60):
        page.keyboard.press("Tab")
        if not page.evaluate("Boolean(document.activeElement.closest('#panel'))"):
            return count
    raise AssertionError("Tab does not leave the settings")


def test_the_basic_settings_are_few_stops_and_each_group_is_one(page: Page, quick: str) -> None:
    visit(page, quick)
    expect(page.locator("#strength [role=radiogroup]")).to_have_attribute("aria-label", "Strength")
    basic = stops(page, "#settings input:checked")
    all_settings(page)
    everything = stops(page, "#settings input:checked")
    assert basic <= MOST_STOPS
    assert everything > 3 * basic


def test_a_strength_sets_its_settings_and_they_say_which_it_is(page: Page, quick: str) -> None:
    visit(page, quick)
    strength(page, "A little")
    page.locator("#strength label", has_text="Strong").click()
    strength(page, "Strong")
    holds(page, "Gate", "2")
    holds(page, "Caption filter", "8")
    page.keyboard.press("ArrowDown")
    strength(page, "Follow one picture")
    expect(page.locator("#strength")).to_contain_text("copied")
    holds(page, "Caption filter", "1")
    all_settings(page)
    enter(page.get_by_label("Gate").first, "1")
    page.keyboard.press("Tab")
    expect(page.locator("#strength")).to_contain_text("Custom")
    expect(page.locator("#strength label.selected")).to_have_count(0)
    page.locator("#strength label", has_text="Off").click()
    expect(page.locator("#method label.selected")).to_have_text("Model only")
    holds(page, "Gate", "1")  # which means nothing then, and stays
    generate(page, "a red disc")
    drawn(page, "a red disc")
    assert "Model only" in part(page, "facts")


def test_what_a_link_has_set_is_said_and_can_be_undone(page: Page, quick: str) -> None:
    page.goto(f"{quick}/?seed=7&retrieval_weight=0.9&gate=0")
    said = page.locator("#origin")
    expect(said).to_contain_text("Model, database, seed and settings are those of the link.")
    expect(page.locator("#strength")).to_contain_text("Custom")
    page.locator("#reset").click()
    expect(said).to_be_hidden()
    strength(page, "A little")
    expect(page.locator("#seed input")).to_have_value("0")


def test_a_chip_draws_with_the_settings_as_they_are(page: Page, quick: str) -> None:
    visit(page, quick)
    page.locator("#strength label", has_text="Off").click()
    expect(page.locator("#method label.selected")).to_have_text("Model only")
    chip = page.locator("#chips .chip").nth(1)
    prompt = chip.inner_text()
    chip.click()
    drawn(page, prompt)
    expect(page.locator("#prompt textarea")).to_have_value(prompt)
    assert "Model only" in part(page, "facts")


def test_things_are_seen_suggested_and_chosen_with_the_keyboard(page: Page, quick: str) -> None:
    visit(page, quick)
    all_things_can_be_seen_and_escape_closes_them(page)
    a_prompt_that_is_no_thing_says_so_and_offers_the_nearest(page)
    offers = page.locator("#things [role=option]")
    say(page, "a red disc number 1")
    expect(offers.first).to_contain_text("disc number 1")
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#things [aria-selected]")
    expect(chosen).to_have_count(1)
    text = chosen.inner_text()
    field = page.locator("#prompt textarea")
    expect(field).to_have_attribute("aria-activedescendant", "things-0")
    page.keyboard.press("Enter")
    expect(field).to_have_value(f"a red {text}")
    expect(field).to_be_focused()
    expect(page.locator("#things")).to_be_hidden()
    page.keyboard.press("Enter")  # and now it draws
    drawn(page, f"a red {text}")


def all_things_can_be_seen_and_escape_closes_them(page: Page) -> None:
    """Expect it of a page where nothing was typed."""
    shown = page.locator(".ta-all")
    expect(shown).to_have_text("all 40")
    shown.click()
    expect(page.locator("#things [role=option]")).to_have_count(40)
    page.keyboard.press("Escape")
    expect(page.locator("#things")).to_be_hidden()
    expect(page.locator("#prompt textarea")).to_be_focused()


def a_prompt_that_is_no_thing_says_so_and_offers_the_nearest(page: Page) -> None:
    """Expect it, and take what is offered."""
    say(page, "dizc numbr")
    hint = page.locator("#hint")
    expect(hint).to_contain_text("The database has pictures of 40 things, and “dizc numbr” is none of them")
    use = page.get_by_role("button", name="Use “")
    near = use.inner_text().removeprefix("Use “").removesuffix("”")
    use.click()
    expect(page.locator("#prompt textarea")).to_have_value(near)
    expect(hint).not_to_contain_text("none of them")


def test_own_pictures_are_drawn_from_closely_loosely_and_by_a_click_on_one(
    page: Page, quick: str, tmp_path: Path
) -> None:
    for name, colour in (("red kite", (200, 40, 40)), ("blue kite", (40, 40, 200))):
        Image.fromarray(np.full((64, 64, 3), colour, np.uint8)).save(tmp_path / f"{name}.png")
    visit(page, quick)
    open_tab(page, "Your pictures")
    expect(page.locator("#bring-draw")).to_be_hidden()
    with page.expect_file_chooser() as chooser:
        page.locator("#bring-files").click()
    chooser.value.set_files(sorted(tmp_path.glob("*.png")))
    expect(page.locator("#bring-status textarea")).to_have_value(
        "2 pictures are in your database; file names are the captions."
    )
    page.locator("#bring-seen .bs-picture").first.click()
    drawn(page, "blue kite")
    strength(page, "Follow one picture")
    expect(page.locator("#database label.selected")).to_have_text("Yours")
    assert "databaseYours" in part(page, "facts").replace("\n", "")
    say(page, "a red kite")
    page.locator("#bring-loosely").click()
    drawn(page, "a red kite")
    strength(page, "Strong")
    page.locator("#bring-forget").click()
    expect(page.locator("#bring-draw")).to_be_hidden()


def test_the_settings_fit_a_phone(browser: Browser, quick: str) -> None:
    with visitor(browser, viewport={"width": 390, "height": 844}, has_touch=True) as page:
        visit(page, quick)
        page.locator("#more").click()
        expect(page.locator("#strength label")).to_have_count(4)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        heights = page.locator("#strength label, #settings label").evaluate_all(
            "labels => labels.map(label => label.getBoundingClientRect().height)"
        )
        assert min(heights) >= 24
