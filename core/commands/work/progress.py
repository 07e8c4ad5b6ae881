"""What a command shows on stderr while it works."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

from tqdm import tqdm


@contextlib.contextmanager
def loading(what: str, certain: bool = False) -> Iterator[None]:
    """Says that something is being loaded, until it is: on a terminal, where what is said last covers it.

    certain: what ships with the code can hardly fail, and is announced elsewhere, too. Otherwise a mistake that shows
    while loading stays the only line of a log.
    """
    with _announced(what) if certain or sys.stderr.isatty() else contextlib.nullcontext(), _uncollected():
        yield


def _announced(what: str) -> contextlib.AbstractContextManager[object]:
    """A line without a bar, which goes when it is done."""
    return tqdm(desc=f"load {what}", bar_format="{desc}", leave=False)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Inside, and among what was made there, no garbage is looked for.

    What is loaded stays: looking through it again and again takes a sixth of the time until a picture begins.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()
