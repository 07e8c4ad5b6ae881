"""How many codes are worth guessing in a pass of the embedded model, on this processor.

A pass over several positions costs more than one over one: little more where instructions are wide (AVX-512), about
three times as much on others. So both are timed, once, when a picture is first drawn. Which is taken changes how long
a picture takes, and not the picture (`core.drafts`, `core.ties`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from ...types import ConfigError

VARIABLE: Final = "ARRAG_DRAFTS"
MOST: Final = 32
CODES_A_PASS: Final[Mapping[int, float]] = {5: 1.9, 8: 2.3, 12: 2.75}
"""Codes that one pass gives by how many are guessed: medians of pictures by methods model and daid, docs/speed.md."""
MARGIN: Final = 1.15
"""Guessing may seem to take so much more: it saves what surrounds a pass, too, and on a busy machine narrow passes,
which wait for memory, slow down more than wide ones, which compute."""
REPEATS: Final = 3


def wanted(environment: Mapping[str, str] = os.environ) -> int | None:
    """How many codes an environment says to guess, 0 for none; None where it leaves that to what is measured."""
    text = environment.get(VARIABLE, "").strip() or "auto"
    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal() and int(text) <= MOST):
        raise ConfigError(f"{VARIABLE}: got {text!r:.40}, expected auto, or a whole number from 0 to {MOST}")
    return int(text)


def measured(run: Callable[[int], object], clock: Callable[[], float] = time.perf_counter) -> int:
    """The number of guesses with which a code takes least; run(k) is a pass over one position and k guesses more."""
    seconds = {drafts: _least(run, drafts, clock) for drafts in (0, *CODES_A_PASS)}
    return quickest(seconds)


def quickest(seconds: Mapping[int, float]) -> int:
    """The same from the seconds of each pass; 0 where a pass without guesses is about as quick."""
    a_code = {drafts: seconds[drafts] / codes for drafts, codes in CODES_A_PASS.items()}
    best = min(a_code, key=lambda drafts: a_code[drafts])
    return best if a_code[best] < MARGIN * seconds[0] else 0


def _least(run: Callable[[int], object], drafts: int, clock: Callable[[], float]) -> float:
    """The least of some times, after one that does not count: what else the machine does only adds."""
    times = []
    for _ in range(1 + REPEATS):
        begin = clock()
        run(drafts)
        times.append(clock() - begin)
    return min(times[1:])
