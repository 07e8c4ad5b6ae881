"""What a visitor does and sees, for the tests in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any
from urllib.request import urlopen

from playwright.sync_api import Browser, BrowserContext, Locator, Page, TimeoutError, ViewportSize, expect

from tests.app.test_views import unpack

PAYLOADS = ("${alert(1)}", "{{7*7}}", "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "`${1}`\\")


DESK = ViewportSize(width=1360, height=900)
PHONE = ViewportSize(width=390, height=844)
TIMEOUT_MS = 45_000
RETURNS = "try { localStorage.setItem('loupe-visited', '1') } catch {}"
"""Who has been here before lands in the debugger."""

ANEW = """try {
  if (!sessionStorage.getItem("tab")) Object.keys(localStorage).forEach((key) => localStorage.removeItem(key));
  sessionStorage.setItem("tab", "this");
} catch {}"""
"""Whoever opens a tab has left nothing in an earlier one."""


@contextmanager
def profile(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A browser that shares nothing with others; options as Playwright's contexts take them."""
    context = browser.new_context(**{"viewport": DESK, **options})
    context.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    try:
        yield context
    finally:
        context.close()


@contextmanager
def tab(context: BrowserContext) -> Iterator[Page]:
    """Somebody at a browser that others have used: it has the page's files, and nothing that was theirs."""
    page = context.new_page()
    page.add_init_script(ANEW + RETURNS)
    try:
        yield page
    finally:
        for each in context.pages:
            each.close()
        context.clear_cookies()
        context.clear_permissions()
        context.set_offline(False)


@contextmanager
def visitor(browser: Browser, newcomer: bool = False, **options: Any) -> Iterator[Page]:
    """A page that shares nothing with other visitors; options as Playwright's contexts take them.

    newcomer: somebody who was never here, and sees the stage first; all others land in the debugger.
    """
    with profile(browser, **options) as context:
        if not newcomer:
            context.add_init_script(RETURNS)
        yield context.new_page()


def until(page: Page, selector: str, **data: object) -> None:
    """Wait for data attributes of an element; `expect` looks once a second, this sees them at once."""
    said = "".join(f"[data-{name}='{value}']" for name, value in data.items())
    page.locator(selector + said).wait_for(state="attached")


def visit(page: Page, url: str) -> None:
    """Open the page and wait until the stepper is there, and the keys work."""
    page.goto(url)
    page.locator("#stepper[data-state=idle]").wait_for()
    page.locator(".page-keys[aria-keyshortcuts]").wait_for()


def enter(field: Locator, text: str) -> None:
    """Click into a field and type a text in the place of what is there."""
    field.click()
    field.page.keyboard.press("ControlOrMeta+a")
    field.page.keyboard.press("Delete")
    field.page.keyboard.type(text)


def say(page: Page, prompt: str) -> None:
    """Type a prompt."""
    enter(page.locator("#prompt textarea"), prompt)


def generate(page: Page, prompt: str) -> None:
    """Type a prompt and press Generate."""
    say(page, prompt)
    page.locator("#generate").click()


def stand(page: Page, step: int, picture: str = "[data-part=canvas]") -> None:
    """Click on a position of a picture, by default of the one in the stepper."""
    width = page.evaluate("document.querySelector('#stepper').loupe.grid.width")
    canvas = page.locator(picture).first
    box = canvas.bounding_box() or {"width": 0.0}
    row, col = divmod(step, width)
    cell = box["width"] / width
    canvas.click(position={"x": (col + 0.5) * cell, "y": (row + 0.5) * cell})


def where(page: Page) -> int:
    """The position where the stepper stands."""
    return int(page.locator("#stepper").get_attribute("data-step") or -1)


def home(page: Page) -> None:
    """Go to the first position with the keyboard."""
    stand(page, 1)
    page.keyboard.press("Home")
    at(page, 0)


def give_focus(locator: Locator) -> None:
    """Have the focus on something that the Tab key, or arrow keys within a group, lead to."""
    locator.evaluate("""node => {
      const group = node.closest("[role=radiogroup], [role=tree], [role=list], ol, ul, .fn-tiles") ?? node;
      const led = [group, ...group.querySelectorAll("*")].some((other) => other.tabIndex >= 0);
      if (!node.checkVisibility() || node.tabIndex < -1 || !led) throw new Error("no key leads there");
      node.focus.call(node);
    }""")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(100):
        if page.locator(f"{selector}:focus").count():
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {selector}")


def wait_for(page: Page, state: str) -> None:
    """Wait for a state of the stepper."""
    until(page, "#stepper", state=state)


def ready(page: Page, url: str, prompt: str = "a red disc") -> None:
    """A page with a finished picture, drawn whole: what still grows pushes buttons away under a click."""
    visit(page, url)
    generate(page, prompt)
    wait_for(page, "ready")
    page.wait_for_function("(({dataset: {step, shown}}) => step === shown)(document.querySelector('#stepper'))")


def paused(page: Page, url: str) -> int:
    """A page with a picture that was paused after a few patches; how many of them."""
    visit(page, url)
    generate(page, "a red disc")
    page.wait_for_function("Number(document.querySelector('#stepper').dataset.steps) > 2")
    page.locator("#stop").click()
    wait_for(page, "stopped")
    return int(page.locator("#stepper").get_attribute("data-steps") or 0)


def ready_with_blenders(page: Page, url: str, method: str = "faid", recorded: bool = False) -> None:
    """A page with a finished picture of a method with FAiD."""
    visit(page, url)
    choose(page, "method", method)
    if recorded:
        page.get_by_label("Also record each position without look-up").check()
    generate(page, "a red disc")
    wait_for(page, "ready")


def all_settings(page: Page) -> None:
    """Have all settings in sight, not only the basic ones; on a narrow page they are behind a button."""
    if page.locator("#more").is_visible() and not page.locator("#panel").is_visible():
        page.locator("#more").click()
    page.locator("#settings label", has_text="All").click()
    expect(page.locator("#method")).to_be_visible()


def choose(page: Page, where: str, value: str) -> None:
    """Choose one of the options beside each other; the labels are what a visitor sees."""
    if where == "method":
        all_settings(page)
    name = f"#{where} input[value='{value}']" if where == "method" else f"[name={where}][value={value}]"
    page.locator(name).locator("..").click()
    expect(page.locator(name)).to_be_checked()


def open_tab(page: Page, name: str) -> None:
    """Open a tab below the stepper; on a narrow page it may be in the menu of those that do not fit.

    Gradio decides which ones fit a moment after the page has another width, so what is tried first may be gone.
    """
    tab, menu = page.get_by_role("tab", name=name), page.get_by_role("button", name="More tabs")
    expect(page.get_by_role("tab").filter(visible=True).first).to_be_visible()
    for _ in range(10):
        with suppress(TimeoutError):
            if tab.is_visible():
                return tab.click(timeout=2000)
            menu.click(timeout=2000)
            return page.locator("#workbench .overflow-dropdown button", has_text=name).click(timeout=2000)
    raise AssertionError(f"the tab {name!r} is neither shown nor in the menu")


def numbers(page: Page, kind: str) -> dict[tuple[str, str], str]:
    """Numbers of the blenders' section that have a value, as they are read, by layer and rank or hop."""
    cells = page.locator(f"[data-part=blenders] td[data-kind={kind}][data-value]")
    rows = cells.evaluate_all(
        "cells => cells.map(c => [c.dataset.blender, c.dataset.rank || c.dataset.hop || '', c.innerText.trim()])"
    )
    return {(blender, place): text for blender, place, text in rows}


def fetched_arrays(page: Page) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and arrays of the trace file that the page fetched last, from the browser's own record of its requests.

    The server has the file for a minute, `fetched` for as long as the tests need it.
    """
    entries = (
        "performance.getEntriesByType('resource').map(entry => entry.name).filter(name => name.endsWith('trace.bin'))"
    )
    return fetched(page.evaluate(entries)[-1])


@lru_cache(maxsize=4)
def fetched(address: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and arrays of a trace file."""
    with urlopen(address) as answer:
        return unpack(answer.read())


def at(page: Page, step: int | str) -> None:
    """Expect the stepper to stand at a step."""
    until(page, "#stepper", step=step)


def shows(page: Page, step: int) -> None:
    """Expect every section of the stepper to show a step: where frames come late, they take turns."""
    until(page, "#stepper", step=step, shown=step)


def part(page: Page, name: str) -> str:
    """Text of a part of the stepper."""
    return page.locator(f"[data-part={name}]").inner_text()
