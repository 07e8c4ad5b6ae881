"""What people bring with them: other databases, keys, colours, narrow windows, screen readers, languages."""

from __future__ import annotations

import shutil
import subprocess
from urllib.parse import urlparse
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.serving import served
from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    all_settings,
    at,
    enter,
    fetched_arrays,
    generate,
    home,
    ready,
    stand,
    tab_to,
    visit,
    visitor,
    wait_for,
    where,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


def test_a_released_database_says_what_it_is_and_the_first_picture_works(page: Page) -> None:
    with served(0.0, "released") as url:
        visit(page, url)
        expect(page.locator("#model")).to_contain_text("Fake, on the CPU.")
        expect(page.locator("#database")).to_contain_text("Approximate search")
        expect(page.locator("#strength label")).to_have_text(["Off", "A little", "Strong"])
        all_settings(page)
        captions = page.locator("#panel .lp-knob", has_text="Caption filter")
        expect(captions).to_contain_text("This database has no captions.")
        expect(captions.locator("input").first).to_be_disabled()
        expect(page.locator("#panel .lp-pick", has_text="Styles")).to_contain_text("knows of no styles")
        generate(page, "a red disc")
        wait_for(page, "ready")
        expect(page.locator("[data-part=facts]")).to_contain_text("databasereleased")
        page.locator("#database label", has_text="all").click()
        expect(captions.locator("input").first).to_be_enabled()
        expect(captions).to_contain_text("captioned most alike")
        expect(page.locator("#database")).not_to_contain_text("Approximate")
        enter(captions.locator("input").first, "8")
        page.locator("#database label", has_text="released").click()
        expect(captions.locator("input").first).to_be_disabled()
        expect(captions.locator("input").first).to_have_value("0")
        generate(page, "a red disc")
        wait_for(page, "ready")


# ---------------------------------------------------------------------------------------------------------------------
# Keys


def focused(page: Page, selector: str) -> None:
    """Expect the focus to be there."""
    expect(page.locator(selector)).to_be_focused()


def test_the_shortcuts_open_keep_the_focus_and_give_it_back(page: Page, quick: str) -> None:
    visit(page, quick)
    page.locator("#dice").click()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    for _ in range(5):
        page.keyboard.press("Tab")
        # between the last and the first one is the browser itself, for which the body stands
        assert page.evaluate(
            "[document.body, ...document.querySelectorAll('dialog *')].includes(document.activeElement)"
        )
    page.keyboard.press("3")  # behind the dialog nothing happens
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    focused(page, "#dice")
    expect(page.get_by_role("tab", name="What if")).to_have_attribute("aria-selected", "true")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(dialog).to_be_visible()
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()


def test_keys_work_everywhere_but_in_a_field(page: Page, quick: str) -> None:
    visit(page, quick)
    page.bring_to_front()
    page.locator("h1").click()
    page.keyboard.press("/")
    focused(page, "#prompt textarea, #prompt input")
    page.keyboard.type("n?3 /gp")
    expect(page.locator("#prompt textarea")).to_have_value("n?3 /gp")
    page.keyboard.press("Control+Enter")
    wait_for(page, "ready")
    focused(page, "[data-part=canvas]")
    arrays = fetched_arrays(page)[1]
    flips = [p for p in range(256) if arrays["pick"][p] != arrays["without"][p]]
    assert len(flips) > 1
    page.locator("#prompt textarea").click()
    tab_to(page, "#generate")
    page.keyboard.press("End")
    page.keyboard.press("n")  # from the end to the first
    at(page, flips[0])
    page.keyboard.press("n")
    at(page, flips[1])
    page.keyboard.press("p")
    at(page, flips[0])
    page.keyboard.press("Shift+F")
    at(page, flips[-1])
    page.keyboard.press("s")
    focused(page, "[data-part=jump-code]")
    page.keyboard.press("n")  # in a field
    at(page, flips[-1])
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")
    at(page, flips[-1] - 1)
    page.keyboard.press("Home")
    at(page, 0)
    page.keyboard.press(" ")
    page.wait_for_function("Number(document.querySelector('#stepper').dataset.step) > 3")  # it plays
    page.keyboard.press(" ")
    page.keyboard.press("?")
    page.get_by_label("Single keys are shortcuts").uncheck()
    page.keyboard.press("Escape")
    stopped = where(page)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("n")
    page.keyboard.press("ArrowRight")
    at(page, stopped + 1)  # n did nothing
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement === document.body")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Single keys are shortcuts").check()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("5")
    focused(page, "[role=tab]:has-text('Sources')")
    expect(page.locator("#sources")).to_be_visible()
    page.keyboard.press("g")
    focused(page, "[data-part=canvas]")


def test_the_skip_link_comes_first_and_leads_to_the_picture(page: Page, quick: str) -> None:
    visit(page, quick)
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the picture")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    focused(page, "[data-part=canvas]")


# ---------------------------------------------------------------------------------------------------------------------
# Light and dark, motion


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_until_the_visitor_chooses(browser: Browser, quick: str, scheme: str) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        visit(page, quick)
        is_dark = "document.body.classList.contains('dark')"
        assert page.evaluate(is_dark) is (scheme == "dark")
        page.get_by_role("button", name="Switch between light and dark").click()
        assert page.evaluate(is_dark) is (scheme == "light")
        visit(page, quick)
        assert page.evaluate(is_dark) is (scheme == "light")


def test_reduced_motion_is_respected(browser: Browser, quick: str) -> None:
    with visitor(browser, reduced_motion="reduce") as page:
        ready(page, quick)
        moving = """() => [...document.querySelectorAll('*')].filter((node) => {
          const style = getComputedStyle(node);
          const last = (text) => Math.max(...text.split(',').map(parseFloat));
          return last(style.transitionDuration) > 0.01 || last(style.animationDuration) > 0.01;
        }).map((node) => node.outerHTML.slice(0, 120))"""
        assert page.evaluate(moving) == []
        home(page)
        page.keyboard.press("Space")
        page.wait_for_timeout(900)
        assert 1 <= int(page.locator("#stepper").get_attribute("data-step") or 0) <= 3


# ---------------------------------------------------------------------------------------------------------------------
# Languages


def test_the_page_is_english_and_says_so_whatever_the_browser_speaks(browser: Browser, quick: str) -> None:
    with visitor(browser, locale="de-DE") as page:
        visit(page, quick)
        expect(page.locator("#generate")).to_have_text("Draw")
        expect(page.locator("html")).to_have_attribute("lang", "en")


# ---------------------------------------------------------------------------------------------------------------------
# Rendered on the server


def node_version() -> int:
    """Of the Node.js that Gradio would take; 0 without one."""
    node = shutil.which("node")
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout if node else ""
    return int(found.lstrip("v").split(".")[0]) if found.startswith("v") else 0


@pytest.mark.skipif(node_version() < 20, reason="no page behind Gradio's Node server: needs Node.js 20 or newer")
def test_the_page_works_behind_the_node_server_as_well(page: Page) -> None:
    surprises: list[str] = []
    hosts: set[str | None] = set()
    page.on("pageerror", lambda error: surprises.append(str(error)))
    page.on("console", lambda message: surprises.append(message.text) if message.type == "error" else None)
    with served(0.0, "usual", "ssr") as url:
        with urlopen(url) as answer:
            assert answer.headers["x-sveltekit-page"] == "true", "this is not the Node server"
        page.on("request", lambda request: hosts.add(urlparse(request.url).netloc))
        page.goto(f"{url}/?prompt=sun&seed=4&step=20")
        wait_for(page, "ready")
        at(page, 20)
        expect(page.locator("#seed input")).to_have_value("4")
        generate(page, "a red disc")
        expect(page.locator("[data-part=title]")).to_have_text("a red disc")
        wait_for(page, "ready")
        before = page.locator("#stepper").get_attribute("data-trace-id")
        page.keyboard.press("Control+Enter")
        focused(page, "[data-part=canvas]")
        page.locator(f"#stepper[data-state=ready]:not([data-trace-id='{before}'])").wait_for()
        for step in (0, 255, 136):
            stand(page, step)
            at(page, step)
        expect(page.locator("[data-part=cards] li").first).to_contain_text("disc number")
        assert {host for host in hosts if host} == {urlparse(url).netloc}
    assert surprises == []
