"""What a picture is called: from a file beside it, from a column, or from its name, by one rule for every source."""

from __future__ import annotations

import codecs
import datetime
import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ...inputs.captions import caption_of_name, cut
from ...types import ConfigError
from ..protocol import ImageInfo
from .sources import Item, plain_stem

MOST_CAPTION: Final = 300
"""Letters of a caption, as many as a model reads of a prompt."""

MOST_TEXT: Final = 1 << 20
"""Bytes that are read of a file beside a picture."""

MOST_VALUE: Final = 10_000
"""Letters that are kept of one value of a further column."""

RULES: Final = ("all", "first-line")
"""all: every line of a file is the caption; first-line: the first that is not empty."""

CAPTION_COLUMNS: Final = (
    "caption", "text", "captions", "prompt", "description", "top_caption", "title", "alt", "alt_text", "txt",
)  # fmt: skip
"""Columns that say what a picture shows, the better ones first, in any case."""

FIELDS: Final = ("style", "concept", "source", "licence")
TAKEN: Final = ("caption", *FIELDS, "sha256", "bytes", "width", "height", "file")
"""Columns that a database has itself; further ones of these names get another."""

_DROPPED: Final = frozenset(
    "\ufeff\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069"
)
"""Invisible, and no part of a letter: marks of order, directions, places to break."""

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a picture; origin: "beside", "column" or "name"; whole: whether nothing of the caption was cut.

    more: the further columns, each with a plain value.
    """

    info: ImageInfo
    licence: str
    origin: str
    whole: bool
    more: Mapping[str, Value] = field(default_factory=dict)


def describe(item: Item, collection: str, rule: str, caption_column: str = "") -> Said:
    """What is said of an item, see `Said`; collection: its source where no column names another."""
    column = caption_column or caption_column_of(item.record)
    texts = [("beside", text_of(data)) for data in item.texts]
    texts += [("column", text) for text in _texts_of_value(item.record.get(column), rule)]
    found = ((origin, cleaned(text, rule)) for origin, text in texts)
    origin, full = next(((origin, text) for origin, text in found if text), ("name", ""))
    caption = cut(full, MOST_CAPTION) if full else caption_of_name(plain_stem(item.stem))
    named = {name.lower(): name for name in item.record}
    named.setdefault("licence", named.get("license", "licence"))
    given = {name: cleaned(_plain_text(item.record.get(named.get(name, name)))) for name in FIELDS}
    used = {column, *(named.get(name, name) for name in FIELDS)}
    info = ImageInfo(caption, given["style"], given["concept"], given["source"] or collection)
    more = dict(_further(item.record, used))
    return Said(info, given["licence"], origin, len(full) <= MOST_CAPTION, more)


def check_rule(rule: str) -> str:
    """One of RULES; ConfigError for anything else."""
    if rule not in RULES:
        raise ConfigError(f"captions: got {rule!r:.40}, expected {' or '.join(RULES)}")
    return rule


def caption_column_of(names: Mapping[str, Any]) -> str:
    """The column that says what a picture shows, "" where none is called so."""
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in CAPTION_COLUMNS if name in lower), "")


def text_of(data: bytes) -> str:
    """A text file's content: by its mark of order, or else UTF-16 where every other byte is 0, UTF-8, Windows-1252."""
    marks = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
    for mark, encoding in marks:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if len(data) >= 4 and data.count(0) * 3 > len(data):
        zeros = data[: len(data) & ~1]
        little = zeros[1::2].count(0) >= zeros[::2].count(0)
        return data.decode("utf-16-le" if little else "utf-16-be", "replace")
    try:
        return _decoded_utf8(data)
    except UnicodeDecodeError:
        pass
    return data.decode("cp1252") if not _has_holes(data) else data.decode("latin-1")


def _decoded_utf8(data: bytes) -> str:
    """UTF-8, of which the last character may be cut off where only the beginning of a file was read."""
    return codecs.getincrementaldecoder("utf-8")().decode(data, final=len(data) < MOST_TEXT)


def _has_holes(data: bytes) -> bool:
    """Whether there are bytes that stand for nothing in Windows-1252."""
    return any(hole in data for hole in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))


def cleaned(text: str, rule: str = "all") -> str:
    """A caption on one line, in composed letters, without what cannot be seen; by a rule of RULES."""
    lines = (_line(line) for line in text.splitlines())
    return next((line for line in lines if line), "") if rule == "first-line" else " ".join(filter(None, lines))


def _line(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    seen = (" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in composed if c not in _DROPPED)
    return " ".join("".join(seen).split())


def _texts_of_value(value: Any, rule: str) -> Iterator[str]:
    """Texts that the value of a caption column may be: one, or the first or all of a list."""
    if isinstance(value, (list, tuple)):
        texts = [text for text in map(_plain_text, value) if text.strip()]
        yield "\n".join(texts)
    elif value is not None:
        yield _plain_text(value)


def _plain_text(value: Any) -> str:
    """A value as text, "" for nothing and for what is no text or number."""
    if isinstance(value, bytes):
        return text_of(value)
    missing = value is None or isinstance(value, (dict, list)) or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value)


def _further(record: Mapping[str, Any], used: set[str]) -> Iterator[tuple[str, Value]]:
    """The other columns with what can be kept of them: no bytes, and lists as JSON."""
    for name, value in record.items():
        kept = None if name in used else plain_value(value)
        if kept is not None:
            yield (f"{name}_given" if name.lower() in TAKEN else name), kept


def plain_value(value: Any) -> Value | None:
    """A value as text, number or truth; None for nothing, for bytes, and for what is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if value is None or isinstance(value, bytes):
        return None
    if isinstance(value, (dict, list, tuple)):
        value = json.dumps(value, ensure_ascii=False, default=lambda _: None)
    text = "".join(" " if "\ud800" <= char <= "\udfff" else char for char in str(value))
    return text[:MOST_VALUE]
