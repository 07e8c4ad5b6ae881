"""Looks of codes that took long to make, kept on the disk between two starts of a server: a few files, a folder of the
user's own. They can be made again: whatever is wrong with a file or the folder, nothing is read from it."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from app.looks import Looks
from app.views import Array

MOST_FILES: Final = 8
"""One for each codebook and database; of Janus-Pro it takes up to 13 MB. The oldest go."""

FORMAT: Final = 1
SUFFIX: Final = ".looks.npz"

logger = logging.getLogger(__name__)


class Shelf:
    """Files in a folder; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls, environment: Mapping[str, str] = os.environ) -> Shelf:
        """That of whoever runs the server, below the folder for caches."""
        if given := environment.get("XDG_CACHE_HOME", ""):
            caches = Path(given)
        elif sys.platform == "win32":
            caches = Path(environment.get("LOCALAPPDATA", ""))
        else:
            caches = Path(environment.get("HOME", ""), ".cache")
        return cls(caches / "arrag-loupe" if caches.is_absolute() else None)

    def read(self, name: str, size: int, side: int) -> tuple[Looks, Array] | None:
        """Looks of `size` codes, `side` pixels wide, with which of them were made; None without sound ones."""
        if self._folder is None or not _is_own(self._folder):
            return None
        try:
            with self._path(name).open("rb") as file, np.load(file, allow_pickle=False) as kept:
                patches, seen, made = (kept[part] for part in ("patches", "seen", "made"))
                sound = kept["format"] == FORMAT
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        sound = sound and (patches.shape, patches.dtype) == ((size, side, side, 3), np.uint8)
        sound = sound and all((flags.shape, flags.dtype) == ((size,), np.bool_) for flags in (seen, made))
        return (Looks(patches, seen), made) if sound else None

    def write(self, name: str, looks: Looks, made: Array) -> None:
        """Keep looks; what cannot be written is made again at the next start."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_own(self._folder):
                return
            with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as file:
                try:
                    np.savez_compressed(file, patches=looks.patches, seen=looks.seen, made=made, format=FORMAT)
                    file.close()
                    os.replace(file.name, self._path(name))
                except BaseException:
                    file.close()
                    Path(file.name).unlink(missing_ok=True)
                    raise
            self._tidy(self._folder)
        except OSError as error:
            logger.info("looks of codes are not kept: %s", error.strerror)

    def _tidy(self, folder: Path) -> None:
        """Delete the oldest files beyond those that are kept."""
        files = sorted(folder.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        for file in files[MOST_FILES:]:
            with suppress(OSError):
                file.unlink()

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}{SUFFIX}"


def _is_own(folder: Path) -> bool:
    """Whether a folder is this user's, and nobody else may write into it; modes mean nothing on Windows."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        return False
    return sys.platform == "win32" or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
