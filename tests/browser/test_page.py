"""The page in a real browser: what a visitor does, what they see, and what must never happen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlparse

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.app.serving import served
from tests.browser.chromium import find_chromium
from tests.browser.visitor import (
    PAYLOADS,
    all_settings,
    at,
    choose,
    enter,
    fetched_arrays,
    generate,
    home,
    numbers,
    part,
    paused,
    ready,
    ready_with_blenders,
    say,
    shows,
    stand,
    until,
    visit,
    visitor,
    wait_for,
)

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

RACED = ("model", "blended")
LISTED = ("top_code", "top_noise", "top_model", "top_blended")


@pytest.fixture(scope="module")
def blended(browser: Browser, quick: str) -> Iterator[Page]:
    """As `drawn`, by a method with blenders."""
    with visitor(browser) as page:
        ready_with_blenders(page, quick)
        fetched_arrays(page)  # while the server has them
        yield page


def test_generate_streams_patches_and_ends_ready(page: Page, gradual: str) -> None:
    visit(page, gradual)
    assert page.locator("#stepper").get_attribute("data-trace-id") == ""
    generate(page, "a red disc")
    wait_for(page, "streaming")
    page.wait_for_function("Number(document.querySelector('#stepper').dataset.steps) > 0")
    assert page.locator("#stepper").get_attribute("data-state") == "streaming"
    wait_for(page, "ready")
    header, _ = fetched_arrays(page)
    at(page, header["summary"]["start"])
    root = page.locator("#stepper")
    assert root.get_attribute("data-steps") == "256"
    assert len(root.get_attribute("data-trace-id") or "") >= 20
    assert part(page, "title") == "a red disc"
    assert page.locator("[data-part=codes] tr").count() == 12


def test_reading_shows_context_neighbours_and_reasons(drawn: Page) -> None:
    stand(drawn, 136)
    at(drawn, 136)
    expect(drawn.locator("[data-part=choice]")).to_contain_text("row 8, column 8")
    expect(drawn.locator("[data-part=neighbours-text]")).to_contain_text("16 of 64 shown")
    expect(drawn.locator("[data-part=cards] li:visible")).to_have_count(16)
    expect(drawn.locator("[data-part=cards] li").first).to_contain_text("disc number")
    stand(drawn, 5)
    expect(drawn.locator("[data-part=nothing]")).to_contain_text("first row")
    expect(drawn.locator("[data-part=cards] li:visible")).to_have_count(0)


@pytest.mark.parametrize("method", ["daid", "faid+daid"])
def test_scrubbing_makes_no_request_and_keeps_up(page: Page, quick: str, method: str) -> None:
    page.set_viewport_size({"width": 1360, "height": 1200})  # what is out of sight may come later
    visit(page, quick)
    choose(page, "method", method)
    generate(page, "a red disc")
    wait_for(page, "ready")
    page.wait_for_timeout(500)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    drawn = page.evaluate(
        """async () => {
          const scrub = document.querySelector("[data-part=scrub]");
          const frame = () => new Promise(requestAnimationFrame);
          let late = 0;
          for (let step = 0; step < 256; step += 5) {
            scrub.value = step;
            scrub.dispatchEvent(new Event("input", { bubbles: true }));
            for (let i = 0; i < 3; i++) await frame();
            const shown = document.querySelector("[data-part=choice]").textContent;
            if (!shown.endsWith(`row ${Math.floor(step / 16)}, column ${step % 16}`)) late++;
          }
          return late;
        }"""
    )
    assert drawn == 0, "a step was not on the page three frames after the scrub"
    assert requests == []


MOST_WORK = 4.0
"""Of the page's thread for one step, in yardsticks: `YARDSTICK` is worked in the same page, by the same machine.
On a busy one a step was 1.9 to 2.3 of them."""

YARDSTICK = """async (count) => {
  const table = document.body.appendChild(document.createElement("table"));
  for (let i = 0; i < count; i++) {
    table.innerHTML = Array.from({ length: 60 }, (_, row) => `<tr><td>${i}<td>${row}<td>${i * row}</tr>`).join("");
    table.getBoundingClientRect();
    await new Promise(requestAnimationFrame);
  }
  table.remove();
}"""
"""Sixty rows of three numbers, written and laid out anew in each frame."""

SCRUB = """async (count) => {
  const scrub = document.querySelector("[data-part=scrub]");
  for (let i = 0; i < count; i++) {
    scrub.value = (i * 7) % 576;
    scrub.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
  }
}"""


def test_a_step_of_24_x_24_positions_with_blenders_is_little_work(page: Page) -> None:
    with served(0.0, "large") as url:
        ready_with_blenders(page, url, "faid+daid", recorded=True)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def work(script: str, count: int) -> float:
            """Milliseconds of scripts, styles and layout for one of so many, in the time of the page's own thread."""
            before = spent()
            page.evaluate(script, count)
            return (spent() - before) / count

        def spent() -> float:
            found = {item["name"]: item["value"] for item in session.send("Performance.getMetrics")["metrics"]}
            return 1000 * sum(found[name] for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration"))

        for script in (SCRUB, YARDSTICK):
            page.evaluate(script, 20)
        pairs = [(work(SCRUB, 20), work(YARDSTICK, 20)) for _ in range(3)]
        assert min(step / yardstick for step, yardstick in pairs) < MOST_WORK
        page.evaluate(SCRUB, 60)
        at(page, 59 * 7)
        expect(page.locator("[data-part=cards] li:visible")).to_have_count(16)


def test_keyboard(drawn: Page) -> None:
    stand(drawn, 100)
    for key, step in [
        ("Home", 0),
        ("ArrowRight", 1),
        ("ArrowDown", 17),
        ("ArrowLeft", 16),
        ("ArrowUp", 0),
        ("End", 255),
    ]:
        drawn.keyboard.press(key)
        at(drawn, step)
    drawn.keyboard.press("ArrowRight")
    at(drawn, 255)
    drawn.keyboard.press("Space")
    drawn.wait_for_function("Number(document.querySelector('#stepper').dataset.step) > 3")
    drawn.keyboard.press("Space")
    assert drawn.locator("[data-part=play]").get_attribute("aria-label") == "Play"
    here = int(drawn.locator("#stepper").get_attribute("data-step") or 0)
    drawn.wait_for_timeout(300)
    at(drawn, here)
    drawn.locator("#prompt textarea").click()
    drawn.keyboard.press("Home")  # typing elsewhere does not move
    at(drawn, here)


def test_buttons_and_a_click_on_a_cell(drawn: Page) -> None:
    canvas = drawn.locator("[data-part=canvas]")
    box = canvas.bounding_box()
    assert box
    canvas.click(position={"x": box["width"] * 3.5 / 16, "y": box["height"] * 2.5 / 16})
    at(drawn, 35)
    drawn.get_by_role("button", name="Next position").click()
    at(drawn, 36)
    drawn.get_by_role("button", name="Previous position").click()
    at(drawn, 35)
    drawn.keyboard.press("Home")  # focus is inside of the stepper
    at(drawn, 0)


def test_overlays_have_a_legend_with_units(drawn: Page) -> None:
    for name, words in [("Entropy", "nats"), ("KL", "nats"), ("Flips", "flip"), ("Distance", "squared L2")]:
        drawn.locator("#stepper .lp-segments label", has_text=name).click()
        expect(drawn.locator("[data-part=legend-text]")).to_contain_text(words)
    drawn.locator("#stepper .lp-segments label", has_text="None").click()
    expect(drawn.locator("[data-part=legend]")).to_be_hidden()


def test_blenders_show_the_numbers_of_the_file_at_every_position(blended: Page) -> None:
    header, arrays = fetched_arrays(blended)
    layers, features = header["blenders"], header["shown"]["features"]
    scores = arrays["faid_compatibility"].reshape(256, len(layers), features) / header["fraction"]
    cosines = arrays["faid_start_cosine"].reshape(256, len(layers), features) / header["fraction"]
    hops = arrays["faid_hop_weights"].reshape(256, len(layers), -1)
    seen = []
    for step in (136, 137, 200):
        stand(blended, step)
        shows(blended, step)
        for kind, values in (("compatibility", scores), ("start-cosine", cosines)):
            expected = {
                (str(layer), str(rank + 1)): values[step, place, rank]
                for place, layer in enumerate(layers)
                for rank in range(features)
            }
            shown = {key: float(text) for key, text in numbers(blended, kind).items()}
            assert shown == pytest.approx(expected, abs=0.0051)
        assert numbers(blended, "hop")["0", "1"] == f"{hops[step, 0, 0]:.2f}"
        assert all(text.endswith("%") for text in numbers(blended, "share").values())
        seen.append(tuple(numbers(blended, "compatibility").values()))
    assert len(set(seen)) == 3, "the heat map does not change with the position"
    best = max(scores[200, -1])
    expect(blended.locator("#page-spoken")).to_contain_text(f"Best compatibility {best:.2f}")
    expect(blended.locator("[data-part=cards] li").first.locator(".lp-fit b")).to_have_text(f"{scores[200, -1, 0]:.2f}")


def test_a_blank_feature_goes_through_the_blenders_where_nothing_was_retrieved(blended: Page) -> None:
    stand(blended, 5)
    expect(blended.locator("[data-part=blenders-text]")).to_contain_text("ran with a blank feature")
    assert set(numbers(blended, "compatibility")) == {("0", "1"), ("3", "1")}
    assert numbers(blended, "start-cosine") == {}
    assert len(numbers(blended, "share")) == 2


def test_runs_without_blenders_hide_their_section_and_overlays(page: Page, quick: str) -> None:
    ready(page, quick)
    expect(page.locator("[data-part=blenders]")).to_be_hidden()
    for name in ("fit", "share"):
        radio = page.locator(f"[name=lp-overlay][value={name}]")
        expect(radio).to_be_disabled()
        assert "had no blenders" in (radio.locator("..").get_attribute("title") or "")
    choose(page, "method", "faid")
    generate(page, "a red disc")
    expect(page.locator("[data-part=blenders]")).to_be_visible()
    choose(page, "lp-overlay", "fit")
    expect(page.locator("[data-part=legend-text]")).to_contain_text("layer 3")
    choose(page, "method", "daid")
    generate(page, "a red disc")
    expect(page.locator("[name=lp-overlay][value=fit]")).to_be_disabled()
    expect(page.locator("[name=lp-overlay][value=none]")).to_be_checked()
    expect(page.locator("[data-part=legend]")).to_be_hidden()


def test_flips_of_blenders_are_known_only_when_recorded(page: Page, quick: str) -> None:
    ready_with_blenders(page, quick)
    expect(page.locator("[data-part=facts]")).to_contain_text("not recorded")
    expect(page.locator("[data-part=flip]")).to_contain_text("Flips are not recorded")
    expect(page.locator("[name=lp-overlay][value=flips]")).to_be_disabled()
    expect(page.locator("[data-part=column-unblended]")).to_be_hidden()
    all_settings(page)
    page.get_by_label("Also record each position without look-up").check()
    generate(page, "a red disc")
    expect(page.locator("[name=lp-overlay][value=flips]")).to_be_enabled()
    stand(page, 100)
    expect(page.locator("[data-part=flip]")).to_contain_text("with nothing looked up")
    for name in ("column-unblended", "column-blank", "race"):
        expect(page.locator(f"[data-part={name}]")).to_be_visible()
    expect(page.locator("[data-part=column-blended]")).to_be_hidden()
    expect(page.locator("[data-part=race-above]")).to_have_text("nothing looked up")
    stand(page, 3)
    expect(page.locator("[data-part=flip]")).to_contain_text("Nothing was looked up, so no flip")


def test_the_draw_is_a_race_that_the_taken_code_wins(drawn: Page) -> None:
    header, arrays = fetched_arrays(drawn)
    tables = {name: arrays[name].reshape(header["steps"], -1) for name in ("margin", *LISTED)}
    flips = np.flatnonzero(arrays["pick"] != arrays["without"]).tolist()
    for step in (3, 100, *flips[:2]):
        stand(drawn, step)
        at(drawn, step)
        codes = tables["top_code"][step].tolist()
        with np.errstate(divide="ignore"):
            scores = {kind: np.log(tables[f"top_{kind}"][step]) + tables["top_noise"][step] for kind in RACED}
        won = {kind: codes[int(found.argmax())] for kind, found in scores.items()}
        assert won == {"model": arrays["without"][step], "blended": arrays["pick"][step]}
        second, first = np.sort(scores["blended"])[-2:]
        assert tables["margin"][step][1] == pytest.approx(first - second, abs=1e-3)
        text = drawn.locator("[data-part=race-text]")  # drawn a frame later
        expect(text).to_contain_text(f"ode {won['blended']}")
        expect(text).to_contain_text(re.compile("nats|No other code"))
        same = "Nothing was looked up here" if arrays["reason"][step] >= 0 else "takes it, too"
        expect(text).to_contain_text(f"takes {won['model']}." if step in flips else same)
    assert flips  # the fake model has some


def test_stop_keeps_what_was_drawn(page: Page, slow: str) -> None:
    steps = paused(page, slow)
    assert 2 < steps < 256
    expect(page.locator("[data-part=notice]")).to_contain_text(f"Paused after {steps} of 256")
    home(page)
    at(page, 0)


def test_generating_again_replaces_the_run_under_way(page: Page, slow: str) -> None:
    visit(page, slow)
    generate(page, "the first disc")
    page.wait_for_function("Number(document.querySelector('#stepper').dataset.steps) > 2")
    generate(page, "the second disc")
    expect(page.locator("[data-part=title]")).to_have_text("the second disc")
    page.wait_for_timeout(600)
    assert part(page, "title") == "the second disc"
    page.locator("#stop").click()
    wait_for(page, "stopped")
    assert part(page, "title") == "the second disc"


def test_two_visitors_do_not_see_each_other(page: Page, other: Page, slow: str) -> None:
    visit(page, slow)
    visit(other, slow)
    say(page, "what Ann wants")
    say(other, "what Bob wants")
    for who in (page, other):
        who.locator("#generate").click()
    for who in (page, other):
        who.wait_for_function("Number(document.querySelector('#stepper').dataset.steps) > 2")
    page.locator("#stop").click()
    wait_for(page, "stopped")
    assert other.locator("#stepper").get_attribute("data-state") == "streaming"
    assert part(page, "title") == "what Ann wants"
    assert part(other, "title") == "what Bob wants"
    other.locator("#stop").click()
    wait_for(other, "stopped")
    ids = {who.locator("#stepper").get_attribute("data-trace-id") for who in (page, other)}
    assert len(ids) == 2


def test_prompts_are_shown_and_never_run_and_the_page_talks_to_its_own_server_only(page: Page, quick: str) -> None:
    surprises: list[str] = []
    hosts: set[str | None] = set()

    def note(request: Request) -> None:
        if urlparse(request.url).scheme not in ("data", "blob"):
            hosts.add(urlparse(request.url).hostname)

    page.on("request", note)
    page.on("dialog", lambda dialog: (surprises.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: surprises.append(str(error)))
    visit(page, quick)
    for payload in PAYLOADS:
        generate(page, payload)
        expect(page.locator("[data-part=title]")).to_have_text(payload)
        wait_for(page, "ready")
        assert part(page, "title") == payload
    assert page.locator("#stepper img").count() == 0
    assert surprises == []
    assert hosts == {"127.0.0.1"}


def test_examples_seed_and_theme(page: Page, quick: str) -> None:
    visit(page, quick)
    page.locator("#chips .chip").nth(1).click()
    expect(page.locator("#prompt textarea")).not_to_have_value("")
    page.locator("#dice").click()
    expect(page.locator("#seed input")).not_to_have_value("0")
    dark = page.evaluate("document.body.classList.contains('dark')")
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate("document.body.classList.contains('dark')") is not dark


def test_a_phone_shows_everything_without_scrolling_sideways(phone: Page, quick: str) -> None:
    ready_with_blenders(phone, quick, "faid+daid", recorded=True)
    stand(phone, 136)
    expect(phone.locator("[data-part=blenders]")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    widest = "Math.max(...[...document.querySelectorAll('.loupe > *')].map(node => node.getBoundingClientRect().right))"
    assert phone.evaluate(widest) <= 390
    expect(phone.locator("[data-part=canvas]")).to_be_visible()


def test_a_prompt_without_a_known_word_is_told_before_and_after(page: Page, quick: str) -> None:
    visit(page, quick)
    hint = page.locator("#hint [data-part=hint]")
    expect(hint).to_be_hidden()
    enter(page.locator("#prompt textarea"), "猫")
    expect(hint).to_have_text(re.compile("^No word of this prompt is known: the caption filter will be skipped."))
    page.locator("#generate").click()
    wait_for(page, "ready")
    expect(page.locator("[data-part=notice]")).to_have_text(
        "The caption filter was skipped: no word of this prompt is known."
    )
    assert "caption filter" in part(page, "facts")
    enter(page.locator("#prompt textarea"), "sun, <img src=x onerror=alert(1)> 猫")
    expect(hint).to_have_text("The caption filter does not know: 1, 猫.")
    enter(page.locator("#prompt textarea"), "disc")
    expect(hint).to_be_hidden()
    page.locator("#generate").click()
    wait_for(page, "ready")
    expect(page.locator("[data-part=notice]")).to_be_hidden()


def test_a_screen_reader_hears_the_step(drawn: Page) -> None:
    home(drawn)
    expect(drawn.locator("#page-spoken")).to_contain_text("Position 0, row 0, column 0")
    expect(drawn.locator("#page-spoken")).to_contain_text("No look-up: first row")


def test_what_is_refused_is_told_and_the_picture_stays_usable(page: Page, quick: str) -> None:
    ready(page, quick)
    an_error_says_what_to_do_and_keeps_the_picture(page)
    a_seed_that_is_none_is_told(page)
    what_gradio_refuses_by_itself_leaves_nothing_waiting(page)


def an_error_says_what_to_do_and_keeps_the_picture(page: Page) -> None:
    """Expect it where there is no prompt."""
    generate(page, "   ")
    wait_for(page, "error")
    expect(page.locator("[data-part=notice]")).to_contain_text("Say what to draw")
    assert "Traceback" not in page.locator("body").inner_text()
    home(page)
    at(page, 0)
    assert part(page, "title") == "a red disc"
    say(page, "a red disc")


def a_seed_that_is_none_is_told(page: Page) -> None:
    """Expect it, and that the picture can be stepped through and another one drawn."""
    for number, seed in enumerate(("4294967296", "-1", "1.5", ""), start=1):
        run = page.locator("#stepper").get_attribute("data-trace-id")
        enter(page.locator("#seed input"), seed)
        page.locator("#generate").click()
        wait_for(page, "error")
        said = f"from 0 to 4294967295, not {seed}." if seed else "Seed is empty."
        expect(page.locator("[data-part=notice]")).to_contain_text(said)
        assert page.locator("#seed input").input_value() == seed
        assert page.locator("#stepper").get_attribute("data-trace-id") == run
        stand(page, 40)
        at(page, 40)
        page.locator("[data-part=previous]").click()
        at(page, 39)
        enter(page.locator("#seed input"), str(number))
        page.locator("#generate").click()
        until(page, "[data-rl=root]", runs=number + 1)
        wait_for(page, "ready")
        expect(page.locator("[data-part=notice]")).to_be_hidden()


def what_gradio_refuses_by_itself_leaves_nothing_waiting(page: Page) -> None:
    """Expect it of a page with a finished picture, which takes no request any more after this."""
    page.evaluate(UNHEARD_OF_METHOD)
    page.locator("#generate").click()
    wait_for(page, "error")
    expect(page.locator("[data-part=notice]")).to_contain_text("The server did not take this")
    stand(page, 40)
    at(page, 40)
    page.locator("[data-part=previous]").click()
    at(page, 39)
    page.get_by_role("tab", name="Compare").click()
    page.locator("#compare-weights").click()
    expect(page.locator("[data-part=cp-notice]")).to_contain_text("The server did not take this")
    page.get_by_role("tab", name="Sweep").click()
    page.locator("#sweep-draw").click()
    expect(page.locator("[data-part=sw-notice]")).to_contain_text("The server did not take this")
    assert [page.locator(part).get_attribute("data-state") for part in ("#compare", "#sweep")] == ["error", "error"]


UNHEARD_OF_METHOD = """
() => {
  const fetched = window.fetch;
  window.fetch = (url, options) => String(url).includes("/queue/join")
    ? fetched(url, { ...options, body: options.body.replaceAll('"daid"', '"unheard of"') }) : fetched(url, options);
}
"""
