"""A real Chromium and two served pages over the fake model: a quick one, and a slow one that can be stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.serving import served

pytest.importorskip("playwright", reason="no browser tests: playwright is not installed (requirements-dev.txt)")

from playwright.sync_api import Browser, Page

from tests.browser.visitor import PHONE, ready, visitor


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
    with visitor(browser) as page:
        yield page


@pytest.fixture
def other(browser: Browser) -> Iterator[Page]:
    """Another visitor."""
    with visitor(browser) as page:
        yield page


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A visitor with a phone."""
    with visitor(browser, viewport=PHONE, has_touch=True) as page:
        yield page


@pytest.fixture(scope="module")
def drawn(browser: Browser, quick: str) -> Iterator[Page]:
    """A page with a finished picture, for tests that only look at it."""
    with visitor(browser) as page:
        ready(page, quick)
        yield page
