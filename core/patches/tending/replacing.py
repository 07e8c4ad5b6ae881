"""Segments of a database put in the place of others, so that it is whole at any moment."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...types import DatabaseError
from ..building.target import BUILDING
from ..files import MANIFEST
from ..segments.database import SegmentedDatabase
from ..segments.manifest import SEGMENTS, Manifest, read_manifest, write_manifest
from ..segments.writer import sweep


def begin(folder: Path) -> SegmentedDatabase:
    """The database in a folder, without what an earlier call left; DatabaseError while a build adds to it."""
    if (folder / BUILDING).exists():
        raise DatabaseError(
            f"{folder}: got a build that was not finished; finish it with `database build --append` first"
        )
    database = SegmentedDatabase.open(folder)
    sweep(folder, database.manifest)
    return database


def finish(folder: Path, before: Manifest, after: Manifest, keep_old: bool) -> None:
    """Put a manifest in the place of another one, and remove the segments that it does not name.

    keep_old: leave these until the next `begin`, for programs that have the database open and map files when they first
    need them. Raises DatabaseError, with the database as it was, when somebody else changed it meanwhile and when it
    could not be opened afterwards.
    """
    if read_manifest(folder) != before:
        for name in {record.name for record in after.segments} - {record.name for record in before.segments}:
            shutil.rmtree(folder / SEGMENTS / name, ignore_errors=True)
        raise DatabaseError(f"{folder / MANIFEST}: was changed meanwhile by another program; try again")
    write_manifest(folder, after)
    try:
        SegmentedDatabase.open(folder)
    except DatabaseError:  # nothing was removed yet
        write_manifest(folder, before)
        raise
    if not keep_old:
        sweep(folder, after)
