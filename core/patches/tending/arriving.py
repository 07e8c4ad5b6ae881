"""A database that is written beside its place, and put there when it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ...types import DatabaseError
from ..segments.database import SegmentedDatabase
from ..segments.writer import check_target

PARTIAL: Final = ".partial"


@contextmanager
def arriving(out: Path) -> Iterator[Path]:
    """The folder to write, which becomes `out` when the block ends without an error, and is removed otherwise.

    out: new or empty, else ConfigError. What a killed run has left is begun anew. DatabaseError where nothing can be
    written, and for what cannot be opened as a database at the end.
    """
    check_target(out)
    partial = out.absolute().with_name(out.name + PARTIAL)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    except OSError as error:
        raise DatabaseError(f"out: got {str(out)!r}, which cannot be written ({error.strerror})") from None
    try:
        yield partial
        SegmentedDatabase.open(partial)
        if out.is_dir():
            out.rmdir()
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
