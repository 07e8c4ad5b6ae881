"""Visits survive: cuts, reloads, other tabs, and failures below the handlers; nothing waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.visitor import (
    DESK,
    RETURNS,
    generate,
    open_tab,
    part,
    ready,
    stand,
    until,
    visit,
    visitor,
    wait_for,
)  # fmt: skip
from tests.cutting import Cut, cut_before

LOST = "cannot be reached"


def port_of(url: str) -> int:
    return urlsplit(url).port or 80


@pytest.fixture
def cut(slow: str) -> Iterator[Cut]:
    """A proxy before the slow page."""
    with cut_before(port_of(slow)) as proxy:
        yield proxy


@pytest.fixture
def quick_cut(quick: str) -> Iterator[Cut]:
    """A proxy before the quick page."""
    with cut_before(port_of(quick)) as proxy:
        yield proxy


def runs(page: Page, count: int) -> None:
    """Expect so many runs in the rail."""
    until(page, "[data-rl=root]", runs=count)


def drawn_so_far(page: Page, patches: int) -> None:
    page.wait_for_function(f"Number(document.querySelector('#stepper').dataset.steps) > {patches}")


def mark(page: Page) -> None:
    """Put something on the page that a reload would take away."""
    page.evaluate("document.body.dataset.same = 'true'")


def is_same(page: Page) -> bool:
    return page.evaluate("document.body.dataset.same") == "true"


def no_line(page: Page) -> None:
    page.wait_for_function("!('line' in document.documentElement.dataset)")


def test_a_page_that_waits_for_nothing_holds_no_connection_and_a_cut_does_not_matter(
    page: Page, quick_cut: Cut
) -> None:
    ready(page, quick_cut.address)
    mark(page)
    quick_cut.cut()
    open_tab(page, "What if")
    stand(page, 30)
    button = page.locator("[data-wi=branch]")
    expect(button).to_be_visible()
    generate(page, "a blue disc")
    runs(page, 2)
    wait_for(page, "ready")
    assert is_same(page)


@pytest.mark.parametrize("half", [False, True], ids=["both sides know", "the server does not know"])
def test_a_cut_while_it_draws_is_survived_and_the_picture_is_shown(page: Page, cut: Cut, half: bool) -> None:
    visit(page, cut.address)
    mark(page)
    generate(page, "a red disc")
    drawn_so_far(page, 10)
    cut.cut(half)
    wait_for(page, "ready")
    assert part(page, "title") == "a red disc"
    runs(page, 1)
    generate(page, "a blue disc")  # and events go on to work
    until(page, "#stepper", state="streaming")
    drawn_so_far(page, 10)
    page.locator("#stop").click()
    wait_for(page, "stopped")
    runs(page, 2)
    assert is_same(page)


def test_while_the_server_is_away_a_line_says_so_and_goes_when_it_is_back(page: Page, cut: Cut) -> None:
    visit(page, cut.address)
    mark(page)
    generate(page, "a red disc")
    drawn_so_far(page, 10)
    cut.open = False
    cut.cut()
    line = page.locator("#page-line")
    expect(line).to_have_attribute("role", "status")
    expect(line).to_contain_text(LOST)
    assert page.locator("#stepper").get_attribute("data-state") == "streaming"
    cut.open = True
    expect(line).to_contain_text("Connected again.")
    wait_for(page, "ready")
    no_line(page)
    expect(line.locator("span")).to_have_text("")
    assert is_same(page)


def test_a_click_while_the_server_is_away_ends_in_a_message_and_again(page: Page, quick_cut: Cut) -> None:
    ready(page, quick_cut.address)
    mark(page)
    trace = page.locator("#stepper").get_attribute("data-trace-id")
    quick_cut.open = False
    quick_cut.cut()
    generate(page, "a blue disc")
    expect(page.locator("[data-part=notice]")).to_contain_text(LOST)
    again = page.locator("[data-part=again]")
    expect(again).to_be_visible()
    assert page.locator("#stepper").get_attribute("data-trace-id") == trace
    stand(page, 40)  # the old picture is usable
    until(page, "#stepper", step=40)
    quick_cut.open = True
    no_line(page)
    again.click()
    runs(page, 2)
    wait_for(page, "ready")
    assert part(page, "title") == "a blue disc"
    assert is_same(page)


def test_a_bad_gateway_ends_in_a_message_and_again(page: Page, quick_cut: Cut) -> None:
    ready(page, quick_cut.address)
    mark(page)
    quick_cut.bad = True
    quick_cut.cut()
    generate(page, "a blue disc")
    expect(page.locator("[data-part=again]")).to_be_visible()
    expect(page.locator("#page-line")).to_contain_text(LOST)
    quick_cut.bad = False
    quick_cut.cut()
    no_line(page)
    page.locator("[data-part=again]").click()
    runs(page, 2)
    wait_for(page, "ready")
    assert is_same(page)


def test_other_drawings_end_in_a_message_and_again_as_well(page: Page, quick_cut: Cut) -> None:
    ready(page, quick_cut.address)
    for tab, button, prefix in (("Compare", "#compare-methods", "cp"), ("Sweep", "#sweep-draw", "sw")):
        open_tab(page, tab)
        quick_cut.open = False
        quick_cut.cut()
        page.locator(button).click()
        again = page.locator(f"[data-part={prefix}-again]")
        expect(again).to_be_visible()
        expect(page.locator(f"[data-part={prefix}-notice]")).to_contain_text(LOST)
        quick_cut.open = True
        no_line(page)
        again.click()
        until(page, f"[data-part={prefix}-root]", state="ready")
        expect(again).to_be_hidden()


def test_a_trace_that_does_not_come_is_fetched_again_and_not_drawn_again(page: Page, quick: str) -> None:
    refused: list[str] = []
    page.route("**/trace.bin", lambda route: (refused.append(route.request.url), route.abort())[1])
    visit(page, quick)
    generate(page, "a red disc")
    again = page.locator("[data-part=again]")
    expect(again).to_be_visible()
    assert len(refused) > 2
    page.unroute("**/trace.bin")
    again.click()
    wait_for(page, "ready")
    runs(page, 1)
    assert len(set(refused)) == 1


def test_a_reload_shows_the_runs_and_the_newest_one(page: Page, quick: str) -> None:
    ready(page, quick)
    generate(page, "a blue disc")
    runs(page, 2)
    wait_for(page, "ready")
    page.wait_for_function("location.search.includes('blue')")
    page.reload()
    wait_for(page, "ready")
    runs(page, 2)
    assert part(page, "title") == "a blue disc"
    expect(page.locator("#prompt textarea")).to_have_value("a blue disc")
    page.goto(quick)  # an address that asks for nothing
    wait_for(page, "ready")
    runs(page, 2)
    assert part(page, "title") == "a blue disc"


def test_a_link_of_somebody_else_still_draws(page: Page, quick: str) -> None:
    ready(page, quick)
    page.goto(f"{quick}/?prompt=a+green+disc&seed=7")
    wait_for(page, "ready")
    assert part(page, "title") == "a green disc"
    runs(page, 2)


def test_whoever_came_by_a_link_comes_back_to_the_run_and_not_to_the_first_screen(browser: Browser, quick: str) -> None:
    with visitor(browser, newcomer=True) as page:
        page.goto(f"{quick}/?prompt=a+red+disc")
        wait_for(page, "ready")
        page.goto(quick)
        wait_for(page, "ready")
        runs(page, 1)
        expect(page.locator("#stage[data-state=shown]")).to_have_count(0)
        expect(page.locator("#stepper")).to_be_visible()


def test_a_reload_while_it_draws_goes_on_with_it(page: Page, slow: str) -> None:
    visit(page, slow)
    generate(page, "a red disc")
    drawn_so_far(page, 10)
    page.reload()
    page.wait_for_function("document.querySelector('#stepper')?.dataset.state === 'streaming'")
    drawn_so_far(page, 10)
    wait_for(page, "ready")
    runs(page, 1)


def test_back_and_forward_lose_nothing(page: Page, quick: str) -> None:
    ready(page, quick)
    page.goto("about:blank")
    page.go_back()
    wait_for(page, "ready")
    runs(page, 1)
    generate(page, "a blue disc")
    runs(page, 2)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser whose tabs share what it stores."""
    made = browser.new_context(viewport=DESK)
    made.add_init_script(RETURNS)
    made.set_default_timeout(45_000)
    yield made
    made.close()


def test_two_tabs_share_the_runs_and_each_draws_its_own(context: BrowserContext, slow: str) -> None:
    one, two = context.new_page(), context.new_page()
    visit(one, slow)
    visit(two, slow)
    generate(one, "a red disc")
    drawn_so_far(one, 5)
    generate(two, "a blue disc")
    drawn_so_far(two, 5)
    two.reload()  # which goes on with its own, not with that of the other
    two.wait_for_function("document.querySelector('#stepper')?.dataset.state === 'streaming'")
    assert part(two, "title") == "a blue disc"
    assert part(one, "title") == "a red disc"
    wait_for(one, "ready")
    wait_for(two, "ready")
    one.reload()
    wait_for(one, "ready")
    runs(one, 2)


def test_eight_tabs_of_one_browser_all_work(context: BrowserContext, quick: str) -> None:
    """A browser has six connections for each server over HTTP/1.1."""
    pages = [context.new_page() for _ in range(8)]
    for number, page in enumerate(pages):
        page.goto(quick)
        page.locator(".page-keys[aria-keyshortcuts]").wait_for()
        if number == 0:
            generate(page, "a red disc")
        wait_for(page, "ready")


def test_somebody_else_finds_nothing(page: Page, other: Page, quick: str) -> None:
    ready(page, quick)
    visit(other, quick)
    expect(other.locator("[data-rl=root]")).to_have_attribute("data-runs", "0")


def test_a_page_that_may_store_nothing_works(browser: Browser, quick: str) -> None:
    deny = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })"
    with visitor(browser, newcomer=True) as page:
        page.add_init_script(deny)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(quick)
        page.locator("#stage[data-state=shown]").wait_for()
        page.locator(".page-keys[aria-keyshortcuts]").wait_for(state="attached")
        page.keyboard.press("Escape")
        generate(page, "a red disc")
        wait_for(page, "ready")
        runs(page, 1)
        assert errors == []


def test_offline_is_said_at_once(page: Page, quick: str) -> None:
    visit(page, quick)
    page.context.set_offline(True)
    expect(page.locator("#page-line")).to_contain_text("You are offline")
    page.context.set_offline(False)
    no_line(page)


def test_the_line_stands_over_nothing_when_there_is_nothing_to_say(page: Page, quick: str) -> None:
    visit(page, quick)
    box = page.locator("#page-line").bounding_box() or {"width": 0, "height": 0}
    assert max(box["width"], box["height"]) <= 1
