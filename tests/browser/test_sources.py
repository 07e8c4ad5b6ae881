"""Where a picture came from, in a real browser: the overlay, the tab, and what happens when both are used."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    all_settings,
    at,
    choose,
    enter,
    fetched_arrays,
    generate,
    open_tab,
    part,
    stand,
    visit,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

PIXELS = """canvas => {
  const { width, height } = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  return Array.from({ length: 256 }, (_, p) => {
    const x = Math.floor((p % 16 + 0.2) * width / 16), y = Math.floor((Math.floor(p / 16) + 0.8) * height / 16);
    return [...data.slice(4 * (y * width + x), 4 * (y * width + x) + 3)].join();
  });
}"""


def shares(text: str) -> float:
    """A percentage as it is written, as a share; less than a tenth counts as nothing."""
    return 0.0 if text.startswith("<") else float(text.split()[0]) / 100


def open_sources(page: Page) -> None:
    """Open the tab and wait until it is there."""
    open_tab(page, "Sources")
    expect(page.locator(".so-panel")).to_be_visible()


def settle(page: Page) -> None:
    """Two frames, so that what was drawn is on the canvas."""
    page.wait_for_function("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def plain_pixels(page: Page, step: int) -> list[str]:
    """Colours of the cells at a step, without an overlay."""
    choose(page, "lp-overlay", "none")
    stand(page, step)
    at(page, step)
    settle(page)
    pixels: list[str] = page.locator("[data-part=canvas]").evaluate(PIXELS)
    return pixels


def test_the_overlay_colours_cells_by_source(drawn: Page) -> None:
    plain, canvas = plain_pixels(drawn, 255), drawn.locator("[data-part=canvas]")
    choose(drawn, "lp-overlay", "source")
    expect(drawn.locator("[data-part=legend-text]")).to_contain_text("Coloured by source")
    settle(drawn)
    coloured = canvas.evaluate(PIXELS)
    header, arrays = fetched_arrays(drawn)
    owned = arrays["owner"] >= 0
    changed = [before != after for before, after in zip(plain, coloured, strict=True)]
    assert changed[:255] == owned.tolist()[:255]  # the last cell is outlined
    keys = drawn.locator("[data-part=legend-sources] li").all_inner_texts()
    first = header["provenance"]["listed"][0]
    assert keys[0].startswith("1")
    assert f"{header['sources'][header['provenance']['places'][0]][1]}, " in keys[0]
    assert int(keys[0].split()[-1]) == first["patches"]
    step = int(owned.nonzero()[0][0])
    stand(drawn, step)
    expect(drawn.locator("[data-part=legend-text]")).to_contain_text("% from disc number")


def test_the_tab_lists_sources_with_the_figures_of_the_file(drawn: Page) -> None:
    open_sources(drawn)
    header, _ = fetched_arrays(drawn)
    listed = header["provenance"]["listed"]
    rows = drawn.locator(".so-row")
    expect(rows).to_have_count(len(listed))
    for row, figures in list(zip(rows.all(), listed, strict=True))[:5]:
        mass, credit, patches = row.locator(".so-number").all_inner_texts()
        assert shares(mass) == pytest.approx(figures["mass"], abs=0.006)
        assert shares(credit) == pytest.approx(figures["credit"], abs=0.006)
        assert int(patches.split()[0]) == figures["patches"]  # "patches" follows, for those who only hear it
    patches = sum(figures["patches"] for figures in [*listed, header["provenance"]["others"]])
    expect(drawn.locator("[data-part=summary]")).to_contain_text(f"shaped {patches} of 256 patches")
    copying = header["provenance"]["copying"]
    assert drawn.locator(".so-copying [data-part=largest]").inner_text() == str(copying["largest"])
    assert shares(drawn.locator(".so-copying [data-part=share]").inner_text()) == pytest.approx(
        copying["share"], abs=0.006
    )
    expect(drawn.locator("[data-part=note]")).to_contain_text("was not measured with this database")


def test_choosing_a_source_highlights_what_it_shaped(drawn: Page) -> None:
    open_sources(drawn)
    _, arrays = fetched_arrays(drawn)
    plain = plain_pixels(drawn, 0)
    canvas, second = drawn.locator("[data-part=canvas]"), drawn.locator(".so-row").nth(1)
    second.click()
    expect(second).to_have_attribute("aria-pressed", "true")
    expect(drawn.locator("[name=lp-overlay][value=source]")).to_be_checked()
    settle(drawn)
    width = arrays["credit"].size // 256
    mine = arrays["credit"].reshape(256, width)[:, 1] > 0
    changed = [before != after for before, after in zip(plain, canvas.evaluate(PIXELS), strict=True)]
    assert changed[1:] == mine.tolist()[1:]
    step = int(mine.nonzero()[0][0])
    stand(drawn, step)
    origin = int(arrays["origin"].reshape(256, -1)[step, 1])
    expect(drawn.locator("[data-part=here]")).to_contain_text(
        f"row {origin // 16}, column {origin % 16} of this source"
    )
    second.click()
    expect(second).to_have_attribute("aria-pressed", "false")


def test_a_click_on_the_small_picture_and_on_a_region_goes_there(page: Page, quick: str) -> None:
    visit(page, quick)
    open_sources(page)
    all_settings(page)
    enter(page.get_by_label("Retrieval weight λ").first, "0.9")
    enter(page.get_by_label("Caption filter").first, "1")
    enter(page.get_by_label("Position term").first, "0.3")
    enter(page.get_by_label("Gate").first, "0")
    generate(page, "a red disc")
    wait_for(page, "ready")
    _, arrays = fetched_arrays(page)
    page.locator(".so-panel canvas[data-part=picture]").click(position={"x": 232 * 3.5 / 16, "y": 232 * 2.5 / 16})
    at(page, 35)
    regions = page.locator(".so-region")
    assert regions.count() >= 1
    regions.first.click()
    at(page, int((arrays["copied"] == 1).argmax()))
    expect(regions.first).to_contain_text(str(int((arrays["copied"] == 1).sum())))


def test_scrubbing_with_the_tab_open_makes_no_request_and_keeps_up(drawn: Page) -> None:
    open_sources(drawn)
    drawn.locator(".so-row").first.click()
    drawn.wait_for_timeout(500)
    requests: list[str] = []
    drawn.on("request", lambda request: requests.append(request.url))
    late = drawn.evaluate(
        """async () => {
          const scrub = document.querySelector("[data-part=scrub]"), here = document.querySelector("[data-part=here]");
          const frame = () => new Promise(requestAnimationFrame);
          let late = 0;
          for (let step = 0; step < 256; step += 5) {
            scrub.value = step;
            scrub.dispatchEvent(new Event("input", { bubbles: true }));
            await frame();
            await frame();
            if (!here.textContent.startsWith(`Position ${step}:`)) late++;
          }
          return late;
        }"""
    )
    assert late == 0
    assert requests == []


def test_the_tab_follows_runs_and_comes_back(page: Page, quick: str) -> None:
    visit(page, quick)
    open_sources(page)
    expect(page.locator(".so-empty")).to_contain_text("Draw a picture")
    generate(page, "a red disc")
    wait_for(page, "ready")
    expect(page.locator(".so-row").first).to_be_visible()
    open_tab(page, "Metrics")
    choose(page, "method", "faid")
    generate(page, "another disc")
    expect(page.locator("[data-part=title]")).to_have_text("another disc")
    wait_for(page, "ready")
    open_sources(page)
    expect(page.locator("[data-part=head-mass]")).to_have_text("compatibility")
    choose(page, "method", "model")
    generate(page, "a third disc")
    expect(page.locator(".so-empty")).to_contain_text("This run looked nothing up")
    expect(page.locator("[name=lp-overlay][value=source]")).to_be_disabled()
    assert part(page, "title") == "a third disc"
