"""The patch databases that ship in assets/, by name, and those in folders of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from core.backends.protocol import Backend
from core.database import PatchDatabase
from core.released import ReleasedDatabase, is_released
from core.tokenizer import Codebook
from core.types import ConfigError

ASSETS = Path(__file__).resolve().parents[1] / "assets"
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
    if name in DATABASES:
        return DATABASES[name](backend.codebook)
    if not name or not Path(name).is_dir():
        raise ConfigError(f"database: got {name!r}, expected a folder or one of {', '.join(DATABASES)}")
    return PatchDatabase.load(Path(name), backend.codebook)
