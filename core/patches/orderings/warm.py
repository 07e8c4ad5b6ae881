"""Reading mapped files ahead, so that the first searches need not wait for the disk."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..index import available

CHUNK: Final = 1 << 22
SHARE: Final = 0.8
"""Of the memory that is free or can be freed: more would drive out what was just read."""


def warm(folders: Sequence[Path]) -> threading.Thread | None:
    """Read all files of some folders once, in a thread of its own, which ends with the process; it has been started.

    None, and nothing is read, where they are larger than the memory that is free. A file that cannot be read is passed
    over: whoever needs it will be told.
    """
    files = [path for folder in folders for path in sorted(folder.rglob("*.npy"))]
    free = available()
    if free is not None and sum(path.stat().st_size for path in files) > SHARE * free:
        return None
    thread = threading.Thread(target=_read, args=(files,), name="warm", daemon=True)
    thread.start()
    return thread


def _read(files: Sequence[Path]) -> None:
    """Read files from beginning to end and forget what was read: the system keeps their pages."""
    for path in files:
        try:
            with path.open("rb", buffering=0) as file:
                while file.read(CHUNK):
                    pass
        except OSError:
            continue
