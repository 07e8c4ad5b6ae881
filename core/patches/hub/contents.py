"""Which files a database has, by what its manifest says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from ...types import DatabaseError
from ..files import MANIFEST, read_json
from ..segments.manifest import SEGMENTS, read_manifest
from ..segments.writer import CODEBOOK

_OLD: Final = {"captions": ("captions.npy",), "pictures": ("pictures.bin", "picture_offsets.npy")}
"""Files of version 1 that are there when the manifest says so, besides the grids and what is said of the images."""

_PLAIN: Final = re.compile(r"\w[\w.-]*", re.ASCII)


def files_of_database(folder: Path) -> list[str]:
    """Names within the folder, with /, the manifest last; DatabaseError when there is none that can be read."""
    values = read_json(folder / MANIFEST)
    if not isinstance(values, dict):
        raise DatabaseError(f"{folder / MANIFEST}: got something else, expected the manifest of a patch database")
    return [*(_old(folder, values) if values.get("version") == 1 else _segmented(folder)), MANIFEST]


def _segmented(folder: Path) -> list[str]:
    """Of a database of segments."""
    segments = read_manifest(folder).segments
    return [CODEBOOK, *(f"{SEGMENTS}/{segment.name}/{name}" for segment in segments for name in segment.files)]


def _old(folder: Path, values: dict[str, Any]) -> list[str]:
    """Of a database of version 1, some of whose files may have other names."""
    names = ["grids.npy", "images.json", *(name for what, held in _OLD.items() if values.get(what) for name in held)]
    moved = values.get("files")
    found = [moved.get(name, name) if isinstance(moved, dict) else name for name in names]
    if wrong := [name for name in found if not isinstance(name, str) or not _PLAIN.fullmatch(name)]:
        raise DatabaseError(f"{folder / MANIFEST}: got file {wrong[0]!r:.80}, expected a plain name; copy it again")
    return found
