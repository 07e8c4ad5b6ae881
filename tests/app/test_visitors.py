"""Visits: how a browser finds its own again, how long they last, and how many there may be."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from app.visitors import LIFE_SECONDS, MOST_TABS, Visitors


class Clock:
    """Shows what it was set to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ended() -> list[str]:
    """Names of the visits that have ended."""
    return []


@pytest.fixture
def visitors(clock: Clock, ended: list[str]) -> Visitors:
    return Visitors(ended.append, now=clock)


def test_tabs_of_one_browser_share_a_visit(visitors: Visitors) -> None:
    token = visitors.arrive("one", "")
    assert visitors.arrive("two", token) == token
    assert visitors.of("one") == visitors.of("two")


def test_a_visit_is_where_it_was_last_heard_of(visitors: Visitors) -> None:
    name = visitors.of("one tab", "198.18.0.1")
    assert visitors.address_of(name) == "198.18.0.1"
    assert visitors.of("one tab", "198.18.0.2") == name  # a phone that has changed its network
    assert visitors.address_of(name) == "198.18.0.2"
    assert visitors.address_of("nobody") == "nobody"


def test_browsers_without_its_token_have_visits_of_their_own(visitors: Visitors) -> None:
    tokens = [visitors.arrive("one", ""), visitors.arrive("two", ""), visitors.arrive("three", "made up")]
    assert len(set(tokens)) == 3
    assert len({visitors.of(tab) for tab in ("one", "two", "three", "never arrived")}) == 4


def test_a_token_is_not_the_name_and_cannot_be_guessed(visitors: Visitors) -> None:
    tokens = {visitors.arrive(str(number), "") for number in range(50)}
    assert len(tokens) == 50
    assert min(map(len, tokens)) >= 43  # 256 bits
    assert not tokens & set(visitors.names())


def test_a_token_of_ones_own_making_is_never_taken(visitors: Visitors) -> None:
    assert visitors.arrive("one", "chosen") != "chosen"
    assert visitors.arrive("two", "chosen") != "chosen"
    assert visitors.of("one") != visitors.of("two")


def test_a_session_that_never_loaded_a_page_keeps_its_visit(visitors: Visitors) -> None:
    name = visitors.of("script")
    assert visitors.of("script") == name
    assert visitors.names() == (name,)


def test_a_tab_that_asked_before_it_arrived_stays_where_it_is_unless_its_browser_has_a_visit(
    visitors: Visitors,
) -> None:
    early = visitors.of("early")
    token = visitors.arrive("early", "")
    assert visitors.of("early") == early
    visitors.of("other")
    visitors.arrive("other", token)
    assert visitors.of("other") == early


def test_a_visit_ends_a_quarter_of_an_hour_after_its_last_contact(
    visitors: Visitors, clock: Clock, ended: list[str]
) -> None:
    name = visitors.of("one")
    clock.wait(LIFE_SECONDS - 1)
    visitors.sweep()
    assert ended == []
    clock.wait(1)
    visitors.sweep()
    visitors.sweep()
    assert ended == [name]
    assert visitors.names() == ()


def test_any_request_of_any_tab_revives_it(visitors: Visitors, clock: Clock, ended: list[str]) -> None:
    token = visitors.arrive("one", "")
    visitors.arrive("two", token)
    for tab in ("one", "two", "one"):
        clock.wait(LIFE_SECONDS - 1)
        visitors.sweep()
        visitors.of(tab)
    assert ended == []
    assert visitors.arrive("three", token) == token


def test_a_visit_is_there_while_a_tab_holds_a_stream(visitors: Visitors, clock: Clock, ended: list[str]) -> None:
    name = visitors.of("one")
    with visitors.present("one"):
        clock.wait(10 * LIFE_SECONDS)
        visitors.sweep()
        assert ended == []
    clock.wait(LIFE_SECONDS - 1)
    visitors.sweep()
    assert ended == []  # that it is gone was noted just now
    clock.wait(1)
    visitors.sweep()
    assert ended == [name]


def test_an_old_stream_that_breaks_late_does_not_hide_the_new_one(
    visitors: Visitors, clock: Clock, ended: list[str]
) -> None:
    visitors.of("one")
    with ExitStack() as newer:
        with visitors.present("one"):
            newer.enter_context(visitors.present("one"))
        assert visitors.is_present("one")
        clock.wait(2 * LIFE_SECONDS)
        visitors.sweep()
        assert ended == []
    assert not visitors.is_present("one")


def test_a_stream_makes_no_visit(visitors: Visitors) -> None:
    with visitors.present("nobody"):
        assert visitors.names() == ()


def test_an_old_token_gets_a_new_one_for_all_tabs_of_its_browser(
    visitors: Visitors, clock: Clock, ended: list[str]
) -> None:
    old = visitors.arrive("one", "")
    visitors.arrive("two", old)
    clock.wait(LIFE_SECONDS)
    visitors.sweep()
    assert visitors.names() == ()
    new = visitors.arrive("one", old)
    assert new != old
    assert visitors.of("one") == visitors.of("two")  # which has not heard of the new one
    assert visitors.of("one") not in ended
    assert visitors.arrive("two", old) == new
    assert visitors.arrive("three", old) != new  # anybody else's
    clock.wait(2 * LIFE_SECONDS)
    visitors.sweep()
    visitors.sweep()
    assert len(ended) == len(set(ended)) == 3


def test_newcomers_beyond_the_bound_take_the_place_of_those_who_keep_nothing(clock: Clock, ended: list[str]) -> None:
    keeping: set[str] = set()
    visitors = Visitors(ended.append, lambda name: name in keeping, clock, most=4)
    names = []
    for tab in ("kept", "here", "first", "second"):
        clock.wait(1)
        names.append(visitors.of(tab))
    keeping.add(names[0])
    with visitors.present("here"):
        for tab in ("third", "fourth", "fifth"):
            clock.wait(1)
            visitors.of(tab)
            assert len(visitors.names()) == 4
        assert ended[:2] == names[2:]
        assert not {names[0], names[1]} & set(ended)
    assert visitors.of("kept") == names[0]


def test_an_end_that_fails_does_not_keep_others_from_theirs(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    def fail(name: str) -> None:
        told.append(name)
        raise OSError("disk")

    visitors = Visitors(fail, now=clock)
    names = {visitors.of("one"), visitors.of("two")}
    clock.wait(LIFE_SECONDS)
    visitors.sweep()
    assert set(told) == names
    assert visitors.names() == ()
    assert len(caplog.records) == 2


def test_reloading_for_ever_does_not_add_up(visitors: Visitors) -> None:
    token = visitors.arrive("first", "")
    with visitors.present("first"):
        for number in range(3 * MOST_TABS):
            assert visitors.arrive(f"reload {number}", token) == token
        name = visitors.of(f"reload {3 * MOST_TABS - 1}")
        assert visitors.of("first") == name  # a tab that is there is not forgotten
    assert visitors.of("reload 0") != name


def test_many_threads_find_one_visit(visitors: Visitors) -> None:
    token = visitors.arrive("zero", "")
    found: list[str] = []

    def come(tab: str) -> None:
        for _ in range(50):
            with visitors.present(tab):
                visitors.arrive(tab, token)
                found.append(visitors.of(tab))

    threads = [threading.Thread(target=come, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    assert set(found) == {visitors.of("zero")}
    assert not visitors.is_present("0")
