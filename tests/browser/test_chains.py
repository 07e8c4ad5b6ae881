"""What goes on from a source, in a real browser: the setting, the sentence, the overlay that grows."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import all_settings, at, choose, generate, part, stand, visit

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


LED = """() => {
  const { chain, chain_size: sizes } = document.querySelector("#stepper").loupe.trace.arrays;
  const longest = sizes.indexOf(Math.max(...sizes));
  return [...chain.keys()].filter((step) => chain[step] === chain[longest]);
}"""
"""Where the longest chain of the picture leads."""


def test_sources_are_continued_and_it_is_said(page: Page, quick: str) -> None:
    visit(page, quick)
    all_settings(page)
    page.locator("#follow label", has_text="Approximate").click()
    generate(page, "disc")
    expect(page.locator("[data-part=facts]")).to_contain_text("searches saved")
    expect(page.locator("[data-part=notice]")).to_contain_text("nothing was searched")
    choose(page, "lp-overlay", "chain")
    led, lengths = page.evaluate(LED), []
    for step in (led[0], led[-1]):
        stand(page, step)
        at(page, step)
        expect(page.locator("[data-part=continued]")).to_contain_text("to the left or above")
        said = re.search(r"Outlined up to here: (\d+) patches", part(page, "legend-text"))
        assert said
        lengths.append(int(said[1]))
    assert lengths[0] < lengths[1]
