"""A real Chromium and two served pages over the fake model: a quick one, and a slow one that can be stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.serving import served

pytest.importorskip("playwright", reason="no browser tests: playwright is not installed (requirements-dev.txt)")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import FLAGS, find_chromium

TIMEOUT_MS = 45_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def quick() -> Iterator[str]:
    """Address of a page whose pictures take a second or so."""
    with served(pause=0.002) as url:
        yield url


@pytest.fixture(scope="session")
def slow() -> Iterator[str]:
    """Address of a page whose pictures would take ten seconds."""
    with served(pause=0.04) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A visitor of their own."""
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    yield context.new_page()
    context.close()
