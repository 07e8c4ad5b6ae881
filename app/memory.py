"""Memory that is free goes back to the system: where threads and pictures come and go, glibc keeps what it once had."""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Final

SECONDS: Final = 20.0
"""Between two times; one takes about 10 ms for 100 MB."""


def give_back() -> None:
    """Give the system what is free; does nothing where the C library has no way to."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class GivingBack:
    """Gives back as often as it is asked to, but not more often than every `SECONDS`."""

    def __init__(self) -> None:
        self._due = time.monotonic() + SECONDS

    def if_due(self) -> None:
        """Give back, if the last time is long ago."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + SECONDS
            give_back()
