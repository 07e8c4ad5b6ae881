"""How many codes the embedded model guesses a pass: as is said, or as is quickest by the clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.backends.emoji import pace
from core.backends.emoji.backend import EmojiBackend
from core.types import ConfigError


@pytest.mark.parametrize(("text", "wanted"), [("", None), ("auto", None), (" 0 ", 0), ("12", 12)])
def test_the_environment_is_read(text: str, wanted: int | None) -> None:
    assert pace.wanted({pace.VARIABLE: text}) == wanted


@pytest.mark.parametrize("text", ["-1", "33", "1.5", "many", "²"])
def test_what_is_no_number_of_guesses_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"ARRAG_DRAFTS: got .*, expected auto, or a whole number from 0 to 32"):
        pace.wanted({pace.VARIABLE: text})


def test_wide_passes_are_taken_where_they_are_cheap() -> None:
    assert pace.quickest({0: 2.0, 5: 2.4, 8: 2.8, 12: 3.0}) == 12  # 1.09 a code against 2
    assert pace.quickest({0: 2.0, 5: 2.4, 8: 2.8, 12: 6.0}) == 8  # 1.22 a code
    assert pace.quickest({0: 3.65, 5: 7.4, 8: 9.1, 12: 10.5}) == 12  # 3.82 a code against 3.65: worth it when busy
    assert pace.quickest({0: 3.0, 5: 7.4, 8: 9.1, 12: 10.5}) == 0


def test_the_least_of_some_times_counts() -> None:
    now = [0.0]
    asked: list[int] = []

    def run(drafts: int) -> None:
        now[0] += 1 + 0.01 * drafts + (5 if len(asked) % 4 < 3 else 0)  # one in four is not disturbed
        asked.append(drafts)

    assert pace.measured(run, lambda: now[0]) == 12
    assert asked == [0] * 4 + [5] * 4 + [8] * 4 + [12] * 4


def test_a_backend_takes_what_it_is_told(backend: EmojiBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pace.VARIABLE, "7")
    assert replace(backend).draft_length == 7
    assert replace(backend, drafts=3).draft_length == 3
    decoding = replace(backend, drafts=3).start(["a heart"], True)
    assert decoding.draft_length == 3  # type: ignore[attr-defined]
