"""Runs side by side in a real browser: the linked bar, the differences, choosing, opening, and stale answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.app.test_views import unpack
from tests.browser.chromium import find_chromium
from tests.browser.visitor import PAYLOADS, all_settings, enter, generate, say, stand, until, visit, visitor, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

PICTURES = "#compare .cp-run:not(.cp-map)"
COMPARED = f"{PICTURES} canvas"
RUNS = "#rail .rl-run"
BOXES = "#rail .rl-box"
"""To choose a run."""


def open_tab(page: Page, url: str, prompt: str = "a red disc") -> None:
    """The page with its comparison in view, and a prompt."""
    visit(page, url)
    page.get_by_role("tab", name="Compare").click()
    until(page, "#compare", state="idle")
    say(page, prompt)


def compared(page: Page, url: str, prompt: str = "a red disc") -> None:
    """The methods side by side."""
    open_tab(page, url, prompt)
    page.locator("#compare-methods").click()
    until(page, "#compare", state="ready")


@pytest.fixture(scope="module")
def methods(browser: Browser, quick: str) -> Iterator[Page]:
    """The methods side by side, for tests that only look at them."""
    with visitor(browser) as page:
        compared(page, quick)
        yield page


def part(page: Page, name: str) -> str:
    """Text of a part of the comparison."""
    return page.locator(f"[data-part=cp-{name}]").inner_text()


def at(page: Page, step: int) -> None:
    """Expect the comparison to stand at a step."""
    until(page, "#compare", step=step)


def traces(page: Page) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Header and arrays of what the page fetched for the runs that it shows, in their order."""
    script = "performance.getEntriesByType('resource').map(e => e.name).filter(name => name.endsWith('trace.bin'))"
    found = {}
    for address in page.evaluate(script):
        with urlopen(address) as answer:
            header, arrays = unpack(answer.read())
        found[header["id"]] = (header, arrays)
    return [found[run] for run in str(page.locator("#compare").get_attribute("data-runs")).split()]


def test_compare_methods_draws_them_side_by_side(page: Page, gradual: str) -> None:
    open_tab(page, gradual)
    page.locator("#compare-methods").click()
    page.wait_for_function("document.querySelector('#compare').dataset.state === 'streaming'")
    page.wait_for_function("document.querySelector('#compare').dataset.state === 'ready'")
    codes = np.stack([arrays["code"] for _, arrays in traces(page)])
    at(page, int(np.flatnonzero((codes != codes[0]).any(axis=0))[0]))  # where they part
    names = page.locator(f"{PICTURES} .cp-name").all_inner_texts()
    assert [name.split("\n") for name in names] == [
        ["A", "Model only"],
        ["B", "DAiD"],
        ["C", "FAiD"],
        ["D", "FAiD + DAiD"],
    ]
    assert part(page, "title") == "a red disc"
    assert page.locator(f"{RUNS}[aria-checked=true]").count() == 4
    assert page.locator(BOXES).all_inner_texts() == list("DCBA")  # the first one is the newest
    found = traces(page)
    assert [header["settings"]["method"] for header, _ in found] == ["model", "daid", "faid", "faid+daid"]
    assert len({header["settings"]["seed"] for header, _ in found}) == 1


def test_differences_are_those_of_the_codes(methods: Page) -> None:
    codes = [arrays["code"] for _, arrays in traces(methods)]
    counts = methods.locator(f"{PICTURES} .cp-foot span").all_inner_texts()
    for text, mine in list(zip(counts, codes, strict=True))[1:]:
        assert text.split()[0] == str(int((mine != codes[0]).sum()))
    distinct = [len({int(code[p]) for code in codes}) for p in range(256)]
    places = [p for p in range(256) if distinct[p] > 1]
    assert len(places) > 2
    assert f"codes differ at {len(places)} of 256 positions" in part(methods, "summary")
    for n in {count for count in distinct if count > 1}:
        assert f"{n} codes: {distinct.count(n)} position" in methods.locator(".cp-map .cp-foot").inner_text()
    stand(methods, 0, COMPARED)
    for place in places[:3]:
        methods.get_by_role("button", name="Next difference").click()
        at(methods, place)
    methods.get_by_role("button", name="Previous difference").click()
    at(methods, places[1])
    methods.keyboard.press("n")
    at(methods, places[2])
    methods.keyboard.press("p")
    methods.keyboard.press("p")
    at(methods, places[0])
    methods.keyboard.press("p")
    at(methods, places[-1])  # round the end
    verdicts = methods.locator(".cp-verdict").all_inner_texts()
    assert verdicts[1:] == [
        "differs from A" if code[places[-1]] != codes[0][places[-1]] else "as A" for code in codes[1:]
    ]


def test_readings_are_the_numbers_of_the_files(methods: Page) -> None:
    found = traces(methods)
    for step in (5, 136, 201):
        stand(methods, step, COMPARED)
        at(methods, step)
        expect(methods.locator("[data-part=cp-shared]")).to_contain_text(f"Position {step}, row {step // 16}")
        assert "The same luck, of seed 0, drew all of them" in part(methods, "shared")
        readings = methods.locator(".cp-reading").all()
        for reading, (_, arrays) in zip(readings, found, strict=True):
            text = reading.inner_text()
            assert f"code {arrays['code'][step]}" in text
            retrieved = arrays["reason"][step] < 0
            assert reading.locator(".cp-near li:visible").count() == (3 if retrieved else 0)
            assert ("No look-up" in text) == (not retrieved)


def test_rapid_scrubbing_makes_no_request_and_keeps_up(methods: Page) -> None:
    methods.wait_for_timeout(500)
    requests: list[str] = []
    methods.on("request", lambda request: requests.append(request.url))
    late = methods.evaluate(
        """async () => {
          const scrub = document.querySelector("[data-part=cp-scrub]");
          const readings = document.querySelectorAll(".cp-reading .lp-choice");
          const frame = () => new Promise(requestAnimationFrame);
          let late = 0;
          for (let step = 0; step < 256; step += 5) {
            for (let hurry = 0; hurry < 4; hurry++) {
              scrub.value = (step + 60 * hurry + 60) % 256;
              scrub.dispatchEvent(new Event("input", { bubbles: true }));
            }
            scrub.value = step;
            scrub.dispatchEvent(new Event("input", { bubbles: true }));
            await frame();
            await frame();
            const shown = document.querySelector("[data-part=cp-shared]").textContent;
            if (!shown.startsWith(`Position ${step}, row ${Math.floor(step / 16)}, `) || readings.length !== 4) late++;
          }
          return late;
        }"""
    )
    assert late == 0, "a step was not on the page two frames after the scrub"
    assert requests == []


def test_kept_runs_are_chosen_in_the_rail(page: Page, quick: str) -> None:
    open_tab(page, quick)
    all_settings(page)
    for number, method in enumerate(("model", "daid", "daid"), start=1):
        page.locator(f"#method input[value='{method}']").locator("..").click()
        enter(page.locator("#seed input"), str(number // 3))
        generate(page, "a red disc")
        expect(page.locator(RUNS)).to_have_count(number)
        until(page, "#stepper", state="ready")
    assert "Model only" in page.locator(RUNS).nth(0).inner_text()  # the newest stands last
    boxes = page.locator(BOXES)
    boxes.nth(0).click()
    until(page, "#compare", state="idle")
    boxes.nth(1).click()
    until(page, "#compare", state="ready")
    assert page.locator(f"{PICTURES} .cp-name span").all_inner_texts() == ["Model only", "DAiD"]
    boxes.nth(2).click()
    expect(page.locator(PICTURES)).to_have_count(3)
    expect(page.locator(f"{PICTURES} .cp-name span").nth(2)).to_have_text("DAiD, seed 1")
    expect(page.locator("[data-part=cp-shared]")).to_contain_text("Other seeds")
    boxes.nth(0).click()  # no longer chosen
    expect(page.locator(PICTURES)).to_have_count(2)
    assert boxes.all_inner_texts() == ["", "A", "B"]


def test_a_late_answer_does_not_replace_a_newer_one(page: Page, quick: str) -> None:
    compared(page, quick)
    boxes = page.locator(BOXES)
    held: list[Route] = []
    page.route("**/trace.bin", lambda route: held.append(route) if len(held) < 3 else route.continue_())
    boxes.nth(0).click()  # A, B, C: their files are held back
    while len(held) < 3:
        page.wait_for_timeout(50)
    assert page.locator(PICTURES).count() == 4
    boxes.nth(1).click()  # A, B
    expect(page.locator(PICTURES)).to_have_count(2)
    newer = page.locator("#compare").get_attribute("data-runs")
    for route in held:
        route.continue_()
    page.wait_for_timeout(800)
    assert page.locator("#compare").get_attribute("data-runs") == newer
    assert page.locator(PICTURES).count() == 2
    assert page.locator("#compare").get_attribute("data-state") == "ready"


def test_a_run_opens_in_the_stepper(page: Page, quick: str) -> None:
    compared(page, quick)
    wanted = str(page.locator("#compare").get_attribute("data-runs")).split()[2]
    page.get_by_role("button", name="Open C in the stepper").click()
    wait_for(page, "ready")
    expect(page.locator("#stepper")).to_have_attribute("data-trace-id", wanted)
    expect(page.locator("[data-part=facts]")).to_contain_text("FAiD")
    until(page, "#compare", state="ready")  # the comparison stays
    expect(page.locator(RUNS)).to_have_count(4)


def test_keyboard_pointer_and_overlays(methods: Page) -> None:
    methods.locator("[data-part=cp-scrub]").click()
    for key, step in [("Home", 0), ("ArrowRight", 1), ("ArrowDown", 17), ("ArrowUp", 1), ("End", 255)]:
        methods.keyboard.press(key)
        at(methods, step)
    for canvas in (methods.locator(f"{PICTURES} canvas").nth(1), methods.locator(".cp-map canvas")):
        box = canvas.bounding_box()
        assert box
        canvas.click(position={"x": box["width"] * 3.5 / 16, "y": box["height"] * 2.5 / 16})
        at(methods, 35)
        methods.get_by_role("button", name="All one position on").click()
        at(methods, 36)
    for name, words in [
        ("Entropy", "nats"),
        ("KL", "nats"),
        ("Distance", "squared L2"),
        ("Differences", "not that of A"),
    ]:
        methods.locator("#compare .lp-segments label", has_text=name).click()
        expect(methods.locator("[data-part=cp-meaning]")).to_contain_text(words)
    expect(methods.locator("#page-spoken")).to_contain_text("Position 36, row 2, column 4. A code")


def test_stop_keeps_what_was_drawn_and_errors_are_told(page: Page, slow: str) -> None:
    open_tab(page, slow)
    page.locator("#compare-weights").click()
    page.wait_for_function("Number(document.querySelector('#compare').dataset.steps) > 2")
    page.locator("#compare-stop").click()
    until(page, "#compare", state="ready")
    expect(page.locator("[data-part=cp-notice]")).to_contain_text("Stopped after")
    steps = int(page.locator("#compare").get_attribute("data-steps") or 0)
    assert 2 < steps < 256
    at(page, steps - 1)
    say(page, "  ")
    page.locator("#compare-methods").click()
    expect(page.locator("[data-part=cp-notice]")).to_contain_text("Say what to draw")
    assert page.locator(PICTURES).count() == 4  # what was there stays


def test_texts_are_shown_and_never_run(page: Page, quick: str) -> None:
    surprises: list[str] = []
    page.on("dialog", lambda dialog: (surprises.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: surprises.append(str(error)))
    compared(page, quick, PAYLOADS[2])
    assert part(page, "title") == PAYLOADS[2]
    assert page.locator("#rail .rl-words b").first.inner_text() == PAYLOADS[2]
    assert page.locator("#compare img").count() == 0
    assert surprises == []
