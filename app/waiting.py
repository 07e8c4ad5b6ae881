"""What somebody who waits for a picture of a slow model is told, before and while it is drawn."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, TypeVar

from app.decoding.ticket import Waiting
from core.backends.protocol import Backend
from core.backends.speed import seconds_in_words, time_in_words

Made = TypeVar("Made")

MEASURED: Final = 5
"""Codes after which it is said how long the rest takes."""

TOLD_SECONDS: Final = 10.0
"""Between two times that it is said."""


class Progress:
    """How fast the codes of a picture come, by the clock: with whatever else the machine does meanwhile."""

    def __init__(self, positions: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._left, self._clock = positions, clock
        self._first = self._newest = self._told = 0.0
        self._came = 0

    def came(self) -> None:
        """Another code is here. The first one tells nothing: reading the prompt is part of it."""
        self._newest = self._clock()
        self._first = self._first or self._newest
        self._came, self._left = self._came + 1, self._left - 1

    @property
    def seconds(self) -> float | None:
        """Of a code, None before enough of them came."""
        if self._came <= MEASURED:
            return None
        return (self._newest - self._first) / (self._came - 1)

    @property
    def left(self) -> float:
        """Seconds until the last code; 0 before that is known."""
        return self._left * (self.seconds or 0.0)

    def is_due(self) -> bool:
        """Whether something is to be said again."""
        if self.seconds is None or (self._told and self._clock() - self._told < TOLD_SECONDS):
            return False
        self._told = self._clock()
        return True

    def words(self, backend: Backend, after: float) -> str:
        """How long it takes and what it takes; after: seconds for the pixels when the last code is there."""
        if self.seconds is None:
            return ""
        left = time_in_words(self.left + after)
        memory = memory_in_words()
        return f"About {left} left, at {seconds_in_words(self.seconds)} a code. {backend.description}{memory}."


def waiting_words(news: Waiting, reading: Callable[[int], str]) -> str:
    """How long it will be, in words; of what has begun, what `reading` says of so many codes that are read first."""
    if not news.before:
        return reading(news.reads) if news.reads else ""
    before = "1 picture" if news.before == 1 else f"{news.before} pictures"
    return f"{before} before yours, about {time_in_words(news.seconds)}"


def while_told(work: Callable[[], Made], tell: Callable[[], None], seconds: float = TOLD_SECONDS) -> Made:
    """What comes of something that may take long, of which is told at once and again and again until it is there."""
    with ThreadPoolExecutor(1, "making") as pool:
        making = pool.submit(work)
        while True:
            tell()
            if wait([making], seconds).done:
                return making.result()


def memory_in_words() -> str:
    """What the server takes of the machine's memory and of that of a GPU, as it is now; "" where that is not known."""
    parts = []
    if own := resident():
        parts.append(f"{own / 1e9:.1f}\xa0GB of memory")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        parts.append(f"{torch.cuda.memory_allocated() / 1e9:.1f}\xa0GB on the GPU")
    return "".join(f", {part}" for part in parts)


def resident() -> int:
    """Bytes of memory that this process holds, 0 where the system has no /proc to tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
