"""The patch databases that ship in assets/, by name, and those in folders of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..assets import ASSETS
from ..backends import EMBEDDED
from ..backends.protocol import Backend
from ..codebook import Codebook
from ..types import ConfigError, DatabaseError, DecodeSettings
from .database import PatchDatabase
from .files import MANIFEST, read_json
from .hub.names import named_repository
from .protocol import Database
from .released import INDEX_FILE, ReleasedDatabase, check_released, entries_of, is_released
from .remote.links import check_address, is_remote, link_to
from .segments.database import SegmentedDatabase

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


def find_database(name: str, backend: Backend) -> Database:
    """The database of that name, in that folder, of any kind, or at that address, checked against the backend."""
    if is_remote(name):
        return _elsewhere(name, backend)
    check_name(name)
    if name in DATABASES:
        return open_database(name, backend)
    folder = whole_folder(name)
    if is_released(folder):
        return ReleasedDatabase.open(folder, backend.codebook, backend.grid)
    if is_segmented(name):
        return SegmentedDatabase.open(folder, backend.codebook)
    return open_database(name, backend)


def _elsewhere(name: str, backend: Backend) -> Database:
    """The database at an address; what talks to it loads only here."""
    from .remote.database import open_remote  # noqa: PLC0415

    return open_remote(link_to(name), backend.codebook, backend.grid)


def open_database(name: str, backend: Backend) -> PatchDatabase:
    """As `find_database`, for what needs all of it in memory; ConfigError for any other one."""
    check_name(name)
    if is_remote(name) or is_segmented(name):
        kind = "is elsewhere" if is_remote(name) else "is read in segments (version 2)"
        got = f"got {name!r}, which {kind}, expected one that is held in memory"
        raise ConfigError(f"database: {got}; take one of {', '.join(DATABASES)}, or one of version 1")
    if name in DATABASES:
        return DATABASES[name](backend.codebook)
    return PatchDatabase.load(whole_folder(name), backend.codebook)


def folder_of(name: str) -> Path:
    """Where a database lies that is no shipped one; of one that is named by repository, where its manifest is.

    Of that nothing else need be there yet. DatabaseError when it cannot be had.
    """
    repository = named_repository(name)
    if repository is None:
        return Path(name)
    from .hub.pull import fetch_manifest  # noqa: PLC0415 - the hub's client takes a while

    return fetch_manifest(repository)


def whole_folder(name: str) -> Path:
    """The same, with all files, which are fetched from the hub where they are not in its cache."""
    repository = named_repository(name)
    if repository is None:
        return Path(name)
    from .hub.pull import fetch  # noqa: PLC0415

    return fetch(repository)


def is_segmented(name: str) -> bool:
    """Whether a folder holds a database of version 2, or of a later one, of which opening it tells."""
    version = (manifest_of(name) or {}).get("version") if name and name not in DATABASES else None
    return isinstance(version, int) and version > 1


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
    if released := name not in DATABASES and is_released(folder_of(name)):
        check_released(settings)
    entries = entries_of(folder_of(name)) if released else (manifest_of(name) or {}).get("entries")
    if neighbours is not None and isinstance(entries, int) and neighbours > entries:
        raise ConfigError(f"n_neighbours: got {neighbours:,}, expected at most the {entries:,} entries of {name}")


def manifest_of(name: str) -> dict[str, Any] | None:
    """The manifest of a database by name or in a folder; None where there is none that can be read, or of a view.

    What is wrong with it is told when the database is opened.
    """
    folder = FOLDER / ("emoji" if name == "seen" else name) if name in DATABASES else folder_of(name)
    try:
        found = read_json(folder / MANIFEST)
    except DatabaseError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("codebook"), str) else None


def check_name(name: str) -> None:
    """ConfigError unless a database has that name or lies in such a folder; told before a model is loaded."""
    if is_remote(name):
        return check_address(name)
    if name in DATABASES:
        return
    if not name or not (folder := folder_of(name)).is_dir():
        raise ConfigError(f"database: got {name!r}, expected a folder or one of {', '.join(DATABASES)}, or an address")
    if not is_released(folder) and not (folder / MANIFEST).is_file():
        got = f"got {name!r}, a folder with neither {MANIFEST} nor {INDEX_FILE}"
        raise ConfigError(f"database: {got}, expected a database; see `database build`")
