"""Every control with the mouse and the keyboard, as people use them: clicked at its centre, typed in by letters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from app.tabs import found
from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    all_settings,
    at,
    enter,
    generate,
    open_tab,
    paused,
    ready,
    stand,
    until,
    visit,
    visitor,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

TRIES = 4
"""How often the stepper fetches a trace before it says that it cannot."""

MISSED = """
(room) => {
  const wanted = "button, input, textarea, select, summary, a[href], [role=tab], [role=combobox], [tabindex='0']";
  const missed = [];
  let seen = 0;
  for (const node of document.querySelector(room).querySelectorAll(wanted)) {
    if (!node.checkVisibility() || node.closest(".visually-hidden, .page-skip, dialog:not([open])")) continue;
    node.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
    const box = node.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    seen++;
    const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    if (!node.contains(hit) && hit?.closest("label")?.control !== node) {
      missed.push(`${node.outerHTML.slice(0, 160)} is covered by ${hit?.outerHTML.slice(0, 160)}`);
    }
  }
  return [seen, missed];
}
"""
"""How many controls of a part of the page can be seen, and which of them a click at their centre does not reach."""


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_a_click_at_the_centre_of_a_control_reaches_it(browser: Browser, quick: str, width: int) -> None:
    with visitor(browser, viewport={"width": width, "height": 900}) as page:
        ready(page, quick)
        all_settings(page)
        for head in page.locator("#panel .label-wrap:not(.open)").all():
            head.click()
        stand(page, 120)
        page.locator("#whatif [data-wi=root]").scroll_into_view_if_needed()
        until(page, "#whatif [data-wi=root]", step=120)
        seen, missed = page.evaluate(MISSED, "body")
        assert seen > 100
        assert missed == []
        for tab in found()[1:]:
            open_tab(page, tab.label)
            page.wait_for_timeout(300)
            seen, missed = page.evaluate(MISSED, "#workbench")
            assert seen >= 3  # of Learn on a phone: a tab, the menu of the others, and the tour
            assert missed == []


# ---------------------------------------------------------------------------------------------------------------------
# Number fields


def typed(page: Page, text: str) -> None:
    """Type into what has the focus, letter by letter, with time for answers in between."""
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    page.keyboard.type(text, delay=80)


def test_every_slider_takes_a_number_that_is_typed(page: Page, quick: str) -> None:
    visit(page, quick)
    all_settings(page)
    page.locator("#panel .label-wrap", has_text="Sampling").click()
    fields = page.locator("#panel .lp-knob input[type=number]")
    expect(fields).to_have_count(13)
    for field in fields.all():
        step = float(str(field.get_attribute("step")))
        text = "7" if step == 1 else "0,4"  # with a comma
        field.click()
        typed(page, text)
        page.keyboard.press("Tab")
        expect(field).to_have_value(text.replace(",", "."))
        expect(field.locator("xpath=ancestor::*[contains(@class, 'lp-knob')]//input[@type='range']")).to_have_value(
            text.replace(",", ".")
        )
    expect(page.get_by_role("tab", name="What if")).to_have_attribute("aria-selected", "true")  # digits opened no tab
    generate(page, "a red disc")
    wait_for(page, "ready")
    facts = page.locator("[data-part=facts]").inner_text().replace("\n", "")
    assert "λ0.4" in facts
    assert "K7" in facts


def test_a_seed_that_is_none_is_refused_where_it_stands(page: Page, quick: str) -> None:
    visit(page, quick)
    seed = page.locator("#seed input")
    for text in ("1.5", "1,5", "-1", "4294967296", "-"):
        seed.click()
        typed(page, text)
        expect(page.locator(".page-said:not(.page-tip)")).to_be_visible()
        expect(page.locator(".page-said:not(.page-tip)")).not_to_be_empty()
        expect(seed).to_have_attribute("aria-invalid", "true")
        typed(page, "15")
        expect(page.locator(".page-said:not(.page-tip)")).to_be_hidden()
        expect(seed).not_to_have_attribute("aria-invalid", "true")


def test_half_a_seed_draws_nothing_where_there_is_no_picture(page: Page, quick: str) -> None:
    visit(page, quick)
    enter(page.locator("#seed input"), "1.5")
    generate(page, "a red disc")
    wait_for(page, "error")
    expect(page.locator("[data-part=notice]")).to_contain_text("from 0 to 4294967295, not 1.5.")
    expect(page.locator("#seed input")).to_have_value("1.5")


# ---------------------------------------------------------------------------------------------------------------------
# The focus stays where it is


@pytest.fixture
def asked(drawn: Page) -> Page:
    """A page with a finished picture, and the tab "What if" at one of its positions, with nothing changed."""
    stand(drawn, 120)
    drawn.locator("#whatif [data-wi=root]").scroll_into_view_if_needed()
    until(drawn, "#whatif [data-wi=root]", step=120)
    reset = drawn.locator("#whatif").get_by_role("button", name="Reset")
    if reset.is_enabled():
        reset.click()
    expect(drawn.locator("#whatif [data-wi=said]")).to_have_text("")
    return drawn


def test_a_weight_is_typed_letter_by_letter(asked: Page) -> None:
    weight = asked.locator("#whatif tr[data-entry] input").nth(1)
    weight.click()
    for text, held in (("15", "15"), ("0,5", "0.5"), ("120", "120")):
        typed(asked, text)
        expect(weight).to_be_focused()
        expect(weight).to_have_value(held)
        expect(asked.locator("#whatif [data-wi=said]")).to_have_text("1 weighed")
    typed(asked, "")
    asked.keyboard.press("Tab")
    expect(weight).to_have_value("120")  # what counts, as nothing was typed
    expect(asked.get_by_role("tab", name="What if")).to_have_attribute("aria-selected", "true")


def test_the_focus_stays_on_what_was_pressed(asked: Page) -> None:
    near, panel = asked.locator("#whatif tr[data-entry]"), asked.locator("#whatif")
    for button in (
        near.nth(1).get_by_role("button", name="Drop"),
        near.nth(2).get_by_role("button", name="Pin"),
        asked.locator("#whatif tr[data-code]").nth(3).get_by_role("button"),
    ):
        button.click()
        before = panel.locator("[data-wi=root]").get_attribute("data-number")
        asked.keyboard.press("Enter")  # once more
        expect(panel.locator("[data-wi=root]")).not_to_have_attribute("data-number", str(before))
        expect(button).to_be_focused()
    reset = panel.get_by_role("button", name="Reset")
    near.nth(1).get_by_role("button", name="Drop").click()
    reset.click()
    expect(reset).to_be_disabled()
    expect(reset).to_be_focused()


def test_after_a_branch_the_focus_and_the_page_stay(asked: Page) -> None:
    first = str(asked.locator("#stepper").get_attribute("data-trace-id"))
    enter(asked.locator("#whatif input[type=number][name=retrieval_weight]"), "1")
    button = asked.locator("#whatif").get_by_role("button", name="Branch here")
    button.click()
    asked.locator("#whatif [data-wo=root][data-run]").wait_for()
    expect(asked.locator("#stepper")).not_to_have_attribute("data-trace-id", first)
    expect(button).to_be_focused()
    for part in ("[data-wi=branch]", "[data-wo=before]", "[data-wo=after]"):  # and nothing lies over it
        assert asked.locator(f"#whatif {part}").evaluate(
            "(node) => { const { left, top, bottom } = node.getBoundingClientRect();"
            " return [top, bottom - 1].every((y) => document.elementFromPoint(left + 9, y)?.closest('#whatif')); }"
        )


def test_arrows_step_after_a_button_was_pressed(page: Page, quick: str) -> None:
    ready(page, quick)
    for selector in ("#generate", ".chip"):
        before = page.locator("#stepper").get_attribute("data-trace-id")
        page.locator(selector).first.click()
        page.locator(f"#stepper[data-state=ready]:not([data-trace-id='{before}'])").wait_for()
        last = int(page.locator("#stepper").get_attribute("data-step") or 0)
        page.keyboard.press("ArrowLeft")
        at(page, last - 1)
        page.keyboard.press("ArrowRight")
        at(page, last)


# ---------------------------------------------------------------------------------------------------------------------
# What goes wrong leaves what is there usable


def test_a_trace_that_cannot_be_fetched_is_fetched_again(page: Page, quick: str) -> None:
    ready(page, quick, "a red disc")
    stand(page, 100)
    first = page.locator("#stepper").get_attribute("data-trace-id")
    failures = [True] * TRIES

    def fail(route: Route) -> None:
        if failures:
            failures.pop()
            route.abort()
        else:
            route.continue_()

    page.route("**/*trace.bin", fail)
    generate(page, "a blue disc")
    wait_for(page, "error")
    again = page.locator("[data-part=again]")
    expect(page.locator("#stepper")).to_have_attribute("data-trace-id", str(first))
    at(page, 100)
    page.keyboard.press("ArrowLeft")  # the old picture is there to be stepped through
    at(page, 99)
    assert not failures
    again.click()
    wait_for(page, "ready")
    expect(page.locator("[data-part=title]")).to_have_text("a blue disc")
    expect(again).to_be_hidden()


def test_what_is_written_back_while_a_number_is_typed_changes_nothing(page: Page, quick: str) -> None:
    visit(page, quick)
    all_settings(page)
    for field, first, rest in (("#seed input", "1.", "5"), ("#panel .lp-knob input[type=number] >> nth=3", "0.", "4")):
        number = page.locator(field)
        enter(number, first)
        number.evaluate("field => { field.value = field.value; }")  # as Gradio does, a little late
        page.keyboard.type(rest)
        assert number.input_value() == first + rest


def test_an_error_leaves_a_paused_picture_paused(page: Page, slow: str) -> None:
    steps = paused(page, slow)
    generate(page, "  ")
    wait_for(page, "error")
    one = page.locator("#onward-patch")
    one.click()
    until(page, "#stepper", state="stopped", steps=steps + 1)
    expect(one).to_be_focused()


def test_patches_have_pictures_whatever_is_asked_for_first(page: Page, quick: str) -> None:
    visit(page, quick)
    open_tab(page, "Read a picture")
    page.locator("#image-take").click()
    until(page, "[data-wm=root]", state="ready")
    page.wait_for_function("document.querySelector('#stepper').loupe.atlas")


def test_five_clicks_draw_one_picture(page: Page, slow: str) -> None:
    visit(page, slow)
    generate(page, "a red disc")
    for _ in range(4):
        page.wait_for_timeout(150)
        page.locator("#generate").click()
    page.wait_for_function("Number(document.querySelector('#stepper').dataset.steps) > 2")
    page.locator("#stop").click()
    wait_for(page, "stopped")
    expect(page.locator(".rl-run")).to_have_count(1)


@pytest.mark.parametrize("prompt", ["x" * 245, " ".join(["y" * 43] * 6)])
def test_a_long_prompt_has_a_short_file(page: Page, quick: str, prompt: str) -> None:
    ready(page, quick, prompt)
    page.get_by_role("tab", name="Keep and share").click()
    for button, suffix in (("#save-page", ".html"), ("#save-trace", ".npz")):
        with page.expect_download() as saved:
            page.locator(button).click()
        assert len(saved.value.suggested_filename.encode()) < 120
        assert saved.value.suggested_filename.endswith(f"_seed-0{suffix}")


# ---------------------------------------------------------------------------------------------------------------------
# These tests


def test_tests_of_the_page_click_and_type() -> None:
    """`fill`, `focus` and `press` of a locator go past the mouse: they hid what nobody could click or type in."""
    past = re.compile(r"\.(fill|focus|press_sequentially|dispatch_event|clear|set_checked)\(|(?<!keyboard)\.press\(")
    places = sorted(Path(__file__).parent.glob("*.py"))
    lines = [(path.name, line) for path in places for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) > 1000
    assert [found for found in lines if past.search(found[1]) and "re.compile" not in found[1]] == []
