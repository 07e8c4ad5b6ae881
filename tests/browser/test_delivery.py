"""How the page reaches a browser: once, styled from the first moment, through proxies and into frames."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from app.delivery import PREFIX, STYLE, published
from app.tabs import found
from tests.app.serving import served
from tests.browser.chromium import find_chromium
from tests.browser.proxy import proxied
from tests.browser.visitor import visit, visitor

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


def transferred(page: Page, url: str) -> dict[str, float]:
    """What a visit transfers: bytes by address, 0 for what the browser has already."""
    session = page.context.new_cdp_session(page)
    addresses: dict[str, str] = {}
    sizes: dict[str, float] = {}
    session.on("Network.requestWillBeSent", lambda it: addresses.setdefault(it["requestId"], it["request"]["url"]))
    session.on("Network.loadingFinished", lambda it: sizes.__setitem__(it["requestId"], it["encodedDataLength"]))
    session.send("Network.enable")
    visit(page, url)
    page.wait_for_timeout(500)
    session.detach()
    return {addresses[request]: size for request, size in sizes.items() if request in addresses}


@pytest.fixture
def new(browser: Browser) -> Iterator[Page]:
    """A visitor whose browser has nothing of the page yet."""
    with visitor(browser) as page:
        yield page


def test_our_files_are_transferred_once_and_are_small(new: Page, quick: str) -> None:
    first, second = transferred(new, quick), transferred(new.context.new_page(), quick)
    ours = [address for address in first if f"/{PREFIX}/" in address]
    later = sum(len(tab.files) for tab in found())  # when the tab is seen
    assert len(ours) == len(published()) - later - 1  # what the first screen shows is for newcomers
    assert sum(first[address] for address in ours) < 212_000
    assert sum(size for address, size in second.items() if f"/{PREFIX}/" in address) == 0
    assert second[f"{quick}/"] < 62_000  # the page itself, most of which is Gradio's


def test_nothing_is_seen_before_it_has_its_style(new: Page, quick: str) -> None:
    held: list[Route] = []
    new.route(f"**/{STYLE}", lambda route: held.append(route))
    new.goto(quick)
    new.locator("#stepper").wait_for(state="attached")
    assert not new.locator("#prompt").is_visible()
    held[0].continue_()
    expect(new.locator("#prompt")).to_be_visible()
    assert new.locator("#panel").evaluate("panel => getComputedStyle(panel).flexBasis") == "272px"


def test_without_its_style_the_page_is_seen_late(new: Page, quick: str) -> None:
    new.route(f"**/{STYLE}", lambda route: route.abort())
    new.goto(quick)
    expect(new.locator("#prompt")).to_be_visible(timeout=20_000)


def test_the_page_works_in_a_frame_below_a_path_of_a_proxy(browser: Browser) -> None:
    with served(0.0, "usual", "demo") as url, proxied(int(url.rsplit(":", 1)[1])) as outside, visitor(browser) as page:
        page.goto(outside)
        frame = page.frame_locator("iframe")
        expect(frame.locator("#stepper[data-state=idle]")).to_be_visible()
        frame.locator("#prompt textarea").click()
        page.keyboard.type("a red disc")
        frame.locator("#generate").click()
        expect(frame.locator("#stepper[data-state=ready]")).to_be_visible()
        assert frame.locator("#panel").evaluate("panel => getComputedStyle(panel).flexBasis") == "272px"
