"""Link and files beside the title, the address bar, and the page inside of another one, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.picture_file import read
from tests.browser.chromium import find_chromium
from tests.browser.visitor import generate, give_focus, open_tab, ready, stand, until, visit, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

SAVE, MENU, COPY = "[data-part=ks-save]", "[data-part=ks-menu]", "[data-part=ks-copy]"
AROUND = """
<!doctype html><title>A paper</title><iframe id="loupe" width="700" height="400" src="%s"></iframe>
<script>
  addEventListener("message", ({ source, data }) => {
    if (source !== document.getElementById("loupe").contentWindow || data.type !== "loupe:height") return;
    document.body.dataset.height = data.height;
  });
</script>
"""


def offered(page: Page) -> None:
    """Wait until the run in the stepper can be saved."""
    page.locator("#share:not([data-run=''])").wait_for(state="attached")
    expect(page.locator(SAVE)).to_have_attribute("aria-disabled", "false")


def addressed(page: Page, text: str) -> None:
    """Wait until the address has a text."""
    page.wait_for_function("text => location.search.includes(text)", arg=text)


def test_the_address_is_the_link_and_the_history_does_not_grow(page: Page, other: Page, quick: str) -> None:
    ready(page, quick, "a red disc")
    entries = page.evaluate("history.length")
    addressed(page, "prompt=a+red+disc&model=fake")
    for step in (100, 137):
        stand(page, step)
        addressed(page, f"step={step}")
    assert page.evaluate("history.length") == entries
    other.goto(page.url)
    wait_for(other, "ready")
    until(other, "#stepper", step=137)
    expect(other.locator("[data-part=notice]")).to_be_hidden()


def test_a_run_without_a_link_has_none_and_says_why(page: Page, quick: str) -> None:
    ready(page, quick)
    addressed(page, "prompt=")
    open_tab(page, "Read a picture")
    page.locator("#image-take").click()
    page.wait_for_function("document.querySelector('#stepper').dataset.state === 'ready' && location.search === ''")
    offered(page)
    page.locator(COPY).click(force=True)  # it says that it is off, and why when one presses it all the same
    expect(page.locator("[data-part=ks-told]")).to_contain_text("began with a picture, which no link can say")


def test_the_menu_is_walked_by_keys_and_saves_this_position(drawn: Page, tmp_path: Path) -> None:
    stand(drawn, 120)
    offered(drawn)
    give_focus(drawn.locator(SAVE))
    drawn.keyboard.press("ArrowDown")
    expect(drawn.locator(SAVE)).to_have_attribute("aria-expanded", "true")
    expect(drawn.locator(f"{MENU} [data-kind=picture]")).to_be_focused()
    drawn.keyboard.press("ArrowUp")
    expect(drawn.locator(f"{MENU} [data-kind=words]")).to_be_focused()
    drawn.keyboard.press("Escape")
    expect(drawn.locator(MENU)).to_be_hidden()
    expect(drawn.locator(SAVE)).to_be_focused()
    drawn.keyboard.press("Enter")
    drawn.keyboard.press("ArrowDown")
    with drawn.expect_download() as download:
        drawn.keyboard.press("Enter")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "a-red-disc_position-120_seed-0.png"
    assert (read(path).prompt, read(path).position) == ("a red disc", 120)
    until(drawn, "#stepper", step=120)  # the keys were the menu's
    expect(drawn.locator("[data-part=ks-told]")).to_have_text(f"Saved {path.name}.")


def test_the_words_of_a_figure_can_be_copied(drawn: Page) -> None:
    drawn.context.grant_permissions(["clipboard-read", "clipboard-write"])
    offered(drawn)
    drawn.locator(SAVE).click()
    drawn.locator(f"{MENU} [data-kind=words]").click()
    drawn.locator("dialog.ks-words[open]").wait_for()
    drawn.get_by_role("button", name="Copy the citation").click()
    expect(drawn.locator("[data-part=ks-copied]")).to_have_text("Copied.")
    assert drawn.evaluate("navigator.clipboard.readText()").startswith("@inproceedings{qi2025arrag")
    assert "“a red disc”" in drawn.get_by_label("Caption", exact=True).input_value()
    drawn.keyboard.press("Escape")
    expect(drawn.locator("dialog.ks-words")).to_be_hidden()


def test_a_sweep_and_a_comparison_are_saved_as_one_picture(page: Page, quick: str) -> None:
    visit(page, quick)
    generate(page, "a red disc")
    wait_for(page, "ready")
    for tab, draw, part, name in (
        ("Sweep", "#sweep-draw", "[data-part=sw-save]", "a-red-disc_sweep_seed-0.png"),
        ("Compare", "#compare-methods", "[data-part=cp-save]", "a-red-disc_compared_seed-0.png"),
    ):
        open_tab(page, tab)
        page.locator(draw).click()
        with page.expect_download() as download:
            page.locator(part).click()
        assert download.value.suggested_filename == name


def test_an_embedded_page_hides_what_it_is_told_to_and_tells_its_height(page: Page, quick: str) -> None:
    link = f"{quick}/?prompt=a+red+disc&embed=1&hide=settings,tabs,prompt,stepper"
    page.route("**/paper.html", lambda route: route.fulfill(body=AROUND % link, content_type="text/html"))
    page.goto(f"{quick}/paper.html")
    frame = page.frame_locator("#loupe")
    frame.locator("#stepper[data-state=ready]").wait_for()
    for hidden in ("#head", "#ask", "#panel", "#workbench"):
        expect(frame.locator(hidden)).to_be_hidden()
    expect(frame.locator("[data-part=canvas]")).to_be_visible()
    opens = frame.locator("[data-part=ks-open]")
    expect(opens).to_be_visible()
    expect(opens).to_have_attribute("href", re.compile(r"\?prompt=a\+red\+disc&(?!.*embed)"))
    page.wait_for_function("Number(document.body.dataset.height) > 400")
    tall = int(page.locator("body").get_attribute("data-height") or 0)
    page.locator("#loupe").evaluate("node => { node.width = 1300; node.height = 2000; }")
    page.wait_for_function("tall => Number(document.body.dataset.height) < tall", arg=tall)
