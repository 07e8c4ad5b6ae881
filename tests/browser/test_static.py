"""The gallery of recorded runs in a real browser, from a server of plain files below a path."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, Response, expect

from tests.browser.chromium import find_chromium
from tests.browser.test_axe import BROKEN
from tests.browser.visitor import PHONE, at, shows, stand, until, visitor, where
from tests.gallery import PROMPT, write_gallery

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Plain files, without a word."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the small gallery."""
    root = tmp_path_factory.mktemp("host")
    write_gallery(root / "deep" / "gallery")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/deep/gallery/"
        server.shutdown()
        thread.join()


@pytest.fixture
def reader(browser: Browser, gallery: str) -> Iterator[Page]:
    """Somebody who likes it calm, all of whose requests must be for files of the gallery that are there."""
    wrong: list[str] = []

    def ask(request: Request) -> None:
        if not request.url.startswith((gallery, "data:", "blob:")):
            wrong.append(request.url)

    def answer(response: Response) -> None:
        if response.status >= 400:
            wrong.append(f"{response.status} {response.url}")

    with visitor(browser, newcomer=True, reduced_motion="reduce") as page:
        page.on("request", ask)
        page.on("response", answer)
        page.on("requestfailed", lambda request: wrong.append(f"failed {request.url}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        yield page
    assert wrong == []


def test_the_first_screen_plays_and_leads_to_its_run(browser: Browser, reader: Page, gallery: str) -> None:
    with visitor(browser, newcomer=True) as moving:
        moving.goto(gallery)
        until(moving, "#stage", state="shown", playing="true")
    reader.goto(gallery)
    until(reader, "#stage", state="shown", whole="true")
    expect(reader.locator("[data-sg=honest]")).to_contain_text("This is a recording")
    expect(reader.locator("#stage form")).to_have_count(0)
    reader.get_by_role("button", name="Step through this run").click()
    until(reader, "#stepper", state="ready")
    assert "#run=pizza-strong&step=" in reader.url


def test_a_card_opens_its_run_which_is_stepped_through(reader: Page, gallery: str) -> None:
    reader.goto(gallery)
    card = reader.locator("[data-run=pizza-strong]")
    expect(card).to_contain_text(PROMPT)
    expect(card).to_contain_text("look-ups changed")
    card.click()
    until(reader, "#stepper", state="ready")
    expect(reader.locator("#stepper [data-part=title]")).to_have_text(PROMPT)
    reader.keyboard.press("Home")
    shows(reader, 0)
    reader.keyboard.press("ArrowRight")
    at(reader, 1)
    reader.keyboard.press("n")
    reader.wait_for_function("Number(document.querySelector('#stepper').dataset.step) > 1")
    expect(reader.locator("#stepper [data-part=flip]")).not_to_be_empty()
    stand(reader, 40)
    shows(reader, 40)
    reader.wait_for_url("**#run=pizza-strong&step=40")
    expect(reader.locator("#sources [data-part=rows] li").first).to_be_visible()
    reader.locator("#inside").scroll_into_view_if_needed()
    until(reader, "#inside [data-in=root]", state="ready")


def test_a_link_leads_to_a_position_and_back_and_forward_work(reader: Page, gallery: str) -> None:
    reader.goto(f"{gallery}#run=paused&step=33")
    until(reader, "#stepper", state="stopped", step=33)
    expect(reader.locator("#stepper [data-part=notice]")).to_have_text("Paused after 90 of 256 patches.")
    assert reader.locator("#inside").is_hidden()
    reader.get_by_role("link", name="All runs").first.click()
    expect(reader.locator("#gl-home")).to_be_visible()
    reader.go_back()
    expect(reader.locator("#gl-run")).to_be_visible()
    assert where(reader) == 33
    reader.keyboard.press("ArrowLeft")
    at(reader, 32)
    reader.wait_for_url("**&step=32")
    reader.get_by_role("link", name="Next").click()
    until(reader, "#stepper", state="ready", **{"trace-id": "branch"})
    reader.go_back()
    until(reader, "#stepper", state="stopped", step=32)
    reader.go_forward()
    until(reader, "#stepper", **{"trace-id": "branch"})
    reader.keyboard.press("Escape")
    expect(reader.locator("#gl-home")).to_be_visible()


def test_runs_beside_each_other_and_a_sweep_open_their_runs(reader: Page, gallery: str) -> None:
    reader.goto(gallery)
    reader.locator("[data-compare=both]").click()
    until(reader, "#compare", state="ready", runs="pizza-strong branch")
    expect(reader.locator("[data-part=cp-summary]")).to_contain_text("codes differ at")
    reader.locator("#compare .cp-open").last.click()
    until(reader, "#stepper", **{"trace-id": "branch"})
    reader.go_back()
    expect(reader.locator("#compare")).to_be_visible()
    reader.goto(f"{gallery}#sweep=weights")
    until(reader, "#sweep", state="ready", pictures=2)
    reader.locator("#sweep .sw-tile").last.click()
    until(reader, "#stepper", **{"trace-id": "weights-2"})
    expect(reader.get_by_role("link", name="The sweep")).to_be_visible()


def test_a_run_that_is_not_there_is_said_and_all_are_shown(reader: Page, gallery: str) -> None:
    reader.goto(f"{gallery}#run=%3Cb%3Enobody&step=5")
    expect(reader.locator("#gl-note")).to_have_text(
        "There is no recording “<b>nobody” here any more; these are the ones that there are."
    )
    expect(reader.locator("[data-run=paused]")).to_be_visible()
    reader.goto(f"{gallery}#run=paused&step=9999")
    until(reader, "#stepper", state="stopped", step=89)


def test_only_what_is_looked_at_is_fetched(reader: Page, gallery: str) -> None:
    fetched: list[str] = []
    reader.on("request", lambda request: fetched.append(request.url))
    reader.goto(gallery)
    until(reader, "#stage", state="shown")
    assert not [url for url in fetched if url.endswith(".bin")]
    reader.locator("[data-run=paused]").click()
    until(reader, "#stepper", state="stopped")
    assert len([url for url in fetched if url.endswith(".bin")]) == 1


def test_it_fits_a_phone_and_remembers_dark(browser: Browser, gallery: str) -> None:
    with visitor(browser, newcomer=True, viewport=PHONE, reduced_motion="reduce", has_touch=True) as page:
        page.goto(gallery)
        until(page, "#stage", state="shown")
        page.get_by_role("button", name="Switch between light and dark").click()
        for place, part in (("", "#stage"), ("#run=pizza-strong", "#stepper"), ("#sweep=weights", "#sweep")):
            page.goto(f"{gallery}{place}")
            expect(page.locator(part)).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.reload()
        expect(page.locator("body")).to_have_class("gl dark")


@pytest.mark.parametrize("look", ["light", "dark"])
def test_nothing_breaks_a_rule_of_axe(browser: Browser, gallery: str, look: Literal["light", "dark"]) -> None:
    broken = []
    with visitor(browser, newcomer=True, color_scheme=look, reduced_motion="reduce") as page:
        for place, painted in (
            ("", "#stage[data-state=shown]"),
            ("#run=pizza-strong&step=40", "#stepper[data-shown='40'], #sources [data-part=picture][aria-label^=The]"),
            ("#compare=both", "#compare .cp-canvas[aria-label*='differing codes: ']"),
            ("#sweep=weights", "#sweep[data-state=ready]"),
        ):
            page.goto(f"{gallery}{place}")
            for part in painted.split(", "):
                page.locator(part).first.wait_for()
            for rule in Axe().run(page, options=BROKEN).response["violations"]:
                broken += [(place, rule["id"], node["target"], node["failureSummary"]) for node in rule["nodes"]]
    assert broken == []
