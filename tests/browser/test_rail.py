"""The rail of runs in a real browser: one of them shown, undone, named, chosen and deleted, by keys and by pointer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    PAYLOADS,
    at,
    enter,
    generate,
    give_focus,
    part,
    ready,
    stand,
    until,
    visitor,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

RUNS = "#rail .rl-run"
PROMPTS = ("the first disc", "the second disc", "the third disc")


@pytest.fixture(scope="module")
def three(browser: Browser, quick: str) -> Iterator[Page]:
    """A page with three runs, for tests that leave them there."""
    with visitor(browser) as page:
        ready(page, quick, PROMPTS[0])
        for number, prompt in enumerate(PROMPTS[1:], start=2):
            generate(page, prompt)
            expect(page.locator(RUNS)).to_have_count(number)
            wait_for(page, "ready")
        yield page


def shown(page: Page, place: int) -> None:
    """Expect a run to be in the stepper, and to be marked as the one that is."""
    run = str(page.locator(RUNS).nth(place).get_attribute("data-run"))
    until(page, "#stepper", **{"trace-id": run})
    expect(page.locator(f"{RUNS}[aria-current=true]")).to_have_attribute("data-run", run)
    assert page.locator(f"{RUNS}[aria-current=true]").count() == 1


def test_it_is_in_sight_wherever_one_looks(three: Page) -> None:
    inside = """() => {
      const { top, bottom, height } = document.querySelector("#rail").getBoundingClientRect();
      return height > 40 && top >= -1 && bottom <= innerHeight + 1;
    }"""
    for selector in ("#prompt", "[data-part=canvas]", "#workbench", "[data-wi=root]"):
        three.locator(selector).evaluate("(node) => node.scrollIntoView({ block: 'center' })")
        three.wait_for_function(inside)


def test_a_click_shows_a_run_where_the_stepper_stands(three: Page) -> None:
    stand(three, 100)
    three.locator(RUNS).nth(1).click()
    shown(three, 1)
    expect(three.locator("[data-part=title]")).to_have_text(PROMPTS[1])
    at(three, 100)


def test_keys_move_show_choose_and_undo(three: Page) -> None:
    runs = three.locator(RUNS)
    three.locator(RUNS).nth(1).click()
    shown(three, 1)
    three.evaluate("window.scrollTo(0, 200)")
    for key, place in (("End", 2), ("ArrowRight", 2), ("Home", 0), ("ArrowRight", 1), ("ArrowLeft", 0)):
        three.keyboard.press(key)
        expect(runs.nth(place)).to_be_focused()
    assert three.locator(f"{RUNS}[tabindex='0']").count() == 1
    three.keyboard.press("Enter")
    shown(three, 0)
    expect(runs.nth(0)).to_be_focused()
    assert three.evaluate("scrollY") == 200
    three.keyboard.press("Control+z")
    shown(three, 1)
    three.keyboard.press("Control+Shift+Z")
    shown(three, 0)
    enter(three.locator("#prompt textarea"), "abc")
    three.keyboard.press("Control+z")  # in a field it is about what was typed
    expect(three.locator("#rail [data-rl=undo]")).to_be_enabled()
    shown(three, 0)
    for place in (0, 2):
        give_focus(runs.nth(place))
        three.keyboard.press("Space")
        expect(runs.nth(place)).to_have_attribute("aria-checked", "true")
    three.get_by_role("button", name="Compare A, B").click()
    until(three, "#compare", state="ready")
    expect(three.get_by_role("tab", name="Compare")).to_be_focused()
    assert three.locator("#compare .cp-name b").all_inner_texts()[:2] == ["A", "B"]


def test_names_are_shown_and_never_run(drawn: Page) -> None:
    surprises: list[str] = []
    drawn.on("dialog", lambda dialog: (surprises.append(dialog.message), dialog.dismiss()))
    drawn.on("pageerror", lambda error: surprises.append(str(error)))
    rename = drawn.get_by_role("button", name="Rename the run")
    for payload in PAYLOADS:
        rename.click()
        enter(drawn.locator(".rl-name"), payload)
        drawn.keyboard.press("Enter")
        expect(drawn.locator(".rl-words b")).to_have_text(payload)
        expect(rename).to_be_focused()
    give_focus(drawn.locator(RUNS))
    drawn.keyboard.press("F2")
    drawn.keyboard.type("not this")
    drawn.keyboard.press("Escape")
    expect(drawn.locator(".rl-words b")).to_have_text(PAYLOADS[-1])
    assert part(drawn, "title") == "a red disc"
    assert surprises == []


def test_a_name_waits_for_the_end_of_a_composition(drawn: Page) -> None:
    drawn.get_by_role("button", name="Rename the run").click()
    drawn.keyboard.press("ControlOrMeta+a")
    keys = drawn.context.new_cdp_session(drawn)
    keys.send("Input.imeSetComposition", {"text": "にほ", "selectionStart": 2, "selectionEnd": 2})
    for kind, code in (("rawKeyDown", 229), ("keyUp", 13)):
        keys.send("Input.dispatchKeyEvent", {"type": kind, "windowsVirtualKeyCode": code, "key": "Enter"})
    expect(drawn.locator(".rl-name")).to_be_focused()
    keys.send("Input.insertText", {"text": "日本"})
    drawn.keyboard.press("Enter")
    expect(drawn.locator(".rl-words b")).to_have_text("日本")


def test_a_branch_is_joined_to_its_parent_and_a_run_can_be_deleted(page: Page, quick: str) -> None:
    ready(page, quick)
    expect(page.locator("#rail [data-rl=drop]")).to_be_disabled()  # the only one
    stand(page, 100)
    page.locator("#whatif [data-wi=root]").scroll_into_view_if_needed()
    until(page, "#whatif [data-wi=root]", step=100)
    page.locator("#whatif tr[data-code]:not(.is-taken)").first.get_by_role("button").click()
    page.locator("#whatif [data-wi=branch][aria-disabled=false]").click()
    expect(page.locator(RUNS)).to_have_count(2)
    shown(page, 1)
    at(page, 100)
    assert [run.get_attribute("aria-level") for run in page.locator(RUNS).all()] == ["1", "2"]
    expect(page.locator("#rail .rl-lines path")).to_have_count(1)
    page.locator("#whatif [data-wo=root][data-run]").wait_for()
    page.get_by_role("button", name="Step through both").click()
    until(page, "#compare", state="ready")
    assert page.locator("#rail .rl-box").all_inner_texts() == ["A", "B"]
    give_focus(page.locator(RUNS).nth(1))
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(RUNS)).to_have_count(2)
    page.keyboard.press("Delete")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(RUNS)).to_have_count(1)
    shown(page, 0)
    expect(page.locator(RUNS)).to_be_focused()
    expect(page.locator("#rail .rl-lines path")).to_have_count(0)
    expect(page.locator("#rail [data-rl=undo]")).to_be_disabled()


def test_on_a_phone_it_is_one_row_that_scrolls(phone: Page, quick: str) -> None:
    ready(phone, quick)
    generate(phone, "another disc")
    expect(phone.locator(RUNS)).to_have_count(2)
    wait_for(phone, "ready")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.evaluate("document.querySelector('#rail').offsetHeight") < 90
    phone.locator(RUNS).first.locator("img").tap()
    shown(phone, 0)
