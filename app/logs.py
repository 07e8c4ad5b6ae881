"""The log: one line a record on standard error, for people or as JSON, whoever says it.

What Gradio, uvicorn, and whatever prints have to say goes the same way.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime, timezone
from typing import Final, Literal, TextIO

Form = Literal["plain", "json"]

TOLD: Final = "told"
"""Name of what a record tells beside its words: a mapping of names to numbers and short texts."""

OTHERS: Final = ("uvicorn", "uvicorn.access", "uvicorn.error")
"""Loggers that uvicorn gives handlers of their own when it starts."""

WORDY: Final = ("httpx",)
"""Loggers whose every request is told otherwise: Gradio asks its own page whether it is there."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@contextmanager
def kept(form: Form) -> Iterator[None]:
    """As long as this lasts all lines look alike, what is printed included; for a process that is a server."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.raiseExceptions = False  # of a log that cannot be written, which would be told to itself
    logging.captureWarnings(True)
    for name in WORDY:
        logging.getLogger(name).setLevel(logging.WARNING)
    with redirect_stdout(Printed("stdout", sys.stdout)), redirect_stderr(Printed("stderr", sys.stderr)):
        yield


def take_over() -> None:
    """Let uvicorn's lines go the way of all others, once it has started."""
    for name in OTHERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class PlainLines(logging.Formatter):
    """2026-11-28T16:28:12.345Z INFO arrag: run outcome=finished drew=0.81; what has several lines becomes one."""

    def format(self, record: logging.LogRecord) -> str:
        """As logging asks for it."""
        told = "".join(f" {name}={_quoted(value)}" for name, value in _told(record).items())
        trouble = f" | {self.formatException(record.exc_info)}" if record.exc_info else ""
        line = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}{told}{trouble}"
        return _UNPRINTABLE.sub(" ", re.sub(r"\s*\n\s*", " | ", line))


class JsonLines(logging.Formatter):
    """{"time": ..., "level": "info", "from": "arrag", "message": "run", "outcome": "finished", "drew": 0.81}"""

    def format(self, record: logging.LogRecord) -> str:
        """As logging asks for it."""
        line = {
            "time": _time(record), "level": record.levelname.lower(), "from": record.name,
            "message": record.getMessage(), **_told(record),
        }  # fmt: skip
        if record.exc_info:
            line["trouble"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Printed(io.TextIOBase):
    """Stands for standard output or standard error: every line that is printed becomes a record.

    stream: the real one, for what asks for its encoding, or whether it is a terminal.
    """

    def __init__(self, name: str, stream: TextIO) -> None:
        self._stream, self._logger, self._begun = stream, logging.getLogger(name), ""

    def write(self, text: str) -> int:
        """Take what is printed; a line that is not ended yet waits for its end."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                self._logger.info("%s", line.rstrip())
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the real one."""
        return self._stream.encoding

    def fileno(self) -> int:
        """As the real one: what a child process says is not ours to change."""
        return self._stream.fileno()


def _told(record: logging.LogRecord) -> Mapping[str, str | float]:
    told: Mapping[str, str | float] = getattr(record, TOLD, {})
    return told


def _quoted(value: str | float) -> str:
    """A value that a line can be taken apart by."""
    text = str(value)
    return text if re.fullmatch(r"[\w.:+/-]+", text) else json.dumps(text, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    """When it was, in UTC."""
    return f"{datetime.fromtimestamp(record.created, timezone.utc):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z"
