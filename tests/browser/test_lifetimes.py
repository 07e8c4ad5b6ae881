"""Components that come and go: what they listen to and watch ends with them, in a real browser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import find_chromium
from tests.browser.visitor import ready, visitor

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

COUNTING = """
window.watching = new Set();
for (const name of ["MutationObserver", "ResizeObserver", "IntersectionObserver"]) {
  window[name] = class extends window[name] {
    ours = new Error().stack.includes("/loupe/");
    observe(...what) { super.observe(...what); if (this.ours) window.watching.add(this); }
    disconnect() { super.disconnect(); window.watching.delete(this); }
  };
}
"""


def listeners(page: Page) -> Counter[str]:
    """How many listeners of ours the document, the window and the stepper have, as the browser knows them."""
    session = page.context.new_cdp_session(page)
    ours: set[str] = set()
    session.on(
        "Debugger.scriptParsed", lambda script: ours.add(script["scriptId"]) if "/loupe/" in script["url"] else None
    )
    session.send("Debugger.enable")
    found: Counter[str] = Counter()
    for target in ("document", "window", "document.querySelector('#stepper')"):
        held = session.send("Runtime.evaluate", {"expression": target})["result"]["objectId"]
        told = session.send("DOMDebugger.getEventListeners", {"objectId": held})["listeners"]
        found.update(f"{target} {listener['type']}" for listener in told if listener["scriptId"] in ours)
    session.detach()
    return found


MOUNT = """
async ([name, times]) => {
  const { props } = window.gradio_config.components.find(({ props }) => props.elem_id === name);
  const [, address] = props.js_on_load.match(/new URL\\("([^"]+)"/);
  const { mount } = await import(new URL(address, document.baseURI));
  const frame = () => new Promise(requestAnimationFrame), made = [];
  for (let i = 0; i < times; i++) {
    const element = document.createElement("div");
    element.id = name;
    element.innerHTML = props.html_template;
    document.body.append(element);
    const receive = mount({ element, trigger() {}, server: { preview: async () => ({ error: "nobody" }) } });
    receive?.(props.value, false);
    await frame();
    made.push(element);
  }
  window.made = made;
}
"""
REMOVE = """
async () => {
  for (const element of window.made) element.remove();
  await new Promise(requestAnimationFrame);
}
"""
LISTENING = {
    "stepper", "page-head", "whatif", "image-maps", "compare", "sweep", "sources", "tour", "database-place", "rail",
    "typeahead", "fan", "inside", "share", "following", "evaluation",
}  # fmt: skip
"""Components that listen to or watch something outside of their own elements."""

COMPONENTS = (
    *sorted(LISTENING), "hint", "came-from", "share-saved", "compare-saved", "sweep-saved", "bring-seen",
)  # fmt: skip


@pytest.fixture(scope="module")
def counting(browser: Browser, quick: str) -> Iterator[Page]:
    """A page with a finished picture that counts what is watched."""
    with visitor(browser) as page:
        page.add_init_script(COUNTING)
        ready(page, quick)
        yield page


@pytest.mark.parametrize("name", COMPONENTS)
def test_what_a_component_listens_to_and_watches_ends_with_it(counting: Page, name: str) -> None:
    def held() -> tuple[Counter[str], int]:
        return listeners(counting), counting.evaluate("window.watching.size")

    before = held()
    counting.evaluate(MOUNT, [name, 3])
    there = held()
    counting.evaluate(REMOVE)
    assert held() == before
    assert (there != before) == (name in LISTENING)
    left = counting.locator(".page-said:not(.page-tip), .tour-card")
    assert left.count() == 2  # what was moved there has gone as well


def test_every_component_with_a_module_is_tried(counting: Page) -> None:
    loaded = "window.gradio_config.components.filter(({ props }) => props.js_on_load?.includes('mount'))"
    assert set(counting.evaluate(f"{loaded}.map(({{ props }}) => props.elem_id)")) == set(COMPONENTS)
