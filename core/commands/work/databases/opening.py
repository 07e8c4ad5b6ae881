"""The database that an action was given; a model is loaded only where nothing else has the codebook."""

from __future__ import annotations

import argparse
from pathlib import Path

from ....patches.catalogue import (
    DATABASES,
    FOLDER,
    check_codebook,
    check_name,
    find_database,
    is_segmented,
    whole_folder,
)
from ....patches.database import PatchDatabase
from ....patches.segments.database import SegmentedDatabase
from ....patches.tending.contents import Holding
from ....types import DatabaseError
from ..loading import loaded


def opened(name: str, chosen: argparse.Namespace) -> Holding:
    """A database by name, folder or repository, which knows its images; ConfigError or DatabaseError otherwise."""
    check_name(name)
    if is_segmented(name):
        return SegmentedDatabase.open(whole_folder(name))
    check_codebook(name, chosen.backend)
    found = find_database(name, loaded(chosen))
    if not isinstance(found, PatchDatabase):
        raise DatabaseError(f"database: got {name!r}, which does not know its images, expected one that does")
    return found


def segmented(name: str) -> SegmentedDatabase:
    """A database of segments in a folder of one's own; DatabaseError for one of another kind."""
    if not name or not Path(name).is_dir():
        raise DatabaseError(f"database: got {name!r}, expected the folder of a database")
    if not is_segmented(name):
        remedy = "make one with `database merge DATABASE --out FOLDER`"
        raise DatabaseError(f"database: got {name!r}, which has no segments; {remedy}")
    return SegmentedDatabase.open(Path(name))


def place_of(name: str) -> Path:
    """The folder with the files of a database; of `seen` those that it is a part of."""
    if name in DATABASES:
        return FOLDER / ("emoji" if name == "seen" else name)
    return whole_folder(name)
