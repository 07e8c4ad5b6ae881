"""Files that commands write: refused before any work when they cannot be, and named when they cannot after all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from ...types import ConfigError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """ConfigError that names the file when it cannot be written after all, as on a full disk."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"output file: {path} cannot be written ({reason}); make room, or choose another") from None


def check_output(path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Raise ConfigError before any work when a result could not be written."""
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"output file: got {str(path)!r}, expected a name that ends in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise ConfigError(f"output file: got {str(path)!r}, but there is no folder {str(path.parent)!r}; make it first")
    if path.is_dir():
        raise ConfigError(f"output file: got {str(path)!r}, which is a folder; add the name of a file")
    try:
        with path.open("ab") if path.exists() else TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigError(
            f"output file: got {str(path)!r}, which cannot be written ({error.strerror}); choose another"
        ) from None
