"""The patch databases that ship in assets/, by name, and those in folders of the user's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..assets import ASSETS
from ..backends import EMBEDDED
from ..backends.protocol import Backend
from ..codebook import Codebook
from ..types import ConfigError, DecodeSettings
from .database import PatchDatabase
from .files import MANIFEST
from .released import INDEX_FILE, ReleasedDatabase, check_released, entries_of, is_released

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


def check_codebook(name: str, backend: str) -> None:
    """ConfigError for a database of another codebook than a model has, as far as its manifest tells that.

    Told before the model is loaded. The embedded models share one codebook, which Janus-Pro has not.
    """
    if backend not in (*EMBEDDED, "janus") or (manifest := manifest_of(name)) is None:
        return
    embedded = manifest_of("emoji")
    if embedded is not None and (manifest["codebook"] == embedded["codebook"]) != (backend in EMBEDDED):
        got = f"got {name!r}, which is of {'another codebook' if backend in EMBEDDED else 'the embedded models'}"
        remedy = f"build one of your own pictures with `database build --backend {backend}`"
        raise ConfigError(f"database: {got}, expected one of the codebook of {backend}; {remedy}")


def check_settings(name: str, settings: DecodeSettings, neighbours: int | None) -> None:
    """ConfigError for what a database cannot search by, told before it is opened.

    neighbours: K where somebody asks for it; a default is as many as there are.
    """
    if released := is_released(Path(name)):
        check_released(settings)
    entries = entries_of(Path(name)) if released else (manifest_of(name) or {}).get("entries")
    if neighbours is not None and isinstance(entries, int) and neighbours > entries:
        raise ConfigError(f"n_neighbours: got {neighbours:,}, expected at most the {entries:,} entries of {name}")


def manifest_of(name: str) -> dict[str, Any] | None:
    """The manifest of a database by name or in a folder; None where there is none that can be read, or of a view.

    What is wrong with it is told when the database is opened.
    """
    folder = FOLDER / ("emoji" if name == "seen" else name) if name in DATABASES else Path(name)
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("codebook"), str) else None


def check_name(name: str) -> None:
    """ConfigError unless a database has that name or lies in such a folder; told before a model is loaded."""
    if name not in DATABASES and (not name or not Path(name).is_dir()):
        raise ConfigError(f"database: got {name!r}, expected a folder or one of {', '.join(DATABASES)}")
    if name not in DATABASES and not is_released(Path(name)) and not (Path(name) / MANIFEST).is_file():
        got = f"got {name!r}, a folder with neither {MANIFEST} nor {INDEX_FILE}"
        raise ConfigError(f"database: {got}, expected a database; see `database build`")
