"""Prompts of a model that draws the 1,000 classes of ImageNet: a number or a name."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from arrag.types import ConfigError

NAMES = tuple((Path(__file__).parent / "imagenet.txt").read_text(encoding="utf-8").splitlines())
"""The classes of ILSVRC 2012 in their usual order, each by the first word that WordNet has for it."""


def class_of(prompt: str, classes: int) -> int:
    """The number of the class that a prompt names; ConfigError, with what is near, for any other prompt.

    classes: how many the model knows; names are those of ImageNet and stand for a model of all 1,000 only.
    """
    names = NAMES if classes == len(NAMES) else ()
    if prompt.isascii() and prompt.isdecimal() and len(prompt) < 10 and int(prompt) < classes:
        return int(prompt)
    found = [number for number, name in enumerate(names) if name.lower() == prompt.lower()]
    if len(found) == 1:
        return found[0]
    ways = f"a number from 0 to {classes - 1}" + (" or a name such as golden retriever" if names else "")
    near = [f"{number} {names[number]}" for number in found] or _near(prompt, names)
    remedy = f"; take one of {', '.join(near)}" if near else ""
    raise ConfigError(f"prompt: got {prompt!r:.80}, expected a class of ImageNet: {ways}{remedy}")


def _near(prompt: str, names: Sequence[str]) -> list[str]:
    """Up to five names that share words with a prompt or are spelled like it."""
    lower = {name.lower(): f"{number} {name}" for number, name in enumerate(names)}
    words = set(prompt.lower().split())
    shared = [name for name in lower if words & set(name.split())]
    return [lower[name] for name in [*shared, *get_close_matches(prompt.lower(), lower, 5)][:5]]
