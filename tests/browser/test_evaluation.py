"""The tab "Evaluation" in a real browser: the figures of the report that ships, fetched when they are first seen."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, Request, expect

from core.assets import ASSETS
from tests.browser.chromium import find_chromium
from tests.browser.visitor import open_tab, visit

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


def test_the_report_is_fetched_when_it_is_seen_and_shown_as_it_is(page: Page, quick: str) -> None:
    report = json.loads((ASSETS / "evaluation/report.json").read_bytes())
    fetched: list[str] = []

    def note(request: Request) -> None:
        if "/tabs/evaluation/" in request.url and not request.url.endswith(".js"):
            fetched.append(request.url.rsplit("/", 1)[1])

    page.on("request", note)
    visit(page, quick)
    assert fetched == []
    open_tab(page, "Evaluation")
    expect(page.locator(".ev")).to_have_attribute("data-state", "ready")
    assert fetched == ["report.json"]
    rows = page.locator(".ev-table").first.locator("tbody tr")
    assert rows.count() == len(report["headline"]["rows"])
    expect(rows.first.locator("th")).to_have_text(report["headline"]["rows"][0][0])
    first = page.locator("details.ev-run").first
    assert page.locator("details.ev-run").count() == len(report["runs"])
    expect(first.locator("h4").first).to_be_hidden()
    page.locator(".ev-contents a").first.click()
    expect(first.locator("h4").first).to_have_text(report["runs"][0]["sections"][0]["title"])
    expect(first.locator(".ev-plot svg").first).to_be_visible()
    links = page.locator("details.ev-run a.ev-picture")
    assert "prompt=" in (links.first.get_attribute("href") or "")


def test_a_report_that_cannot_be_had_is_told(page: Page, quick: str) -> None:
    visit(page, quick)
    page.route("**/tabs/evaluation/report.json", lambda route: route.fulfill(status=404))
    open_tab(page, "Evaluation")
    expect(page.locator(".ev-state")).to_have_text("There is no report on this server.")
