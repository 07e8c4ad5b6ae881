"""The tab "What if" and the jumps in a real browser: preview, branch, outcome, pause, hand-picked codes."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    at,
    enter,
    fetched_arrays,
    home,
    paused,
    ready,
    stand,
    until,
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
    """What the rail says of each run."""
    return page.locator(".rl-run").all_inner_texts()


def picked(page: Page) -> int:
    """The code that the changed blend would pick."""
    row = page.locator("#whatif tr[data-code]", has=page.locator("small", has_text="taken")).first
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
    expect(page.locator(".rl-run")).to_have_count(2)
    wait_for(page, "ready")
    expect(page.locator("#stepper")).not_to_have_attribute("data-trace-id", str(first))
    arrays = fetched_arrays(page)[1]
    assert arrays["code"][120] == promised
    differs = int((arrays["code"] != arrays["parent"]).sum())
    assert f"from 120 · {differs} differ" in runs(page)[1]
    said = f"{differs} of 256 patches {'differs' if differs == 1 else 'differ'} from the run it came from."
    expect(page.locator("#whatif [data-wo=text]")).to_have_text(said)
    # the map and the jumps show the difference
    page.locator(".lp-segments label", has_text="Branch").click()
    expect(page.locator("[data-part=legend-text]")).to_contain_text(f"{differs} differences")
    home(page)
    page.keyboard.press("d")
    at(page, int((arrays["code"] != arrays["parent"]).argmax()))
    here = page.locator("#stepper").get_attribute("data-step")
    page.locator("#rail [data-rl=undo]").click()
    expect(page.locator("#stepper")).to_have_attribute("data-trace-id", str(first))
    at(page, str(here))  # where it stood
    page.locator("#rail [data-rl=redo]").click()
    expect(page.locator("#stepper")).not_to_have_attribute("data-trace-id", str(first))
    expect(page.locator("#rail [data-rl=redo]")).to_be_disabled()


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
    expect(page.locator(".rl-run")).to_have_count(2)
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
