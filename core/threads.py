"""How many threads the arithmetic uses, on the page and the command line: what ARRAG_THREADS says, else one for the
models that ship and one for each processor for others.

Sums are split by threads, so that one more changes last digits and with them, now and then, a picture. More threads
than free processors also make each step wait for the slowest, which is little of a step of a large model. torch is
imported where it is needed: reading a trace needs none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from .types import ConfigError

VARIABLE: Final = "ARRAG_THREADS"
MOST: Final = 256
ENOUGH: Final = 8
"""How many threads a large model takes by itself: reading weights is most of a step, and memory soon bounds it."""
QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def pin(environment: Mapping[str, str] = os.environ, large: bool = False) -> int:
    """Set torch's threads, and return how many; ConfigError for what is no number of threads.

    large: for a model that does not ship with the code. faiss takes as many as torch has when an index is made, see
    `core.patches.index`.
    """
    count = wanted(environment, min(ENOUGH, processors()) if large else 1)
    import torch  # noqa: PLC0415

    torch.set_num_threads(count)
    return count


def wanted(environment: Mapping[str, str], otherwise: int = 1) -> int:
    """How many threads an environment asks for; `otherwise` when it says nothing."""
    text = environment.get(VARIABLE, "").strip() or str(otherwise)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST):
        raise ConfigError(f"{VARIABLE}: got {text!r:.40}, expected a whole number from 1 to {MOST}")
    return int(text)


def processors(quota: Path = QUOTA) -> int:
    """How many processors this process may use, in a container as many as are granted to it."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        granted, period = map(int, quota.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no container, or "max"
        return count
    return max(1, min(count, granted // period))


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
