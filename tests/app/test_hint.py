"""What is told of a prompt before it is drawn."""

from __future__ import annotations

import pytest

from app.hint import hint_of
from core.backends.emoji.backend import EmojiBackend
from tests.app.fake import FakeBackend

NOTHING = "No word of this prompt is known: the caption filter will be skipped."


@pytest.fixture(scope="module")
def embedded() -> EmojiBackend:
    return EmojiBackend.load()


@pytest.mark.parametrize("prompt", ["猫", "3d style", "xyzzy", "a", "flat, noto style", "猫!"])
def test_a_prompt_without_a_known_word_is_told(embedded: EmojiBackend, prompt: str) -> None:
    assert hint_of(embedded, prompt).startswith(NOTHING)


@pytest.mark.parametrize("prompt", ["🍕", "a red heart, 3d style", "😀 🍕", "", "  ", "x" * 301, "a\u200b cat"])
def test_nothing_is_told_of_others(embedded: EmojiBackend, prompt: str) -> None:
    assert hint_of(embedded, prompt) == ""


def test_unknown_words_are_named(embedded: EmojiBackend) -> None:
    assert hint_of(embedded, "a pizza, <b>xyzzy</b> and 猫") == "The caption filter does not know: xyzzy, 猫."
    many = "pizza " + " ".join("猫" * number for number in range(1, 9))
    assert hint_of(embedded, many).endswith(": 猫, 猫猫, 猫猫猫, 猫猫猫猫, 猫猫猫猫猫 and 3 more.")
    assert hint_of(embedded, f"pizza {'猫' * 40}").endswith(f": {'猫' * 23}….")


def test_a_prompt_of_signs_alone_has_no_words() -> None:
    assert hint_of(FakeBackend(), "...").startswith(NOTHING)
    assert hint_of(FakeBackend(), "sun") == ""
