"""What is told of a prompt before it is drawn: unknown words, and things that are not there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradio.data_classes import GradioModel

from app.scripted import Scripted
from app.things import NEAR_IN_MEANING, SAME_IN_MEANING, alike, is_among, nearest, things_of
from core.backends.complete import prompt_limit
from core.backends.emoji.text import words_of
from core.backends.protocol import NO_KNOWN_WORD, Backend
from core.inputs.prompt import clean_prompt
from core.patches.protocol import Database
from core.types import ConfigError

FOLDER = Path(__file__).parent
REMEDY = "the caption filter will be skipped. Say it in English words, or with an emoji."
MOST_NAMED, LONGEST = 5, 24


@dataclass(frozen=True, slots=True)
class Told:
    """What is told, "" for nothing; instead: a prompt that is offered in the place of the one that it is told of."""

    text: str
    instead: str = ""


class HintData(GradioModel):
    """What the script gets, see `Told`."""

    text: str
    instead: str = ""


class Hint(Scripted):
    """A line under the prompt."""

    data_model = HintData

    def __init__(self, elem_id: str = "hint", render: bool = True, value: Any = None) -> None:
        super().__init__(FOLDER / "hint.html", FOLDER / "hint.js", elem_id, render, value=value)

    def postprocess(self, value: Any) -> Any:
        """What is told, for the script."""
        return HintData(text=value.text, instead=value.instead) if isinstance(value, Told) else None


def told_of(backend: Backend, database: Database | None, prompt: str) -> Told:
    """What to know of a prompt before it is drawn: of its words, or else of the things that the database has."""
    if text := hint_of(backend, prompt):
        return Told(text)
    things = things_of(database)
    if database is None or not things or not prompt.strip() or is_among(prompt, things):
        return Told("")
    meant, cosine = nearest(backend, database, prompt)
    if cosine >= SAME_IN_MEANING:
        return Told("")
    near = meant if cosine >= NEAR_IN_MEANING else alike(prompt, things)
    missing = f"The database has pictures of {len(things):,} things, and “{shortened(prompt.strip())}” is none of them"
    return Told(f"{missing}; the nearest is “{near}”.", near) if near else Told(f"{missing}.")


def hint_of(backend: Backend, prompt: str) -> str:
    """What to know of a prompt before it is drawn, "" when there is nothing."""
    try:
        prompt = clean_prompt(prompt, prompt_limit(backend))
    except ConfigError:  # which is told when it is to be drawn
        return ""
    if not backend.caption_encoder:
        return ""
    if not backend.embed_captions([prompt]).any():
        return f"{NO_KNOWN_WORD[:1].upper()}{NO_KNOWN_WORD[1:]}: {REMEDY}"
    words = words_of(prompt)
    known = [bool(vector.any()) for vector in backend.embed_captions(words)] if words else []
    unknown = [shortened(word) for word, is_known in zip(words, known, strict=True) if not is_known]
    more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    return f"The caption filter does not know: {', '.join(unknown[:MOST_NAMED])}{more}." if unknown else ""


def shortened(word: str) -> str:
    """A word, or its beginning."""
    return word if len(word) <= LONGEST else f"{word[: LONGEST - 1]}…"
