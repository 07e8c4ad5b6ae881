"""The database as a place, in a real browser: the map, what is found, an opened picture, and the way to the stepper."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.types import Grid
from tests.app.fake import SIDE, disc
from tests.app.serving import served
from tests.browser.chromium import find_chromium
from tests.browser.visitor import at, enter, give_focus, open_tab, ready, stand, until, visit

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

RESULTS = "[data-db=results]"


def open_database(page: Page) -> None:
    """Open the tab and wait until the database is there, and its map is drawn."""
    open_tab(page, "Database")
    until(page, ".db", state="ready")
    page.locator("[data-db=map][data-painted]").wait_for()


def found(page: Page, kind: str) -> list[str]:
    """Wait for what a search of a kind finds; texts of the rows."""
    until(page, RESULTS, kind=kind, state="ready")
    return page.locator(".db-row").all_inner_texts()


def test_a_database_is_a_place_before_anything_is_drawn(page: Page, quick: str) -> None:
    visit(page, quick)
    open_database(page)
    expect(page.locator("[data-db=which]")).to_have_text("chosen in the settings")
    assert "40" in page.locator("[data-db=size] div").first.inner_text()
    expect(page.locator(".db-code").first).to_be_visible()
    expect(page.locator("[data-db=here]")).to_have_attribute("aria-disabled", "true")
    enter(page.locator("[data-db=words]"), "number 12")
    page.keyboard.press("Enter")
    (row,) = found(page, "words")
    assert "disc number 12" in row
    page.locator(".db-row").click()
    until(page, "[data-db=opened]", image=12)
    expect(page.locator("[data-db=used]")).to_contain_text("No run in the stepper")
    stand(page, 120, "[data-db=picture]")
    rows = found(page, "patch")
    assert any("the cell itself" in row and "distance 0.000" in row for row in rows)
    page.locator("[data-db=how]").select_option("meaning")
    enter(page.locator("[data-db=words]"), "disc number 7")
    page.keyboard.press("Enter")
    assert "disc number 7" in found(page, "meaning")[0]


def test_the_map_is_walked_by_keys_and_opens_what_it_names(page: Page, quick: str) -> None:
    visit(page, quick)
    open_database(page)
    page.locator("[data-db=by-captions]").locator("..").click()
    page.locator("[data-db=map][data-painted=captions]").wait_for()
    give_focus(page.locator("[data-db=map]"))
    page.keyboard.press("ArrowRight")
    first = page.locator("[data-db=named]").inner_text()
    assert first.startswith("disc number 0, 3d (#0)")
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        if page.locator("[data-db=named]").inner_text() != first:
            break
    named = page.locator("[data-db=named]").inner_text()
    assert named != first
    page.keyboard.press("Enter")
    until(page, "[data-db=opened]", image=named.split("(#")[1].split(")")[0])


def test_what_a_run_used_leads_to_the_stepper(page: Page, quick: str) -> None:
    ready(page, quick)
    stand(page, 100)
    at(page, 100)
    open_database(page)
    expect(page.locator("[data-db=which]")).to_contain_text("what the run in the stepper looked up in")
    page.locator("[data-db=opened][data-image]").wait_for()  # the source that shaped most
    use = page.locator(".db-use").first
    position = use.get_attribute("data-position")
    use.click()
    at(page, str(position))
    stand(page, 100)
    at(page, 100)
    page.locator("[data-db=here]").click()
    assert "distance" in found(page, "patch")[0]
    expect(page.locator("[data-db=heading]")).to_contain_text("patch 100 of the run")
    page.locator("[data-db=like]").click()
    assert "of its contexts" in found(page, "like")[0]


def test_a_picture_of_ones_own_finds_pictures_like_it(page: Page, quick: str, tmp_path: Path) -> None:
    image = disc(Grid(16, 16), 17).repeat(SIDE, axis=0).repeat(SIDE, axis=1)
    Image.fromarray(image).save(tmp_path / "mine.png")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    visit(page, quick)
    open_database(page)
    for name in ("bad.png", "mine.png"):
        with page.expect_file_chooser() as chosen:
            page.locator("[data-db=upload]").click()
        chosen.value.set_files(tmp_path / name)
        if name == "bad.png":
            until(page, RESULTS, kind="error")
            expect(page.locator("[data-db=said]")).to_contain_text("bad.png")
    assert "disc number 17" in found(page, "like")[0]


def test_captions_are_text_and_a_search_that_finds_nothing_says_so(page: Page, quick: str) -> None:
    visit(page, quick)
    open_database(page)
    enter(page.locator("[data-db=words]"), "<img src=x onerror=alert(1)>")
    page.keyboard.press("Enter")
    assert found(page, "words") == []
    expect(page.locator("[data-db=heading]")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("[data-db=said]")).to_contain_text("0 of the 40 captions")


def test_the_database_of_the_run_and_that_of_the_settings_are_told_apart(page: Page) -> None:
    """Released databases have no pictures and no captions: the tab says so, and shows what it can."""
    with served(0.0, "released") as url:
        visit(page, url)
        open_database(page)
        expect(page.locator("[data-db=notice]")).to_contain_text("Approximate search")
        expect(page.locator("[data-db=by-captions]")).to_be_disabled()
        page.locator("#database label", has_text="all").click()
        expect(page.locator("[data-db=title]")).to_have_text("all")
        expect(page.locator("[data-db=by-captions]")).to_be_enabled()
        page.locator("#generate").scroll_into_view_if_needed()
        enter(page.locator("#prompt textarea"), "a red disc")
        page.locator("#generate").click()
        until(page, "#stepper", state="ready")
        page.locator("#database label", has_text="released").click()
        expect(page.locator("[data-db=choice]")).to_be_visible()
        page.locator("[data-db=offers] label", has_text="of the run").click()
        expect(page.locator("[data-db=title]")).to_have_text("all")
        expect(page.locator("[data-db=which]")).to_contain_text("the settings have chosen another one")
