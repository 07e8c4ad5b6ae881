"""What `python -m core generate` says before it draws with a slow model."""

from __future__ import annotations

import pytest

from core.backends.speed import Speed, seconds_in_words, time_in_words
from core.commands.work import generate
from tests.app.fake import FakeBackend


def test_a_slow_model_is_announced_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "measure", lambda backend, prompt: Speed(1.0, 5.0))
    generate._announce(FakeBackend(), "some.package:model", "a disc")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("note: A picture takes about 4\xa0minutes here (an estimate: 256 codes at 1\xa0s each")
    monkeypatch.setattr(generate, "measure", lambda backend, prompt: Speed(0.01, 0.1))
    generate._announce(FakeBackend(), "some.package:model", "a disc")
    assert capsys.readouterr().err == ""


def test_a_model_that_ships_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "measure", lambda backend, prompt: pytest.fail("it is fast everywhere"))
    generate._announce(FakeBackend(), "emoji", "a disc")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1\xa0s"), (89, "89\xa0s"), (290, "5\xa0minutes"), (5399, "90\xa0minutes"), (9000, "2.5\xa0hours")],
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.523, "0.52\xa0s"), (5.04, "5\xa0s"), (9.96, "10\xa0s"), (71.4, "71\xa0s")]
)
def test_a_short_time_has_two_digits(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words
