"""What is told of a prompt before it is drawn: the words of it that say nothing to the caption filter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio.data_classes import GradioModel

from app.scripted import Scripted
from core.backends.emoji.text import words_of
from core.backends.protocol import NO_KNOWN_WORD, Backend
from core.inputs.prompt import clean_prompt
from core.types import ConfigError

FOLDER = Path(__file__).parent
REMEDY = "the caption filter will be skipped. Say it in English words, or with an emoji."
MOST_NAMED, LONGEST = 5, 24


class HintData(GradioModel):
    """What the script gets; "" hides the hint."""

    text: str


class Hint(Scripted):
    """A line under the prompt."""

    data_model = HintData

    def __init__(self, elem_id: str = "hint", render: bool = True) -> None:
        super().__init__(FOLDER / "hint.html", FOLDER / "hint.js", elem_id, render)

    def postprocess(self, value: Any) -> Any:
        """A text for the script."""
        return HintData(text=value) if isinstance(value, str) else None


def hint_of(backend: Backend, prompt: str) -> str:
    """What to know of a prompt before it is drawn, "" when there is nothing."""
    try:
        prompt = clean_prompt(prompt)
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
