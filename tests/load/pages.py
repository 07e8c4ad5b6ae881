"""Visitors with a browser: each a context that shares nothing with others; times are taken in the page itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.browser.chromium import FLAGS, find_chromium
from tests.browser.visitor import fetched_arrays, say, visit, visitor
from tests.load.tally import Outcome, State, state_of
from tests.load.wishes import Wish, complaints

PATIENCE_MS = 300_000
CLOCK = """
() => {
  const stepper = document.querySelector("#stepper");
  const times = (window.loadTimes = { click: 0, first: 0, end: 0, state: "" });
  document.querySelector("#generate").addEventListener("click", () => {
    Object.assign(times, { click: performance.now(), first: 0, end: 0, state: "", begun: false });
  }, true);
  new MutationObserver(() => {
    const { state, steps } = stepper.dataset, now = performance.now();
    if (!times.click || times.end) return;
    times.begun ||= state === "streaming";
    if (!times.first && times.begun && Number(steps) > 0) times.first = now;
    if (times.begun && ["ready", "error", "stopped"].includes(state)) Object.assign(times, { end: now, state });
  }).observe(stepper, { attributes: true });
}
"""
"""Notes when Draw was clicked, when the first patches were there, and when the picture was whole or given up."""

HEARD = """
() => performance.getEntriesByType("resource").filter(({ name }) => /\\/gradio_api\\/run\\//.test(name))
  .map(({ duration }) => duration / 1000)
"""
"""Seconds of the events that go past the queue, such as the hint of a prompt that is being typed."""

Start = threading.Barrier


@contextmanager
def chromium(count: int, url: str) -> Iterator[list[Page]]:
    """Some pages, each of a visitor of its own, ready to draw; they belong to the thread that opens them."""
    with sync_playwright() as playwright, ExitStack() as stack:
        browser: Browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        stack.callback(browser.close)
        pages = [stack.enter_context(visitor(browser)) for _ in range(count)]
        for page in pages:
            visit(page, url)
            page.evaluate(CLOCK)
            page.evaluate("performance.setResourceTimingBufferSize(20000)")
        yield pages


def draw(pages: Sequence[Page], wishes: Sequence[Wish]) -> list[Outcome]:
    """A picture in every page, at once; the prompts are typed before."""
    for page, wish in zip(pages, wishes, strict=True):
        say(page, wish.prompt)
    for page in pages:
        page.locator("#generate").click()
    return [_outcome(page, wish) for page, wish in zip(pages, wishes, strict=True)]


def _outcome(page: Page, wish: Wish) -> Outcome:
    """What came of a click, once it is over."""
    begun = monotonic()
    try:
        page.wait_for_function("window.loadTimes.end > 0", timeout=PATIENCE_MS)
        times: dict[str, Any] = page.evaluate("window.loadTimes")
    except PlaywrightError as error:
        return Outcome(
            "page", monotonic() - begun, 0, "failed", f"no end within {PATIENCE_MS // 1000} s: {error!s:.80}"
        )
    seconds, first = ((times[name] - times["click"]) / 1000 for name in ("end", "first"))
    if times["state"] != "ready":
        message = page.locator("[data-part=notice]").first.inner_text()
        return Outcome("page", seconds, 0, state_of(message), message or f"the stepper is {times['state']}")
    header, arrays = fetched_arrays(page)
    run = {"prompt": header["prompt"], "settings": header["settings"], "codes": arrays["code"].tolist()}
    found = complaints(wish, [run])
    state: State = "crossed" if found else "done"
    return Outcome("page", seconds, 1, state, "; ".join(found), first if times["first"] else None)


class Typist(threading.Thread):
    """A visitor who types on and on, so that every letter asks for a hint; nothing is drawn."""

    def __init__(self, url: str, pause: float = 0.25) -> None:
        super().__init__(daemon=True)
        self.seconds: list[float] = []
        self._url, self._pause = url, pause
        self._ready, self._over = threading.Event(), threading.Event()

    def run(self) -> None:
        """Type until told to end."""
        with chromium(1, self._url) as (page,):
            page.locator("#prompt textarea").click()
            self._ready.set()
            number = 0
            while not self._over.wait(self._pause):
                if number % 20 == 19:
                    page.keyboard.press("ControlOrMeta+a")
                page.keyboard.type("a red disc "[number % 11])
                number += 1
            self.seconds = page.evaluate(HEARD)

    @contextmanager
    def typing(self) -> Iterator[Typist]:
        """Types for as long as the block takes; `seconds` is known afterwards."""
        self.start()
        self._ready.wait(60)
        try:
            yield self
        finally:
            self._over.set()
            self.join(60)
