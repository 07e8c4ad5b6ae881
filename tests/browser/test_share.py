"""Keeping, sharing, own pictures and the tour in a real browser, over the fake model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Request, expect

from app.tabs.learn.recording import Recording
from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    PAYLOADS,
    at,
    enter,
    generate,
    home,
    open_tab,
    part,
    ready,
    shows,
    stand,
    tab_to,
    visit,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


def notice(page: Page, text: str) -> None:
    """Expect a message above the picture."""
    expect(page.locator("[data-part=notice]")).to_contain_text(text)


def saved(page: Page, button: str, folder: Path) -> Path:
    """The file that a button downloads."""
    with page.expect_download() as download:
        page.locator(button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def linked(page: Page) -> str:
    """The link to the run in the stepper."""
    open_tab(page, "Keep and share")
    expect(page.locator("#copy-link")).to_be_enabled()
    page.locator("#copy-link").click()
    field = page.locator("#run-link textarea, #run-link input")
    expect(field).to_have_value(re.compile(r"step="))
    return field.input_value()


# ---------------------------------------------------------------------------------------------------------------------
# Links


def test_a_copied_link_draws_the_same_run_at_the_same_position(page: Page, other: Page, quick: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, quick)
    enter(page.locator("#seed input"), "7")
    generate(page, "a disc & 100 % of <b>")
    wait_for(page, "ready")
    stand(page, 100)
    link = linked(page)
    expect(page.locator("#keep-told")).to_have_text("Copied, with position 100.")
    assert page.evaluate("navigator.clipboard.readText()") == link
    shows(page, 100)
    code = part(page, "choice")
    other.goto(link)
    wait_for(other, "ready")
    shows(other, 100)
    assert (part(other, "title"), part(other, "choice")) == ("a disc & 100 % of <b>", code)
    assert part(other, "notice") == ""  # the codes are those of the link
    expect(other.locator("#prompt textarea")).to_have_value("a disc & 100 % of <b>")
    expect(other.locator("#seed input")).to_have_value("7")


def test_a_link_whose_codes_differ_says_so(page: Page, quick: str) -> None:
    page.goto(f"{quick}/?prompt=sun&codes=0123456789abcdef&odd=1")
    wait_for(page, "ready")
    notice(page, "The codes differ from those of the link")
    notice(page, "Left out what this page does not know: odd.")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("prompt=sun&seed=abc", "Seed takes a whole number, not 'abc'."),
        ("prompt=sun&model=<script>", "Model takes one of fake"),
        ("prompt=sun&n_neighbours=3000", "Neighbours K takes 0 to 2048, not 3000."),
    ],
)
def test_a_bad_link_is_told_and_the_page_works(page: Page, quick: str, query: str, said: str) -> None:
    page.goto(f"{quick}/?{query}")
    wait_for(page, "error")
    notice(page, said)
    generate(page, "a red disc")
    wait_for(page, "ready")
    expect(page.locator("[data-part=notice]")).to_be_hidden()


# ---------------------------------------------------------------------------------------------------------------------
# Files


def test_the_downloaded_page_replays_from_disk_without_a_request(
    page: Page, other: Page, quick: str, tmp_path: Path
) -> None:
    surprises: list[str] = []
    requests: list[str] = []
    hostile = "".join(PAYLOADS)[:280]
    ready(page, quick, hostile)
    open_tab(page, "Keep and share")
    file = saved(page, "#save-page", tmp_path)
    assert file.suffix == ".html"
    assert file.stat().st_size < 3_000_000

    def note(request: Request) -> None:
        requests.append(request.url)

    other.on("request", note)
    other.on("dialog", lambda dialog: (surprises.append(dialog.message), dialog.dismiss()))
    other.on("pageerror", lambda error: surprises.append(str(error)))
    other.on("console", lambda message: surprises.append(message.text) if message.type == "error" else None)
    other.goto(file.as_uri())
    wait_for(other, "ready")
    for both in (page, other):
        stand(both, 136)
        shows(both, 136)
    for name in ("title", "choice", "neighbours-text", "numbers"):
        assert part(other, name) == part(page, name)
    expect(other.locator("[data-part=cards] li").first).to_contain_text("disc number")
    drawn = (
        "canvas => canvas.getContext('2d').getImageData(20, 20, 60, 60).data.some(value => value > 0 && value < 255)"
    )
    assert other.locator("[data-part=cards] canvas").first.evaluate(drawn), "the source pictures are not there"
    other.locator("summary").click()
    expect(other.locator("#settings")).to_contain_text("retrieval_weight")
    assert requests == [file.as_uri()]
    assert surprises == []


def test_a_downloaded_trace_can_be_opened_by_somebody_else(page: Page, other: Page, quick: str, tmp_path: Path) -> None:
    ready(page, quick)
    open_tab(page, "Keep and share")
    file = saved(page, "#save-trace", tmp_path)
    assert file.suffix == ".npz"
    visit(other, quick)
    open_tab(other, "Keep and share")
    choose = other.locator("#keep-files input[type=file]")
    choose.set_input_files(file)
    wait_for(other, "ready")
    notice(other, f"Opened from {file.name}")
    expect(other.locator("[data-part=title]")).to_have_text("a red disc")
    expect(other.locator("[data-part=choice]")).to_have_text(part(page, "choice"))
    expect(other.locator("#rail .rl-run")).to_have_count(1)
    hostile = tmp_path / "hostile.npz"
    hostile.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    choose.set_input_files(hostile)
    notice(other, "hostile.npz: not a trace, or damaged")
    home(other)
    at(other, 0)
    assert part(other, "title") == "a red disc"


# ---------------------------------------------------------------------------------------------------------------------
# Own pictures


def picture(folder: Path, name: str, colour: tuple[int, int, int]) -> Path:
    """A picture of one colour."""
    Image.new("RGB", (64, 64), colour).save(folder / name)
    return folder / name


def test_own_pictures_are_retrieved_from_by_their_owner_only(
    page: Page, other: Page, quick: str, tmp_path: Path
) -> None:
    visit(page, quick)
    open_tab(page, "Your pictures")
    bad = tmp_path / "not a picture.png"
    bad.write_bytes(b"hello")
    files = [picture(tmp_path, f"square_{i}.png", (200, 40 * i, 30)) for i in range(4)]
    page.locator("#bring-buttons input[type=file]").set_input_files([*files, bad])
    status = page.locator("#bring-status textarea")
    expect(status).to_have_value(re.compile("4 pictures are in your database"))
    expect(status).to_have_value(re.compile("Refused not a picture.png: not a readable picture"))
    expect(page.locator("#bring-seen button")).to_have_count(4)
    expect(page.locator("#database input[value=yours]")).to_be_checked()
    generate(page, "a red disc")
    wait_for(page, "ready")
    expect(page.locator("[data-part=facts]")).to_contain_text("databaseYours")
    stand(page, 136)
    expect(page.locator("[data-part=cards] li").first).to_contain_text("square")
    visit(other, quick)
    assert other.locator("#database input[value=yours]").count() == 0
    open_tab(page, "Keep and share")
    expect(page.locator("#run-link textarea, #run-link input")).to_have_attribute(
        "placeholder", re.compile("pictures that only you have")
    )
    expect(page.locator("#copy-link")).to_be_disabled()


# ---------------------------------------------------------------------------------------------------------------------
# The tour


def test_the_tour_opens_at_once_and_is_walked_by_keys(page: Page, quick: str) -> None:
    stops = Recording.load().stops
    visit(page, quick)
    tab_to(page, "#tour-start")
    page.keyboard.press("Enter")
    card = page.locator(".tour-card")
    expect(card).to_be_visible()
    expect(page.locator("#stepper")).to_have_attribute("data-trace-id", "tour")
    for number, stop in enumerate(stops, start=1):
        expect(card).to_contain_text(f"{number} of {len(stops)}")
        expect(card.locator("h2")).to_have_text(stop.title)
        at(page, stop.step)
        expect(card).to_be_focused()
        assert page.locator(f"#stepper .tour-target:is({stop.part})").count() == 1
        assert card.evaluate(
            "node => { const b = node.getBoundingClientRect(); return b.left >= 0 && b.right <= innerWidth }"
        )
        assert page.locator("[data-part=frame]").evaluate(
            "node => { const b = node.getBoundingClientRect(); return b.top < innerHeight && b.bottom > 0 }"
        )
        page.keyboard.press("ArrowRight")
    expect(card).to_be_hidden()
    expect(page.locator("#tour-start")).to_be_focused()
    assert page.locator(".tour-target").count() == 0


def test_the_tour_ends_by_escape_and_when_something_else_is_drawn(page: Page, quick: str) -> None:
    visit(page, quick)
    open_tab(page, "Learn")
    page.locator("#stepper").get_by_role("button", name="Take the tour").click()
    card = page.locator(".tour-card")
    expect(card).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(card).to_contain_text("1 of")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    page.locator("#tour-start").click()
    expect(card).to_be_visible()
    generate(page, "a red disc")
    wait_for(page, "ready")
    expect(card).to_be_hidden()
    assert part(page, "title") == "a red disc"
