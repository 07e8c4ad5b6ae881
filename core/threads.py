"""How many threads the arithmetic uses: one, unless ARRAG_THREADS says otherwise, on the page and the command line.

Sums are split by threads, so that one more changes last digits and with them, now and then, a picture. More threads
than free processors also make each step wait for the slowest. torch is imported where it is needed: reading a trace
needs none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

import numpy as np

from .types import ConfigError

VARIABLE: Final = "ARRAG_THREADS"
MOST: Final = 256


def pin(environment: Mapping[str, str] = os.environ) -> int:
    """Set torch's threads, and return how many; ConfigError for what is no number of threads.

    faiss takes as many as torch has when an index is made, see `core.patches.index`.
    """
    count = wanted(environment)
    import torch  # noqa: PLC0415

    torch.set_num_threads(count)
    return count


def wanted(environment: Mapping[str, str]) -> int:
    """How many threads an environment asks for: 1 when it says nothing."""
    text = environment.get(VARIABLE, "").strip() or "1"
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST):
        raise ConfigError(f"{VARIABLE}: got {text!r:.40}, expected a whole number from 1 to {MOST}")
    return int(text)


def current() -> int:
    """How many threads torch has here; what the environment asks for, while it is not loaded."""
    torch = sys.modules.get("torch")
    return wanted(os.environ) if torch is None else int(torch.get_num_threads())


def machine() -> str:
    """What decides the last digits of this process's arithmetic, in words: version, instructions, threads."""
    if (torch := sys.modules.get("torch")) is None:  # then nothing can have been computed with it
        return f"numpy {np.__version__}"
    count = torch.get_num_threads()
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, {instructions}, {count} thread{'s'[: count - 1]}"
