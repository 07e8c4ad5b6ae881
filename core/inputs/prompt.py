"""Prompts and captions as they are read: one spelling for what looks the same, and emoji characters by their names.

What `clean` leaves is recorded and shown: plain letters, spaces and hyphens, nothing invisible, and emoji. `read_emoji`
puts their names in their place, for models that read words. A second time, both change nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ..assets import ASSETS
from ..types import CheckpointError, ConfigError

MAX_PROMPT: Final = 300
"""Longest prompt of models that do not say otherwise, in characters after cleaning."""

LONGEST_PROMPT: Final = 4000
"""Longest prompt of any model, in characters after cleaning: about twice what 512 tokens of English are."""

LONGEST_TEXT: Final = 20_000
"""What is longer is not even cleaned: no prompt comes of it, and it would take seconds."""

NAMES_FILE: Final = ASSETS / "text" / "emoji_names.json"

JOINER, SELECTOR = "\u200d", "\ufe0f"
"""They join emoji to one, and say that a character is meant as an emoji."""
SKIN = "[\U0001f3fb-\U0001f3ff]"
KEYCAP = "[0-9#*]\ufe0f?\u20e3"
FLAG = "[\U0001f1e6-\U0001f1ff]{2}"
TAGS = "(?:[\U000e0020-\U000e007e]+\U000e007f)"

WIDE = "\u2800\u3164\uffa0\u115f\u1160"
"""Characters that look like a space and count as none: the blank of Braille, the fillers of Hangul."""
IGNORABLE = (
    "\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What Unicode calls default ignorable, and the marks of annotations; no character of these is drawn by itself."""
LONG_DASHES = "\u2014\u2015\u2e3a\u2e3b"
HYPHENS = "\u2043\u02d7\u2212"
"""Beside the dash punctuation of Unicode."""

_IGNORED = re.compile(f"[{IGNORABLE}]")
_NEVER_NEEDED = re.compile(f"(?![{JOINER}{SELECTOR}\U000e0020-\U000e007f])[{IGNORABLE}]")


@dataclass(frozen=True, slots=True)
class PromptLimit:
    """The longest prompt that a model takes: characters after cleaning, and tokens of its own, 0 where none count."""

    characters: int = MAX_PROMPT
    tokens: int = 0

    @property
    def words(self) -> str:
        """The limit for people."""
        tokens = f" that are at most {self.tokens:,} tokens" if self.tokens else ""
        return f"1 to {self.characters:,} characters{tokens}"


USUAL_LIMIT: Final = PromptLimit()
ANY_LIMIT: Final = PromptLimit(LONGEST_PROMPT)
"""Where it is not known yet which model reads a prompt."""


@dataclass(frozen=True, slots=True)
class EmojiNames:
    """Names of emoji by their characters, without SELECTOR; pattern: finds them in a text, as whole sequences.

    words: those of all names, in lower case.
    """

    names: Mapping[str, str]
    pattern: re.Pattern[str]
    words: frozenset[str]

    @classmethod
    def load(cls, path: Path = NAMES_FILE) -> EmojiNames:
        """The table that ships; CheckpointError when it is missing or damaged."""
        remedy = "restore it from the repository or run python -m core.training.emoji_names"
        try:
            names = json.loads(path.read_text(encoding="utf-8"))["names"]
            return cls.of({str(emoji): str(name) for emoji, name in names.items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
            raise CheckpointError(f"emoji names: got {path} with {reason}, expected a table; {remedy}") from None

    @classmethod
    def of(cls, names: Mapping[str, str]) -> EmojiNames:
        """With the pattern that belongs to the names.

        A character that is text as well (such as those for copyright and trade mark) is an emoji before SELECTOR only.
        """
        singles = {emoji[0] for emoji in names if emoji[0] not in "0123456789#*"}
        text = "".join(sorted(re.escape(char) for char in singles if char < "\u2190"))
        always = "".join(sorted(re.escape(char) for char in singles if char >= "\u2190"))
        one = f"(?:[{always}]{SELECTOR}?{SKIN}?{SELECTOR}?{TAGS}?" + (f"|[{text}]{SELECTOR})" if text else ")")
        words = frozenset(word for name in names.values() for word in re.findall(r"\w+", name.lower()))
        return cls(names, re.compile(f"{KEYCAP}|{FLAG}|{one}(?:{JOINER}{one})*"), words)

    def name(self, sequence: str) -> str:
        """The name of a sequence that the pattern found; of one that nobody named, the names of its parts."""
        plain = sequence.replace(SELECTOR, "")
        bare = re.sub(f"(?<=.){SKIN}", "", plain)
        if bare in self.names:
            return self.names[bare]
        parts = (
            [part for part in bare.split(JOINER) if part] if JOINER in bare else [c for c in bare if c in self.names]
        )
        return " ".join(self.name(part) for part in parts)


@cache
def emoji_names() -> EmojiNames:
    """The table that ships, read once."""
    return EmojiNames.load()


def clean_prompt(prompt: object, limit: PromptLimit = USUAL_LIMIT) -> str:
    """Prompt in one spelling, see `clean`; raises ConfigError unless it has 1 to limit.characters then.

    Tokens are counted by the model that reads it.
    """
    if not isinstance(prompt, str):
        raise ConfigError(f"prompt: got {type(prompt).__name__}, expected text of 1 to {limit.characters:,} characters")
    text = clean(prompt) if len(prompt) <= LONGEST_TEXT else prompt
    if not 1 <= len(text) <= limit.characters:
        remedy = "shorten it" if text else "say what to draw, such as 'a red heart'"
        raise ConfigError(f"prompt: got {len(text)} characters, expected 1 to {limit.characters:,}; {remedy}")
    return text


def clean(text: str) -> str:
    """Text on one line, in the one spelling of all that look like it.

    Compatibility letters ("ﬂ", full width), decomposed accents, hyphens, dashes and spaces become the plain ones;
    invisible characters go, except inside of emoji; control characters are spaces. Bytes of a command line that were no
    UTF-8 are read as Latin-1, so that they can be recorded; other halves of a character are spaces.
    """
    text = _NEVER_NEEDED.sub("", _mended(text))
    pieces, end = [], 0
    for match in emoji_names().pattern.finditer(text):
        pieces += [_plain(text[end : match.start()]), match[0]]
        end = match.end()
    return " ".join("".join([*pieces, _plain(text[end:])]).split())


def read_emoji(text: str) -> str:
    """A clean text with the names of its emoji in their place, set off from words and from one another."""
    names = emoji_names()

    def named(match: re.Match[str]) -> str:
        before, after = text[: match.start()][-1:], text[match.end() :]
        joins = after[:1].isalnum() or unicodedata.category(after[:1] or " ").startswith("M")
        left = " " if before.isalnum() else ""
        right = " " if joins or names.pattern.match(after) else ""
        return left + names.name(match[0]) + right

    return names.pattern.sub(named, text)


def _mended(text: str) -> str:
    """Text without lone surrogates."""
    text = re.sub("[\udc80-\udcff]", lambda found: chr(ord(found[0]) - 0xDC00), text)
    return re.sub("[\ud800-\udfff]", " ", text)


def _plain(text: str) -> str:
    """A part of a text without emoji in plain characters; its spaces are not yet joined."""
    text = re.sub(f"[{WIDE}]", " ", _IGNORED.sub("", text))
    return "".join(map(_plain_character, unicodedata.normalize("NFKC", text)))


def _plain_character(char: str) -> str:
    """The plain character for all kinds of spaces, control characters and dashes."""
    kind = unicodedata.category(char)
    if kind in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if char in LONG_DASHES:
        return " - "
    return "-" if kind == "Pd" or char in HYPHENS else char
