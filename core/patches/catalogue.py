"""The patch databases that ship in assets/, by name, and those in folders of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..assets import ASSETS
from ..backends.protocol import Backend
from ..codebook import Codebook
from ..types import ConfigError
from .database import PatchDatabase
from .released import ReleasedDatabase, is_released

FOLDER = ASSETS / "databases"


def _seen(codebook: Codebook) -> PatchDatabase:
    """What the novice was trained on: everything but the unseen, looked up in the same way as that."""
    unseen = PatchDatabase.load(FOLDER / "unseen", codebook)
    return PatchDatabase.load(FOLDER / "emoji", codebook).without(unseen).with_context(unseen.context)


DATABASES: Mapping[str, Callable[[Codebook], PatchDatabase]] = {
    "emoji": lambda codebook: PatchDatabase.load(FOLDER / "emoji", codebook),
    "seen": _seen,
    "unseen": lambda codebook: PatchDatabase.load(FOLDER / "unseen", codebook),
}
"""emoji: all pictures that the embedded model learns from; seen: those that the novice learns from, too; unseen: the
others, which are in a style and of concepts that the novice has never seen."""


def find_database(name: str, backend: Backend) -> PatchDatabase | ReleasedDatabase:
    """As `open_database`, but a folder may also hold a released database."""
    if name and is_released(Path(name)):
        return ReleasedDatabase.open(Path(name), backend.codebook, backend.grid)
    return open_database(name, backend)


def open_database(name: str, backend: Backend) -> PatchDatabase:
    """The database of that name, or the one in that folder, checked against the backend's codebook."""
    check_name(name)
    return DATABASES[name](backend.codebook) if name in DATABASES else PatchDatabase.load(Path(name), backend.codebook)


def check_name(name: str) -> None:
    """ConfigError unless a database has that name or there is such a folder; told before a model is loaded."""
    if name not in DATABASES and (not name or not Path(name).is_dir()):
        raise ConfigError(f"database: got {name!r}, expected a folder or one of {', '.join(DATABASES)}")
