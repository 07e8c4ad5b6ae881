"""The caption that a file's name gives: one rule for the page and the command line."""

from __future__ import annotations

import unicodedata
from typing import Final

MOST_LETTERS: Final = 120
NAMELESS: Final = "picture"
"""The caption of a name without a letter, digit or sign."""

_JOINERS = "\u200c\u200d"
_APOSTROPHES = "'\u2019"


def caption_of_name(stem: str) -> str:
    """Words of a file name without its suffix: "red_apple-2" says "red apple 2".

    Letters, digits, their marks, emoji and other pictographs stay, in composed form, with what joins them; all else,
    brackets and underscores among it, parts words.
    """
    text = unicodedata.normalize("NFC", stem)
    around = zip(f" {text}", text, f"{text[1:]} ", strict=False)
    words = "".join(char if _stays(before, char, after) else " " for before, char, after in around).split()
    return cut(" ".join(words), MOST_LETTERS) or NAMELESS


def cut(text: str, most: int) -> str:
    """A text of at most that many characters: whole words where there are any, and no letter without its marks."""
    if len(text) <= most:
        return text
    kept = text[: most + 1].rpartition(" ")[0]
    if kept:
        return kept.rstrip()
    end = most
    while end > 1 and (_is_mark(text[end]) or text[end] in _JOINERS or text[end - 1] in _JOINERS):
        end -= 1
    return text[:end]


def _stays(before: str, char: str, after: str) -> bool:
    """Whether a character is part of a word, or a sign."""
    if char in _JOINERS:
        return _is_word(before) and _is_word(after)
    if char in _APOSTROPHES:
        return before.isalnum() and after.isalnum()
    return _is_word(char)


def _is_word(char: str) -> bool:
    """Letters, marks, numbers, pictographs, and the colours of their skin."""
    kind = unicodedata.category(char)
    return kind[0] in "LMN" or kind == "So" or "\U0001f3fb" <= char <= "\U0001f3ff"


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M" or "\U0001f3fb" <= char <= "\U0001f3ff"
