"""The tab "Read a picture" in a real browser: held-out pictures, numbers, files, the verdict, the maps, the rest."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.app.serving import served
from tests.browser.chromium import find_chromium
from tests.browser.visitor import at, enter, give_focus, open_tab, say, until, visit

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

ROOT = "[data-wm=root]"


@pytest.fixture(scope="module")
def shelf() -> Iterator[str]:
    """Address of a page with two held-out pictures."""
    with served(0.001, "held out") as url:
        yield url


def wm(page: Page, name: str) -> str:
    """Text of a part of the verdict."""
    return page.locator(f"[data-wm={name}]").inner_text().replace("\xa0", " ").replace("\N{MINUS SIGN}", "-")


def upload(page: Page, name: str, content: bytes) -> None:
    """Choose a file with the button."""
    with page.expect_file_chooser() as chosen:
        page.locator("#image-upload").click()
    chosen.value.set_files(files=[{"name": name, "mimeType": "image/png", "buffer": content}])


def test_a_held_out_picture_is_read_with_a_click(page: Page, shelf: str) -> None:
    visit(page, shelf)
    open_tab(page, "Read a picture")
    until(page, "#heldout [data-part=ho-root]", state="ready")
    pictures = page.locator(".ho-picture")
    assert pictures.count() == 2
    give_focus(pictures.nth(1))
    page.keyboard.press("Enter")
    until(page, ROOT, state="ready")
    assert wm(page, "prompt") == "Read as “held-out disc 902”"
    assert wm(page, "verdict").startswith("Model ")
    assert " nats a code: here DAiD " in wm(page, "verdict")
    assert "does not hold this picture." in wm(page, "about")
    expect(pictures.nth(1)).to_have_class("ho-picture is-taken")


def test_the_verdict_is_shown_by_row_and_by_patch(page: Page, shelf: str) -> None:
    visit(page, shelf)
    open_tab(page, "Read a picture")
    page.locator(".ho-picture").first.click()
    until(page, ROOT, state="ready")
    assert page.locator("[data-wm=rows] path.wm-mark").count() == 4 * 16
    page.locator(".wm-more summary").click()
    table = page.locator("[data-wm=table] tr").all_inner_texts()
    assert table[0].split("\t") == ["Row", "Model", "DAiD", "FAiD", "FAiD + DAiD"]
    means = np.array([[float(cell) for cell in row.split("\t")[1:]] for row in table[1:]])
    figures = [float(part.rsplit(" ", 1)[1]) for part in wm(page, "verdict").split(" nats a code")[0].split(", ")]
    assert means.mean(axis=0) == pytest.approx(figures, abs=2e-3)
    maps = page.locator(".wm-map canvas")
    assert maps.count() == 4
    box = maps.nth(1).bounding_box() or {"width": 0.0}
    maps.nth(1).click(position={"x": 2.5 * box["width"] / 16, "y": 1.5 * box["width"] / 16})
    at(page, 18)
    expect(page.locator("[data-wm=here]")).to_contain_text("Position 18: Model ")


def test_a_picture_is_read_and_completed_and_hostile_files_are_refused(page: Page, quick: str) -> None:
    visit(page, quick)
    say(page, "a red disc")
    open_tab(page, "Read a picture")
    assert page.locator("#heldout").count() == 0  # another codebook
    enter(page.locator("#image-number input"), "4")
    page.locator("#image-take").click()
    until(page, ROOT, state="ready")
    assert wm(page, "about").startswith("No. 4 of the database ")
    expect(page.locator("[data-part=facts]")).to_contain_text("256 codes")
    page.locator(".wm-map canvas").first.click(position={"x": 3, "y": 3})
    at(page, 0)
    expect(page.locator("[data-part=flip]")).to_contain_text("Given by the picture")
    page.locator("#image-complete").click()
    expect(page.locator(".rl-run")).to_have_count(5)
    texts = page.locator(".rl-run").all_inner_texts()
    assert sorted(text.count("from 128") for text in texts) == [0, 0, 1, 1, 1]
    upload(page, "bad.png", b"\x89PNG\r\n\x1a\nnothing")
    wrong = "bad.png: not a readable picture (a PNG file that is cut off)"
    expect(page.locator("[data-part=notice]")).to_contain_text(wrong)
    expect(page.locator("[data-wm=progress]")).to_contain_text(wrong)
    until(page, ROOT, state="error")
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(picture, "PNG")
    upload(page, "red.png", picture.getvalue())
    until(page, ROOT, state="ready")
    assert wm(page, "prompt") == "Read as “a red disc”"
