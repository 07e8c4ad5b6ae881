"""The product itself: app.py as a newcomer starts it, the trained model, the embedded database, a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app.stage.recording import FILE
from tests.app.serving import ROOT, free_port, wait_for
from tests.browser.chromium import find_chromium
from tests.browser.visitor import all_settings, fetched_arrays, give_focus, say, stand, until, visitor

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)


@pytest.fixture(scope="module")
def app() -> Iterator[str]:
    """Address of a running app.py."""
    port = free_port()
    with subprocess.Popen([sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL) as run:
        try:
            yield wait_for(lambda: run.poll() is None, f"http://127.0.0.1:{port}")
        finally:
            run.terminate()


def test_a_visitor_draws_a_pizza_and_asks_why(page: Page, app: str) -> None:
    page.goto(app)
    say(page, "a pizza, 3d style")
    page.locator("#generate").click()
    stepper = page.locator("#stepper")
    until(page, "#stepper", state="ready")
    expect(stepper).to_have_attribute("data-steps", "256")
    stand(page, 120)
    expect(page.locator("[data-part=cards] li").first).to_be_visible()
    style = page.locator("[data-part=cards] li").first.inner_text()
    assert any(name in style for name in ("3d", "noto", "twemoji", "flat"))


def test_method_model_retrieves_nothing(page: Page, app: str) -> None:
    page.goto(app)
    say(page, "a red heart")
    all_settings(page)
    page.locator("#method label", has_text="Model only").click()
    page.locator("#generate").click()
    until(page, "#stepper", state="ready")
    stand(page, 120)
    expect(page.locator("[data-part=nothing]")).to_contain_text("retrieval is off")


def test_the_trained_blenders_tell_what_they_did(page: Page, app: str) -> None:
    page.goto(app)
    say(page, "a red heart")
    all_settings(page)
    page.locator("#method label", has_text="FAiD + DAiD").click()
    page.get_by_label("Also record each position without look-up").check()
    page.locator("#generate").click()
    until(page, "#stepper", state="ready")
    stand(page, 120)
    scores = page.locator("[data-kind=compatibility][data-value]")  # the last position, shown before, has fewer
    expect(scores).to_have_count(2 * 10)
    values = [float(str(score.get_attribute("data-value"))) for score in scores.all()]
    assert all(0 <= value <= 1 for value in values)
    assert len(set(values)) > 1  # neighbours with the same code share theirs, the two blenders differ
    weights = page.locator("[data-kind=hop]").all()
    assert [weight.get_attribute("data-hop") for weight in weights] == ["1", "2"] * 2
    assert sum(float(str(weight.get_attribute("data-value"))) for weight in weights) == pytest.approx(2, abs=1e-3)
    facts = page.locator("[data-part=facts]").inner_text()
    assert "FAiD + DAiD" in facts
    assert "not recorded" not in facts


def from_the_stage(page: Page, app: str, name: str) -> None:
    """Come as a newcomer, take one of the recordings, and open it in the debugger."""
    page.goto(app)
    until(page, "#stage", state="shown", playing="false")
    page.get_by_role("radio", name=name).click()
    page.get_by_role("button", name="Open the debugger").click()
    until(page, "#stepper", state="ready")


def test_the_example_is_a_real_run_at_every_strength(browser: Browser, app: str) -> None:
    recorded = {run["label"]: run for run in json.loads(FILE.read_text(encoding="utf-8"))["runs"]}
    for name in ("Off", "A little", "Strong"):
        with visitor(browser, newcomer=True, reduced_motion="reduce") as page:
            from_the_stage(page, app, name)
            summary = fetched_arrays(page)[0]["summary"]
            assert summary["changed"] == recorded[name]["changed"]
            assert summary["share"] == pytest.approx(recorded[name]["share"], abs=0.001)
            assert "Novice" in page.locator("[data-part=facts]").inner_text()
            expect(page.locator("#prompt textarea")).to_have_value("a pizza, flat style")
            if name == "Strong":
                page.locator("[data-wi=root]").scroll_into_view_if_needed()
                until(page, "[data-wi=root]", state="ready")  # What if works on it


def test_look_ups_are_turned_off_from_where_the_stage_stands(browser: Browser, app: str) -> None:
    with visitor(browser, newcomer=True, reduced_motion="reduce") as page:
        page.goto(app)
        until(page, "#stage", state="shown", playing="false")
        give_focus(page.locator("[data-sg=line]"))
        page.keyboard.press("ArrowRight")
        stood = int(page.locator("[data-sg=line]").input_value())
        page.get_by_role("button", name="Turn look-ups off from here").click()
        until(page, "#stepper", state="ready", step=stood)
        expect(page.locator("[data-part=facts]")).to_contain_text(f"changed at{stood}")
        arrays = fetched_arrays(page)[1]
        assert (arrays["reason"][:stood] < 0).sum() == stood - 1  # all but the first, which has nothing around it
        assert (arrays["reason"][stood:] >= 0).all()


def test_copying_is_told_beside_what_it_is_for_pictures_that_are_no_copies(browser: Browser, app: str) -> None:
    """The first example copies most of one picture, which real pictures and the model alone do not."""
    with visitor(browser, newcomer=True, reduced_motion="reduce") as page:
        from_the_stage(page, app, "Strong")
        copying_is_told(page)


def copying_is_told(page: Page) -> None:
    """Expect the figures of copying beside those of others."""
    page.get_by_role("tab", name="Sources").click()
    expect(page.locator(".so-row")).to_have_count(1)
    largest = int(page.locator(".so-copying [data-part=largest]").inner_text())
    for kind in ("real", "model"):
        usual = page.locator(f".so-copying [data-part=largest-{kind}] small").inner_text()
        assert largest > max(int(number) for number in re.findall(r"\d+", usual))
    expect(page.locator("[data-part=note]")).to_contain_text("as in this run")
    expect(page.locator(".so-row")).to_contain_text("pizza")
