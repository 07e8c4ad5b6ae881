"""How long a model takes for a picture here: measured when it is loaded, told before anybody waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

import numpy as np

from ..types import Grid
from .protocol import Backend

PASSES: Final = 5
"""Codes that are drawn to measure one; the first, which reads the prompt, is left out."""

READ: Final = 24
"""Codes that are read at once to measure how long one takes of those before a branch."""

SLOW_SECONDS: Final = 20.0
"""A picture that takes so long is announced before it is begun."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds on this machine: `code` for one code, `picture` for making the picture of a grid of codes, `read` for one
    of the codes that are read at once, before a branch; 0 where nobody waits for that."""

    code: float
    picture: float
    read: float = 0.0

    def whole(self, grid: Grid) -> float:
        """Seconds for a picture, from its first code to its pixels."""
        return grid.positions * self.code + self.picture

    def is_slow(self, grid: Grid) -> bool:
        """Whether somebody who asks for a picture has to know before that it takes its time."""
        return self.whole(grid) >= SLOW_SECONDS

    def told(self, grid: Grid) -> str:
        """What there is to know before a picture is begun, in words."""
        codes = f"{grid.positions} codes at {seconds_in_words(self.code)} each"
        how = f"{codes} and {seconds_in_words(self.picture)} for its pixels, measured when the model was loaded"
        return f"A picture takes about {time_in_words(self.whole(grid))} here (an estimate: {how})."

    def told_reading(self, codes: int) -> str:
        """What there is to know while so many codes are read, in words; "" where that takes no time."""
        if codes * self.read < 1:
            return ""
        return f"The {codes} codes before it are read first, which takes about {time_in_words(codes * self.read)}."


def measure(backend: Backend, prompt: str, clock: Callable[[], float] = time.perf_counter) -> Speed:
    """The speed of a model with nothing looked up, guided if its defaults are: the median of a few passes, one picture.

    prompt: any that the model takes.

    Later codes take a little longer than these, which are the first ones, and so do FAiD's blenders.
    """
    decoding, codes = backend.start([prompt], backend.defaults.cfg_scale != 1, 0), list[float]()
    try:
        for _ in range(PASSES):
            begun = clock()
            decoding.logits()
            decoding.append(np.zeros(1, np.int64))
            codes.append(clock() - begun)
    finally:
        decoding.close()
    begun = clock()
    backend.decode_codes(np.zeros((1, backend.grid.height, backend.grid.width), np.uint16))
    speed = Speed(median(codes[1:]), clock() - begun)
    return replace(speed, read=_reading(backend, prompt, codes[0], clock)) if speed.is_slow(backend.grid) else speed


def _reading(backend: Backend, prompt: str, first: float, clock: Callable[[], float]) -> float:
    """Seconds for each code that is read at once; first: those for the prompt and one code."""
    count = min(READ, backend.grid.positions - 1)
    decoding = backend.start([prompt], backend.defaults.cfg_scale != 1, 0)
    try:
        begun = clock()
        decoding.replay(np.zeros((1, count + 1), np.int64), None)
        return max(0.0, clock() - begun - first) / count
    finally:
        decoding.close()


def seconds_in_words(seconds: float) -> str:
    """A short time: two digits below ten seconds."""
    return f"{seconds:.0f}\xa0s" if seconds >= 9.95 else f"{seconds:.2g}\xa0s"


def time_in_words(seconds: float) -> str:
    """A time that somebody waits, in whole seconds below a minute and a half, else in minutes or hours."""
    if seconds < 90:
        return f"{max(1, round(seconds))}\xa0s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)}\xa0minutes"
    return f"{seconds / 3600:.1f}\xa0hours"
