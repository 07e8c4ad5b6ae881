"""What must hold in every part of the page, with everything drawn: tooltips, names, contrast, room on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app.tabs import found
from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    DESK,
    PHONE,
    all_settings,
    enter,
    generate,
    open_tab,
    stand,
    until,
    visit,
    visitor,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

TABS = [tab.label for tab in found()]
CONTROLS = (
    "#head button, #ask button, #ask input, #ask textarea, #chips button, .loupe button, .loupe input, #panel input, "
    "#workbench :not(.visually-hidden) > button, #workbench input, #workbench textarea"
)
NUMBERS = (
    ".lp-facts b, .lp-numbers dd, .lp-where, .lp-codes td, .lp-card-numbers span, .lp-choice, .lp-flip-line, "
    ".lp-race, [data-value], .so-number, #workbench td:not(:empty, :has(button)), .wm-map figcaption"
)
PICTURES = "#bring-seen, .lp-patch-cell"
WITHOUT_TIP = """
([wanted, pictures]) => [...document.querySelectorAll(wanted)].filter((node) => {
  if (!node.checkVisibility() || node.closest(pictures)) return false;
  node.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
  return !node.closest("[title]:not([title=''])") && !node.closest(".block")?.querySelector(".info-text");
}).map((node) => node.outerHTML.slice(0, 160))
"""
NAMED = {
    "button", "checkbox", "combobox", "dialog", "link", "listbox", "menuitem", "radio", "searchbox", "slider",
    "spinbutton", "tab", "textbox",
}  # fmt: skip
UNSEEN = """
() => [...document.querySelectorAll("canvas, img")].filter((node) => (
  node.checkVisibility() && !node.closest("[aria-hidden=true], button") && !node.ariaLabel && !node.alt
)).map((node) => node.outerHTML.slice(0, 160))
"""
"""Pictures that a screen reader says nothing of."""
TOO_FAINT = """
() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (css) => {
    if (!known.has(css)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = css;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      known.set(css, [r, g, b, a / 255]);
    }
    return known.get(css);
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((part, i) => part * a + below[i] * (1 - a));
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    return over(rgba(getComputedStyle(node).backgroundColor), ground(node.parentElement));
  };
  const light = (colour) => {
    const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opacity = (node) => (node ? Number(getComputedStyle(node).opacity) * opacity(node.parentElement) : 1);
  const faint = (node) => {
    const style = getComputedStyle(node), below = ground(node), [r, g, b, a] = rgba(style.color);
    const ink = over([r, g, b, a * opacity(node)], below);
    const [high, low] = [light(ink), light(below)].sort((x, y) => y - x), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    return ratio < (large ? 3 : 4.5) && `${ratio.toFixed(2)} ${node.outerHTML.slice(0, 120)}`;
  };
  const gradio = ".progress-text, .meta-text, .meta-text-center"; // its timer of what runs, which fades in and out
  const hidden = ".disabled, .visually-hidden, dialog:not([open])";
  const off = `${gradio}, ${hidden}, :disabled, [aria-disabled=true], label:has(:disabled)`;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = new Set();
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const seen = walker.currentNode.data.trim() && node.checkVisibility() && !node.closest(off);
    if (seen && !["SCRIPT", "STYLE"].includes(node.tagName)) found.add(faint(node));
  }
  found.delete(false);
  return [...found];
}
"""


PANELS = ".loupe > *, #compare canvas, .so-panel *, #metrics > *, #me-download *"
FITS = """([panels, width]) => {
  const seen = [...document.querySelectorAll(panels)].filter(node => node.checkVisibility());
  const right = Math.max(...seen.map(node => node.getBoundingClientRect().right));
  return Math.max(right, document.documentElement.scrollWidth) <= width;
}"""


@pytest.fixture(scope="module")
def full(browser: Browser, quick: str) -> Iterator[Page]:
    """A page where everything has been drawn that can be."""
    with visitor(browser, color_scheme="light") as page:
        draw_everything(page, quick)
        yield page


def draw_everything(page: Page, url: str) -> None:
    """Fill every tab."""
    visit(page, url)
    open_tab(page, "Read a picture")
    enter(page.locator("#image-number input"), "4")
    page.locator("#image-take").click()
    until(page, "[data-wm=root]", state="ready")
    all_settings(page)
    page.locator("#method label", has_text="FAiD + DAiD").click()
    page.get_by_label("Also record each position without look-up").check()
    generate(page, "a red disc")
    expect(page.locator("[data-part=title]")).to_have_text("a red disc")
    wait_for(page, "ready")
    open_tab(page, "Compare")
    page.locator("#compare-methods").click()
    until(page, "#compare", state="ready")
    open_tab(page, "Sweep")
    for axis in ("across", "down"):
        enter(page.locator(f"#sweep-{axis}-values").locator("textarea, input"), "0.1, 0.2")
    page.locator("#sweep-draw").click()
    until(page, "#sweep", state="ready")
    stand(page, 136)
    open_tab(page, "From here")
    page.locator("#fan-draw").click()
    until(page, "#fan", state="ready")


def open_fully(page: Page, tab: str) -> None:
    """Open a tab and wait for what it shows."""
    open_tab(page, tab)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000 if tab == "Metrics" else 200)
    if tab == "Database":
        until(page, ".db", state="ready")
        expect(page.locator("#database-place .progress-text")).to_have_count(0)  # Gradio's, which nobody sees
    if tab == "Sources" and page.locator(".so-row[aria-pressed=true]").count() == 0:
        page.locator(".so-row").first.click()


@pytest.mark.parametrize("tab", TABS)
def test_every_control_and_number_says_what_it_is_and_can_be_read(full: Page, tab: str) -> None:
    open_fully(full, tab)
    assert full.evaluate(WITHOUT_TIP, [f"{CONTROLS}, {NUMBERS}", PICTURES]) == []
    assert full.evaluate(UNSEEN) == []
    assert full.evaluate(TOO_FAINT) == []
    nodes = full.context.new_cdp_session(full).send("Accessibility.getFullAXTree")["nodes"]
    roles = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    assert {role for role, said in roles if role in NAMED and not said.strip()} == set()


@pytest.mark.parametrize("tab", TABS)
def test_text_stands_out_from_its_ground_in_the_dark(full: Page, tab: str) -> None:
    full.emulate_media(color_scheme="dark")
    full.wait_for_function("document.body.classList.contains('dark')")
    open_fully(full, tab)
    assert full.evaluate(TOO_FAINT) == []
    full.emulate_media(color_scheme="light")


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_fits_a_phone(full: Page, tab: str) -> None:
    open_fully(full, tab)
    for width in (420, 390):
        full.set_viewport_size({"width": width, "height": 844})
        full.wait_for_function(FITS, arg=[PANELS, width])  # observers of sizes draw anew, some frames later
    full.set_viewport_size(DESK)


def test_the_tour_fits_a_phone(full: Page) -> None:
    full.set_viewport_size(PHONE)
    full.locator("#tour-start").click()
    expect(full.locator(".tour-card")).to_be_visible()
    assert full.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
