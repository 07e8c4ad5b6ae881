"""Folders that one process at a time works in; a lock ends with its process, however that ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from .types import ConfigError


@contextlib.contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Nobody else has locked this file meanwhile, which is made where it is missing: ConfigError when somebody has."""
    with path.open("ab") as file:
        if not _lock(file):
            raise ConfigError(message)
        yield


def _lock(file: IO[bytes]) -> bool:
    """Whether a file could be locked until it is closed, by whatever happens to this process."""
    try:
        import fcntl  # noqa: PLC0415
    except ImportError:  # Windows
        import msvcrt  # noqa: PLC0415

        return _succeeds(lambda: msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1))  # type: ignore[attr-defined]
    return _succeeds(lambda: fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB))


def _succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except (BlockingIOError, PermissionError):  # the second one is Windows'
        return False
    except OSError:  # a file system without locks
        return True
    return True
