"""What people bring with them: other databases, keys, colours, narrow windows, screen readers, languages."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.app.serving import served
from tests.browser.chromium import find_chromium
from tests.browser.test_page import generate, visit, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


def test_a_released_database_says_what_it_is_and_the_first_picture_works(page: Page) -> None:
    with served(0.0, "released") as url:
        visit(page, url)
        expect(page.locator("#model")).to_contain_text("Fake, on the CPU.")
        expect(page.locator("#database")).to_contain_text("Approximate search")
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
        captions.locator("input").first.fill("8")
        page.locator("#database label", has_text="released").click()
        expect(captions.locator("input").first).to_be_disabled()
        expect(captions.locator("input").first).to_have_value("0")
        generate(page, "a red disc")
        wait_for(page, "ready")
