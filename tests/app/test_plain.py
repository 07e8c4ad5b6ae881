"""Errors as people read them."""

from __future__ import annotations

import pytest

from app.plain import plain
from core.inputs.prompt import ANY_LIMIT, clean_prompt
from core.types import ConfigError, DecodeSettings


def said(make: object) -> str:
    """What the page says of an error that something raises."""
    with pytest.raises(ConfigError) as raised:
        make()  # type: ignore[operator]
    return plain(str(raised.value))


def test_an_empty_prompt_and_one_too_long() -> None:
    assert said(lambda: clean_prompt("  ")) == "Say what to draw, such as “a red heart”."
    assert said(lambda: clean_prompt("x" * 301)) == "The prompt has 301 characters: shorten it to 300 at most."
    long = said(lambda: clean_prompt("x" * 4001, ANY_LIMIT))
    assert long == "The prompt has 4001 characters: shorten it to 4,000 at most."
    tokens = "prompt: got 640 tokens with those of the model's own frame, expected at most 512; shorten it"
    assert plain(tokens) == "The prompt has 640 tokens: shorten it to 512 at most."


def test_settings_are_called_what_the_page_calls_them() -> None:
    assert (
        said(lambda: DecodeSettings(retrieval_weight=2.0)) == "Retrieval weight λ takes a number from 0 to 1, not 2.0."
    )
    assert said(lambda: DecodeSettings(seed=-1)) == "Seed takes a whole number from 0 to 4294967295, not -1."
    assert plain("seed: got nothing, expected a number; fill in the field") == "Seed is empty."
    assert plain("gate: got 9, the page offers 0 to 4") == "Gate takes 0 to 4, not 9."
    assert plain("Gate: got '0, x', expected 1 to 6 numbers, such as 0, 0.1") == (
        "Gate takes 1 to 6 numbers, such as 0, 0.1, not '0, x'."
    )


def test_a_link_says_that_it_is_one_and_what_follows_stays() -> None:
    message = "link: seed: got 'abc', expected a whole number. The page shows its own settings."
    assert plain(message) == (
        "The link could not be followed. Seed takes a whole number, not 'abc'. The page shows its own settings."
    )


@pytest.mark.parametrize("message", ["", "Paused after 9 of 256 patches: go on.", "grids: got 3, expected 4; rebuild"])
def test_other_messages_stay_as_they_are(message: str) -> None:
    assert plain(message) == message
