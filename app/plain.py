"""Errors as people read them: the engine says got, expected, remedy, and the page says it plainly."""

from __future__ import annotations

import re
from typing import Final

from app.controls import LABELS

EMPTY_PROMPT: Final = "Say what to draw, such as “a red heart”."
_LONG_PROMPT = re.compile(
    r"prompt: got (\d+) (characters|tokens)[^.;]*?, expected (?:1 to|at most) ([\d,]+)[^.;]*; shorten it"
)
_NO_PROMPT = re.compile(r"prompt: got 0 characters, [^.;]*; say what to draw, such as 'a red heart'")
_NAMES = {**LABELS, **{label: label for label in LABELS.values()}}
_SETTING = re.compile(
    rf"({'|'.join(map(re.escape, _NAMES))}): got (.+?), (?:expected|the page offers) ([^;]+?)(?:; .+)?"
)


def plain(message: str) -> str:
    """A message in plain English; what is none of the usual errors stays as it is.

    It may begin with where a value came from ("link: "), and end with a sentence more.
    """
    where, _, said = message.rpartition("link: ")
    error, dot, more = said.partition(". ")
    if _NO_PROMPT.fullmatch(error.rstrip(".")):
        told = EMPTY_PROMPT
    elif found := _LONG_PROMPT.fullmatch(error.rstrip(".")):
        told = f"The prompt has {found[1]} {found[2]}: shorten it to {found[3]} at most."
    elif found := _SETTING.fullmatch(error.rstrip(".")):
        name, got, expected = found.groups()
        told = f"{_NAMES[name]} is empty." if got == "nothing" else f"{_NAMES[name]} takes {expected}, not {got}."
    else:
        return message
    begun = "The link could not be followed. " if message != said else ""
    return f"{where}{begun}{told}{' ' + more if dot else ''}"
