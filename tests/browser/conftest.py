"""A real Chromium and served pages over the fake model: quick ones, and a slow one that can be stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.serving import served

pytest.importorskip("playwright", reason="no browser tests: playwright is not installed (requirements-dev.txt)")

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.visitor import PHONE, fetched_arrays, profile, ready, tab, visitor


@pytest.fixture(scope="session")
def quick() -> Iterator[str]:
    """Address of a page whose pictures are there almost at once."""
    with served(pause=0.0) as url:
        yield url


@pytest.fixture(scope="session")
def gradual() -> Iterator[str]:
    """Address of a page whose pictures take a second or so, in which they can be seen to come."""
    with served(pause=0.004) as url:
        yield url


@pytest.fixture(scope="session")
def slow() -> Iterator[str]:
    """Address of a page whose pictures would take ten seconds."""
    with served(pause=0.04) as url:
        yield url


@pytest.fixture(scope="session")
def profiles(browser: Browser) -> Iterator[tuple[BrowserContext, BrowserContext]]:
    """Two browsers that keep the scripts which they have fetched: to fetch and compile them is most of a visit."""
    with profile(browser) as one, profile(browser) as two:
        yield one, two


@pytest.fixture
def page(profiles: tuple[BrowserContext, BrowserContext]) -> Iterator[Page]:
    """A visitor of their own."""
    with tab(profiles[0]) as page:
        yield page


@pytest.fixture
def other(profiles: tuple[BrowserContext, BrowserContext]) -> Iterator[Page]:
    """Another visitor."""
    with tab(profiles[1]) as page:
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
        fetched_arrays(page)  # while the server has them
        yield page
