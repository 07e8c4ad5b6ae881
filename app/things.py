"""The things that a database has pictures of, and which of them is nearest to a prompt."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import SequenceMatcher

from core.backends.emoji.text import COLOURS, words_of
from core.backends.protocol import Backend
from core.patches.protocol import Database

MOST_PICTURES = 20_000
"""In a larger database nobody reads a list of things."""

NEAR_IN_MEANING, NEAR_IN_SPELLING = 0.5, 0.75
"""Least cosine of captions, and least likeness of spellings (0..1), for a thing to be called near."""

SAME_IN_MEANING = 0.9
"""From this cosine on, a prompt is a thing in other words."""

_COLOURS = frozenset(word for _, names in COLOURS for name in names for word in name.split())
_SOUNDS = (("ph", "f"), ("tz", "z"), ("ck", "k"), ("ee", "i"), ("ea", "i"), ("y", "i"), ("c", "k"), ("q", "k"))
"""Letters that sound alike, and the one that stands for them in `sound`."""


def things_of(database: Database | None) -> tuple[str, ...]:
    """The different captions of a database by the alphabet; none where it has none, or too many."""
    if database is None or len(database.images) > MOST_PICTURES:
        return ()
    captions = {database.image_info(int(image)).caption for image in database.images}
    return tuple(sorted(captions - {""}, key=str.casefold))


def is_among(prompt: str, things: Collection[str]) -> bool:
    """Whether the words of a prompt are those of things, in whatever number, and of colours; the last may be begun."""
    known = {_stem(word) for thing in things for word in re.findall(r"\w+", thing.lower())} | _COLOURS
    words = [word for text in words_of(prompt) for word in re.findall(r"\w+", text.lower())]
    begun = tuple(words[-1:])
    return all(_stem(word) in known for word in words[:-1]) and all(
        any(word.startswith((last, _stem(last))) for word in known) for last in begun
    )


def nearest(backend: Backend, database: Database, prompt: str) -> tuple[str, float]:
    """The thing of a database that is nearest to a prompt in meaning, and their cosine; "" where there is none."""
    if not backend.caption_encoder or backend.caption_encoder != database.caption_encoder:
        return "", 0.0
    vector = backend.embed_captions([prompt])[0]
    thing = database.image_info(int(database.nearest_captions(vector, 1)[0])).caption
    return thing, float(backend.embed_captions([thing])[0] @ vector)


def alike(prompt: str, things: Sequence[str]) -> str:
    """The thing that is spelt or sounds most like a prompt, "" where none does."""
    said = sound(" ".join(words_of(prompt)))
    likeness, thing = max((SequenceMatcher(None, said, sound(thing)).ratio(), thing) for thing in things)
    return thing if likeness >= NEAR_IN_SPELLING else ""


def sound(text: str) -> str:
    """A text as it sounds, roughly: letters that sound alike are one, double ones single."""
    text = text.lower()
    for letters, one in _SOUNDS:
        text = text.replace(letters, one)
    return re.sub(r"(.)\1", r"\1", text)


def _stem(word: str) -> str:
    """A word without the s of several."""
    return word.removesuffix("s") if len(word) > 3 else word
