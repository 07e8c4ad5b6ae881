"""The tab "Inside" in a real browser: attention on the picture, layers and heads, what each layer would draw."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.test_share import saved
from tests.browser.visitor import at, generate, open_tab, ready, ready_with_blenders, stand, until, visit, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

PANEL = "#inside [data-in=root]"
ORANGE = """canvas => {
  const { width, height } = canvas, data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  return Array.from({ length: 256 }, (_, p) => {
    const x = Math.floor((p % 16 + 0.5) * width / 16), y = Math.floor((Math.floor(p / 16) + 0.25) * height / 16);
    const [red, , blue] = data.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
    return red - blue;
  });
}"""
"""How much redder than blue every cell is: the picture itself is grey there."""


def look(page: Page, step: int) -> None:
    """Open the tab at a step, and wait for what there is of it."""
    open_tab(page, "Inside")
    stand(page, step)
    page.locator(PANEL).scroll_into_view_if_needed()
    until(page, PANEL, step=step, state="ready")


def percents(page: Page, name: str) -> list[str]:
    """The weights of a list."""
    return page.locator(f"#inside [data-in={name}] .in-number").all_inner_texts()


def test_the_key_opens_it_and_the_patch_looked_at_most_is_the_most_orange(drawn: Page) -> None:
    stand(drawn, 100)
    drawn.keyboard.press("2")
    drawn.locator(PANEL).scroll_into_view_if_needed()
    until(drawn, PANEL, step=100, state="ready")
    most = drawn.locator("#inside [data-in=most] button").first.inner_text()
    position = int(most.split("(")[1].rstrip(")"))
    heat = drawn.locator("#inside [data-in=picture]").evaluate(ORANGE)
    assert heat[position] == max(heat[:100]) > 100
    assert max(heat[101:]) < 20
    assert len(percents(drawn, "words")) == 3
    expect(drawn.locator("#inside [data-in=summary]")).to_contain_text("4 patches of the context that was looked up")


def test_a_patch_that_is_looked_at_is_a_way_to_go_there(drawn: Page) -> None:
    look(drawn, 100)
    most = drawn.locator("#inside [data-in=most] button").first
    position = int(most.inner_text().split("(")[1].rstrip(")"))
    most.click()
    at(drawn, position)
    until(drawn, PANEL, step=position)


def test_layers_and_heads_have_attention_of_their_own(drawn: Page) -> None:
    look(drawn, 60)
    seen = [percents(drawn, "most")]
    head = drawn.locator("#inside [data-in=head]")
    expect(head).to_be_disabled()
    drawn.locator("#inside [data-in=layer]").select_option("layer 2")
    expect(head).to_be_enabled()
    until(drawn, PANEL, shown="60 2 ")
    seen.append(percents(drawn, "most"))
    head.select_option("head 1")
    until(drawn, PANEL, shown="60 2 1")
    seen.append(percents(drawn, "most"))
    assert len({tuple(texts) for texts in seen}) == 3
    drawn.locator("#inside [data-in=layer]").select_option("mean of all")
    until(drawn, PANEL, shown="60  ")
    assert percents(drawn, "most") == seen[0]


def test_blenders_stand_between_layers_and_patches_come_into_their_place(page: Page, quick: str) -> None:
    ready_with_blenders(page, quick)
    look(page, 100)
    stages = page.locator("#inside .in-stage")
    expect(stages).to_have_count(9)
    names = page.locator("#inside .in-name").all_inner_texts()
    assert names[:4] == ["before the first layer", "layer 0, before the blender", names[2], "layer 0"]
    assert names[2].startswith("layer 0, after the blender")
    assert names[-1] == "layer 3: prediction"
    run = page.locator("#stepper").get_attribute("data-trace-id")
    until(page, "#inside [data-in=stages]", drawn=f"{run} 100")
    expect(stages.last).to_contain_text("the code taken")
    filled = "canvas => canvas.getContext('2d').getImageData(48, 10, 1, 1).data[3]"
    assert stages.last.locator("canvas").evaluate(filled) == 255
    look(page, 2)
    expect(page.locator("#inside .in-name").nth(2)).to_contain_text("nothing looked up")
    expect(page.locator("#inside [data-in=summary]")).to_contain_text("Nothing was looked up here")


def test_another_picture_is_looked_into_when_it_comes(page: Page, quick: str) -> None:
    ready(page, quick)
    look(page, 100)
    first = page.locator(PANEL).get_attribute("data-run")
    page.locator("#prompt").scroll_into_view_if_needed()
    generate(page, "a blue disc")
    page.wait_for_function("(old) => document.querySelector('#stepper').dataset.traceId !== old", arg=first)
    wait_for(page, "ready")
    page.locator(PANEL).scroll_into_view_if_needed()
    second = page.locator("#stepper").get_attribute("data-trace-id")
    until(page, PANEL, run=second, state="ready")
    assert second != first


def test_it_is_kept_in_the_trace_when_that_is_asked_for(drawn: Page) -> None:
    look(drawn, 100)
    drawn.get_by_role("button", name="Keep this in the trace").click()
    expect(drawn.locator("#inside [data-in=kept]")).to_contain_text("It is in the trace now")


def test_a_saved_page_has_it_when_it_was_kept(page: Page, other: Page, quick: str, tmp_path: Path) -> None:
    ready_with_blenders(page, quick)
    look(page, 100)
    page.get_by_role("button", name="Keep this in the trace").click()
    expect(page.locator("#inside [data-in=kept]")).to_contain_text("It is in the trace now")
    page.locator("#inside [data-in=layer]").select_option("layer 2")
    until(page, PANEL, shown="100 2 ")
    seen = [percents(page, name) for name in ("words", "most")]
    stages = page.locator("#inside .in-stage b").all_inner_texts()
    open_tab(page, "Keep and share")
    file = saved(page, "#save-page", tmp_path)
    surprises: list[str] = []
    other.on("pageerror", lambda error: surprises.append(str(error)))
    other.on("console", lambda message: surprises.append(message.text) if message.type == "error" else None)
    other.goto(file.as_uri())
    wait_for(other, "ready")
    stand(other, 100)
    other.locator(PANEL).scroll_into_view_if_needed()
    until(other, PANEL, step=100, state="ready")
    expect(other.locator("#inside [data-in=head]")).to_be_disabled()
    other.locator("#inside [data-in=layer]").select_option("layer 2")
    until(other, PANEL, shown="100 2 ")
    assert [percents(other, name) for name in ("words", "most")] == seen
    assert other.locator("#inside .in-stage b").all_inner_texts() == stages
    expect(other.get_by_role("button", name="Keep this in the trace")).to_be_hidden()
    assert surprises == []


def test_before_a_picture_it_says_what_will_be_there(page: Page, quick: str) -> None:
    visit(page, quick)
    open_tab(page, "Inside")
    expect(page.locator("#inside [data-in=empty]")).to_contain_text("Generate a picture")
    expect(page.locator("#inside [data-in=body]")).to_be_hidden()


def test_it_fits_a_phone(phone: Page, quick: str) -> None:
    ready(phone, quick)
    look(phone, 100)
    run = phone.locator("#stepper").get_attribute("data-trace-id")
    until(phone, "#inside [data-in=stages]", drawn=f"{run} 100")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    small = phone.locator("#inside select").evaluate_all(
        "nodes => nodes.map(n => parseFloat(getComputedStyle(n).fontSize))"
    )
    assert min(small) >= 16
