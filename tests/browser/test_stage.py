"""The first screen as a newcomer sees it, in a real browser: before the page is awake, by keys, and on the way out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import PHONE, give_focus, until, visitor, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


@pytest.fixture
def newcomer(browser: Browser) -> Iterator[Page]:
    """Somebody who has never been here, and likes it calm: the play is over at once."""
    with visitor(browser, newcomer=True, reduced_motion="reduce") as page:
        yield page


def arrive(page: Page, url: str) -> None:
    """Come to the page and wait until the stage stands."""
    page.goto(url)
    until(page, "#stage", state="shown")
    until(page, "#stage", playing="false")


def ink(page: Page, part: str) -> int:
    """How many pixels of a canvas of the stage are clearly coloured."""
    script = """canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
      .reduce((sum, v, i, all) => sum + (i % 4 === 0 && all[i + 3] > 200 && v - all[i + 2] > 60), 0)"""
    found: int = page.locator(f"#stage [data-sg={part}]").evaluate(script)
    return found


def test_a_newcomer_sees_a_finished_example(newcomer: Page, quick: str) -> None:
    arrive(newcomer, quick)
    expect(newcomer.get_by_role("heading", level=1)).to_contain_text("never saw a flat-style pizza")
    expect(newcomer.locator("[data-sg=verdict]")).to_have_text("The look-up changed this patch.")
    assert all(ink(newcomer, part) > 1000 for part in ("alone", "drawing", "source"))
    newcomer.set_viewport_size({"width": 1200, "height": 900})
    newcomer.wait_for_function("document.querySelector('[data-sg=drawing]').width < 300")  # drawn in its new size
    until(newcomer, "#stage", whole="true")  # and both pictures are seen to their ends
    assert newcomer.locator("#prompt textarea").is_hidden()
    words = newcomer.locator("#stage h1, #stage .sg-lead").all_inner_texts()
    assert len(" ".join(words).split()) < 40


def test_it_plays_once_and_stands_still_without_asking_for_anything(browser: Browser, quick: str) -> None:
    with visitor(browser, newcomer=True) as page:
        page.goto(quick)
        until(page, "#stage", state="shown")
        until(page, "#stage", playing="true")
        until(page, "#stage", playing="false")
        page.locator(".page-keys[aria-keyshortcuts]").wait_for(state="attached")
        start = page.locator("#stage").get_attribute("data-position")
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.get_by_role("button", name="Play").click()
        until(page, "#stage", playing="true")
        until(page, "#stage", playing="false")
        assert page.locator("#stage").get_attribute("data-position") == start
        assert not [url for url in requests if "heartbeat" not in url]


def test_keys_move_along_the_line_and_between_strengths(newcomer: Page, quick: str) -> None:
    arrive(newcomer, quick)
    line = newcomer.get_by_role("slider", name="Patch; marks are patches that look-ups changed")
    start = int(line.input_value())
    give_focus(line)
    newcomer.keyboard.press("ArrowRight")
    until(newcomer, "#stage", position=start + 1)
    newcomer.keyboard.press("Home")
    expect(newcomer.locator("[data-sg=verdict]")).to_contain_text("nothing lies around")
    give_focus(newcomer.get_by_role("radio", name="Strong"))
    newcomer.keyboard.press("ArrowLeft")
    expect(newcomer.get_by_role("radio", name="A little")).to_be_focused()
    expect(newcomer.locator("[data-sg=honest]")).to_contain_text("Look-ups changed")
    newcomer.keyboard.press("ArrowLeft")
    expect(newcomer.locator("[data-sg=verdict]")).to_contain_text("No look-ups")


def test_a_prompt_is_drawn_in_the_debugger_and_the_next_visit_lands_there(newcomer: Page, quick: str) -> None:
    arrive(newcomer, quick)
    newcomer.get_by_role("button", name="Draw", exact=True).click()
    expect(newcomer.locator("[data-sg=note]")).to_have_text("Say what to draw.")
    newcomer.get_by_role("textbox", name="Draw your own").click()
    newcomer.keyboard.type("a red disc")
    newcomer.keyboard.press("Enter")
    wait_for(newcomer, "ready")
    expect(newcomer.locator("[data-part=title]")).to_have_text("a red disc")
    expect(newcomer.locator("#stage")).to_be_hidden()
    newcomer.reload()
    wait_for(newcomer, "idle")
    assert newcomer.locator("#stage").count() == 0
    newcomer.locator(".page-keys[aria-keyshortcuts]").wait_for()
    newcomer.get_by_role("button", name="Example").click()
    until(newcomer, "#stage", state="shown")
    newcomer.keyboard.press("Escape")
    expect(newcomer.locator("#prompt textarea")).to_be_focused()


def test_a_link_leads_to_the_debugger(newcomer: Page, quick: str) -> None:
    newcomer.goto(f"{quick}/?prompt=a+red+disc")
    newcomer.locator(".page-keys[aria-keyshortcuts]").wait_for()
    assert newcomer.locator("#stage").count() == 0


def test_it_fits_a_phone(browser: Browser, quick: str) -> None:
    with visitor(browser, newcomer=True, viewport=PHONE, has_touch=True, reduced_motion="reduce") as page:
        arrive(page, quick)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert page.locator("[data-sg=drawing]").bounding_box()["y"] < PHONE["height"] / 2  # type: ignore[index]
        sizes = page.evaluate(
            "[...document.querySelectorAll('#stage p, #stage button, #stage input, #stage span')]"
            ".filter(n => n.checkVisibility() && n.textContent).map(n => parseFloat(getComputedStyle(n).fontSize))"
        )
        assert min(sizes) >= 14
