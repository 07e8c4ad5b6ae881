"""What a build has to know of its model, kept in its folder, so that only those who encode load it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ...backends.protocol import Backend
from ...codebook import Codebook
from ...types import DatabaseError, Grid
from ..files import json_bytes, read_json, replace_file
from ..segments.database import read_codebook as read
from ..segments.writer import write_codebook

FOLDER: Final = "model"
_REMEDY: Final = "remove the folder and build again"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model.

    model, codebook: fingerprints; pixels: side of its pictures; captions: dimension of its caption vectors, or None.
    """

    name: str
    model: str
    codebook: str
    grid: Grid
    pixels: int
    captions: int | None
    caption_encoder: str


def facts_of(backend: Backend) -> Facts:
    """What a model says of itself."""
    captions = backend.embed_captions(["a"]).shape[1] if backend.caption_encoder else None
    codebook = backend.codebook.fingerprint
    grid, encoder = backend.grid, backend.caption_encoder
    return Facts(backend.name, backend.fingerprint, codebook, grid, backend.pixels, captions, encoder)


def write_facts(folder: Path, backend: Backend) -> None:
    """Keep what is to be known of a model in the folder of a build."""
    place = folder / FOLDER
    write_codebook(place, backend.codebook)
    replace_file(place / "facts.json", lambda file: file.write(json_bytes(asdict(facts_of(backend)))))


def read_facts(folder: Path) -> Facts:
    """What `write_facts` has kept; DatabaseError when it is damaged."""
    path = folder / FOLDER / "facts.json"
    values = read_json(path)
    try:
        return Facts(**{**values, "grid": Grid(**values["grid"])})
    except (TypeError, KeyError) as error:
        raise DatabaseError(f"{path}: got {json.dumps(values)[:80]}, expected facts of a model; {_REMEDY}") from error


def read_codebook(folder: Path) -> Codebook:
    """The codebook of the model."""
    return read(folder / FOLDER, read_facts(folder).codebook)
