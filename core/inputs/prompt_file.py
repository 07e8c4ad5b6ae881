"""Many prompts from a file: a line each (.txt), JSON objects (.jsonl), or a table with a head (.csv).

What cannot be drawn is left out and told with its line; nothing in a file can make the others be lost.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..types import ConfigError, DecodeSettings
from .prompt import PromptLimit, clean_prompt

STDIN: Final = "-"
MOST_BYTES: Final = 256 << 20
KINDS: Final = (".txt", ".jsonl", ".csv")
NAMES: Final[Mapping[str, str]] = {"neighbours": "n_neighbours", **{f.name: f.name for f in fields(DecodeSettings)}}
"""Columns that are settings, and their fields."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt as it is read, the settings that its picture is drawn with, and its line in the file, from 1 on."""

    line: int
    prompt: str
    settings: DecodeSettings


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that cannot be drawn, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a file asks for; unknown: names of columns that say nothing here, sorted."""

    asked: tuple[Asked, ...]
    skipped: tuple[Skipped, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptText:
    """What is in a file that was read: its name, what kind it is of (see KINDS), and its text."""

    name: str
    kind: str
    text: str


def read_text(name: str) -> PromptText:
    """A file, or "-" for what is on stdin, a prompt a line; ConfigError for one of another kind, or too large."""
    kind = ".txt" if name == STDIN else Path(name).suffix.lower()
    if kind not in KINDS:
        expected = f"expected a name that ends in {', '.join(KINDS)}, or - for stdin"
        raise ConfigError(f"--prompts: got {name!r:.200}, {expected}")
    return PromptText(name, kind, _text(_bytes(name)))


def prompts_of(read: PromptText, settings: DecodeSettings, limit: PromptLimit) -> PromptFile:
    """The prompts of a file; empty lines are none.

    settings: those that a line does not say itself; limit: of prompts. Raises ConfigError where there is nothing to
    draw, saying why of the first line.
    """
    asked, skipped, unknown = list[Asked](), list[Skipped](), set[str]()
    for line, row in {".txt": _plain_rows, ".jsonl": _json_rows, ".csv": _table_rows}[read.kind](read.text):
        try:
            values = row()
            prompt = clean_prompt(_said(values.pop("prompt", None)), limit)
            asked.append(Asked(line, prompt, _settings(values, settings)))
            unknown |= set(values) - set(NAMES)
        except ConfigError as error:
            skipped.append(Skipped(line, str(error)))
    if not asked:
        why = f"; line {skipped[0].line}: {skipped[0].reason}" if skipped else ""
        raise ConfigError(f"--prompts: got {read.name!r:.200} without a prompt that can be drawn, expected some{why}")
    return PromptFile(tuple(asked), tuple(skipped), tuple(sorted(unknown)))


Row = Callable[[], dict[str, Any]]
"""Values of a line by column; ConfigError for what has none."""


def _bytes(name: str) -> bytes:
    """What is in a file; ConfigError where it is too much."""
    if name == STDIN:
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        with Path(name).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ConfigError(f"--prompts: got more than {MOST_BYTES >> 20} MB, expected less; split the file")
    return data


def _text(data: bytes) -> str:
    """Bytes as text: UTF-8, or UTF-16 where they begin by saying so; what is neither becomes U+FFFD."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Those that are not empty, and their numbers."""
    for number, line in enumerate(re.split("\r\n|\r|\n", text), start=1):
        if line.strip():
            yield number, line


def _plain_rows(text: str) -> Iterator[tuple[int, Row]]:
    for number, line in _lines(text):
        yield number, partial(_named, line)


def _json_rows(text: str) -> Iterator[tuple[int, Row]]:
    for number, line in _lines(text):
        yield number, partial(_object, line)


def _named(line: str) -> dict[str, Any]:
    return {"prompt": line}


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"got {line!r:.60}, expected a JSON object with a prompt")
    return found


def _table_rows(text: str) -> Iterator[tuple[int, Row]]:
    """Rows of a table; cells that are empty say nothing."""
    reader = csv.reader(io.StringIO(text, newline=""))
    head = [name.strip() for name in next(reader, [])]
    if "prompt" not in head:
        raise ConfigError(f"--prompts: got a table with the head {', '.join(head)!r:.120}, expected a column prompt")
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, partial(_refuse, f"got a row that cannot be read ({error})")
            continue
        if any(cell.strip() for cell in cells):
            yield line, partial(_cells, head, cells)


def _cells(head: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) > len(head):
        raise ConfigError(f"got {len(cells)} cells, expected {len(head)}; put a prompt with commas in quotes")
    return {name: cell for name, cell in zip(head, cells, strict=False) if name and cell.strip()}


def _refuse(reason: str) -> dict[str, Any]:
    raise ConfigError(reason)


def _said(prompt: object) -> object:
    """A prompt; ConfigError for what is no text in any of the encodings that are read."""
    if isinstance(prompt, str) and ("\ufffd" in prompt or "\0" in prompt):
        raise ConfigError("got bytes that are no text, expected UTF-8, or UTF-16 with its mark; save the file as UTF-8")
    return "" if prompt is None else prompt


def _settings(values: Mapping[str, Any], settings: DecodeSettings) -> DecodeSettings:
    """The settings of a row; ConfigError for a value that does not fit."""
    defaults = DecodeSettings()
    own = {NAMES[name]: value for name, value in values.items() if name in NAMES and value is not None}
    return replace(settings, **{name: _value(name, getattr(defaults, name), value) for name, value in own.items()})


def _value(name: str, default: object, value: Any) -> Any:
    """A value as its setting has it; one that is none is left for the check, which says what is allowed."""
    if isinstance(default, tuple):
        parts = value.split(",") if isinstance(value, str) else value
        known = isinstance(parts, list) and all(isinstance(part, str) for part in parts)
        return tuple(part.strip() for part in parts if part.strip()) if known else value
    if not isinstance(value, str) or isinstance(default, str):
        return value
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    try:
        return (int if isinstance(default, int) else float)(value)
    except ValueError:
        return value
