"""The tab "What if" and the jumps in a real browser: preview, branch, tree, pause, hand-picked codes, images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    PAYLOADS,
    at,
    enter,
    fetched_arrays,
    home,
    part,
    paused,
    ready,
    say,
    stand,
    until,
    visit,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

PANEL = "#whatif [data-wi=root]"
ANSWERED = "() => { const { whatif } = document.querySelector('#whatif'); return !whatif.waiting && !whatif.again; }"


def look(page: Page, step: int) -> None:
    """Stand at a step and bring the tab into sight."""
    stand(page, step)
    page.locator(PANEL).scroll_into_view_if_needed()
    until(page, PANEL, step=step)


def set_knob(page: Page, name: str, value: float) -> None:
    """Type a number into a field of the tab, and wait for the last answer."""
    enter(page.locator(f"#whatif input[type=number][name={name}]"), f"{value:g}")
    page.wait_for_function(ANSWERED)


def runs(page: Page) -> list[str]:
    """What the tree says of each run."""
    return page.locator(".wt-runs li").all_inner_texts()


def picked(page: Page) -> int:
    """The code that the changed blend would pick."""
    row = page.locator("#whatif tr[data-code]", has=page.locator("small", has_text="picked")).first
    rows = page.locator("#whatif tr.is-taken")
    expect(row).to_be_visible()
    return int(rows.first.get_attribute("data-code") or -1)


def test_a_change_is_previewed_branched_compared_and_undone(page: Page, quick: str) -> None:
    ready(page, quick)
    look(page, 120)
    assert "row 7, column 8" in page.locator("#whatif [data-wi=title]").inner_text()
    expect(page.locator("#whatif [data-wi=branch]")).to_be_disabled()
    set_knob(page, "retrieval_weight", 1)
    set_knob(page, "gate", 0)
    promised = picked(page)
    expect(page.locator("#whatif [data-wi=said]")).to_have_text("λ 1, gate 0")
    first = page.locator("#stepper").get_attribute("data-trace-id")
    page.locator("#whatif [data-wi=branch]").click()
    expect(page.locator(".wt-runs li")).to_have_count(2)
    wait_for(page, "ready")
    expect(page.locator("#stepper")).not_to_have_attribute("data-trace-id", str(first))
    arrays = fetched_arrays(page)[1]
    assert arrays["code"][120] == promised
    differs = int((arrays["code"] != arrays["parent"]).sum())
    assert f"from 120 · {differs} codes differ" in runs(page)[1]
    # the map and the jumps show the difference
    page.locator(".lp-segments label", has_text="Branch").click()
    expect(page.locator("[data-part=legend-text]")).to_contain_text(f"{differs} differences")
    home(page)
    page.keyboard.press("d")
    at(page, int((arrays["code"] != arrays["parent"]).argmax()))
    here = page.locator("#stepper").get_attribute("data-step")
    page.locator("#branches [data-wt=undo]").click()
    expect(page.locator("#stepper")).to_have_attribute("data-trace-id", str(first))
    at(page, str(here))  # where it stood
    page.locator("#branches [data-wt=redo]").click()
    expect(page.locator("#stepper")).not_to_have_attribute("data-trace-id", str(first))
    expect(page.locator("#branches [data-wt=redo]")).to_be_disabled()


def test_neighbours_are_dropped_pinned_and_weighed(page: Page, quick: str) -> None:
    ready(page, quick)
    look(page, 120)
    near = page.locator("#whatif tr[data-entry]")
    near.first.get_by_role("button", name="Drop").click()
    expect(page.locator("#whatif [data-wi=said]")).to_have_text("1 dropped")
    expect(near.first.locator(".wi-share")).to_contain_text("→ 0")
    near.first.get_by_role("button", name="Drop").click()
    expect(page.locator("#whatif [data-wi=said]")).to_have_text("")
    near.nth(1).get_by_role("button", name="Pin").click()
    expect(page.locator("#whatif [data-wi=said]")).to_have_text("1 pinned")
    expect(near.nth(1).locator(".wi-share")).to_contain_text("→ 100")
    page.locator("#whatif [data-wi=reset]").click()
    enter(near.nth(2).locator("input"), "8")
    expect(page.locator("#whatif [data-wi=said]")).to_have_text("1 weighed")
    page.locator("#whatif .wi-method label", has_text="FAiD").first.click()
    expect(page.locator("#whatif [data-wi=beyond]")).to_contain_text("inside the model")
    page.locator("#whatif [data-wi=branch]").click()
    expect(page.locator(".wt-runs li")).to_have_count(2)
    wait_for(page, "ready")
    expect(page.locator("[data-part=blenders]")).to_be_visible()
    stand(page, 100)
    expect(page.locator("[data-part=blenders-text]")).to_contain_text("none at this position")


def test_a_picture_is_paused_drawn_on_and_chosen_by_hand(page: Page, slow: str) -> None:
    steps = paused(page, slow)
    page.locator("#onward-patch").click()
    until(page, "#stepper", state="stopped", steps=steps + 1)
    page.locator("#onward-row").click()
    row = ((steps + 1) // 16 + 1) * 16
    until(page, "#stepper", state="stopped", steps=row)
    page.locator(PANEL).scroll_into_view_if_needed()
    until(page, PANEL, step=row)
    assert "The next patch" in page.locator("#whatif [data-wi=title]").inner_text()
    other = page.locator("#whatif tr[data-code]:not(.is-taken)").first
    code = other.get_attribute("data-code")
    other.get_by_role("button").click()
    until(page, "#stepper", state="stopped", steps=row + 1)
    expect(page.locator("[data-part=choice]")).to_contain_text(f"code {code} at")
    expect(page.locator("[data-part=flip]")).to_contain_text("Chosen by hand; drawn would have been code")
    assert len(runs(page)) == 1
    page.locator("#onward-end").click()
    page.wait_for_function(f"Number(document.querySelector('#stepper').dataset.steps) > {row + 3}")
    page.locator("#stop").click()
    wait_for(page, "stopped")


def test_jumps_go_to_flips_divergences_and_codes_without_a_request(page: Page, quick: str) -> None:
    ready(page, quick)
    page.wait_for_timeout(400)
    arrays = fetched_arrays(page)[1]
    places = [p for p in range(256) if arrays["pick"][p] != arrays["without"][p]]
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    home(page)
    for place in (places * 2)[: len(places) + 1]:  # and around
        page.keyboard.press("f")
        at(page, place)
    assert f"flip {len(places)}" in page.locator("[data-jump=flip]").inner_text()
    threshold = float(np.floor(50 * np.nanmax(arrays["kl"])) / 100)
    enter(page.locator("[data-part=jump-kl]"), str(threshold))
    far = [p for p in range(256) if arrays["kl"][p] >= threshold]
    assert far
    home(page)
    page.locator("[data-jump=kl]").click()
    at(page, next(p for p in far if p > 0))
    code = int(arrays["code"][200])
    page.keyboard.press("s")
    page.keyboard.type(str(code))
    page.keyboard.press("Enter")
    same = [p for p in range(256) if arrays["code"][p] == code]
    here = int(page.locator("#stepper").get_attribute("data-step") or -1)
    assert here in same
    assert requests == []
    regions = [int((arrays["copied"] == number).argmax()) for number in range(1, int(arrays["copied"].max()) + 1)]
    home(page)
    for place in sorted(regions):
        page.keyboard.press("c")
        at(page, place)
    expect(page.locator("[data-jump=copied]")).to_have_text(f"copied {len(regions)}" if regions else "copied 0")


def test_nothing_is_asked_while_the_tab_is_out_of_sight(page: Page, quick: str) -> None:
    page.set_viewport_size({"width": 1360, "height": 700})
    ready(page, quick)
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for step in (10, 60, 120):
        stand(page, step)
        page.wait_for_timeout(300)
    assert requests == []
    look(page, 120)
    assert requests


def test_an_image_is_read_and_completed_and_hostile_files_are_refused(page: Page, quick: str) -> None:
    visit(page, quick)
    say(page, "a red disc")
    enter(page.locator("#image-number input"), "4")
    page.locator("#image-take").click()
    expect(page.locator("#image-maps .wm-map")).to_have_count(3)
    expect(page.locator("[data-part=facts]")).to_contain_text("256 codes")
    expect(page.locator("#image-maps [data-wm=here]")).to_contain_text("Position 255")
    page.locator("#image-maps canvas").first.click(position={"x": 3, "y": 3})
    at(page, 0)
    expect(page.locator("[data-part=flip]")).to_contain_text("Given by the image")
    page.locator("#image-complete").click()
    expect(page.locator(".wt-runs li")).to_have_count(5)
    assert [text.count("from 128") for text in runs(page)] == [0, 0, 1, 1, 1]
    upload(page, "bad.png", b"\x89PNG\r\n\x1a\nnothing")
    expect(page.locator("[data-part=notice]")).to_contain_text(
        "bad.png: not a readable picture (a PNG file that is cut off)"
    )
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(picture, "PNG")
    upload(page, "red.png", picture.getvalue())
    expect(page.locator(".wt-runs li", has_text="uploaded")).to_have_count(2)


def upload(page: Page, name: str, content: bytes) -> None:
    """Choose a file with the button."""
    with page.expect_file_chooser() as chosen:
        page.locator("#image-upload").click()
    chosen.value.set_files(files=[{"name": name, "mimeType": "image/png", "buffer": content}])


def test_names_are_shown_and_never_run(page: Page, quick: str) -> None:
    surprises: list[str] = []
    page.on("dialog", lambda dialog: (surprises.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: surprises.append(str(error)))
    ready(page, quick)
    for payload in PAYLOADS:
        page.locator(".wt-rename").click()
        enter(page.locator(".wt-name"), payload)
        page.keyboard.press("Enter")
        expect(page.locator(".wt-words b")).to_have_text(payload)
    assert part(page, "title") == "a red disc"
    assert surprises == []
