"""Real pictures that drawn ones are compared with: of a database, of held-out sides, or of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from ..backends.protocol import Backend
from ..inputs.formats import PictureError
from ..inputs.picture import open_picture
from ..patches.building.sources import has_picture_suffix
from ..patches.catalogue import check_name, find_database
from ..patches.files import MANIFEST
from ..patches.protocol import Database
from ..types import CodeArray, ConfigError
from .given import folder_of, read_shot
from .held import pictures_of, sides_of, spread
from .suite import Pixels

Shot = Pixels | str
"""A picture [side, side, 3], or why there is none."""


class Real(Protocol):
    """Some real pictures under one name."""

    @property
    def name(self) -> str:
        """What they are called in rows and tables."""
        ...

    @property
    def note(self) -> str:
        """Which they are, in a sentence."""
        ...

    def __len__(self) -> int: ...

    def read(self, number: int) -> Shot:
        """One of them."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """Pictures that a database keeps, of the images with these numbers, in squares of `side` pixels."""

    name: str
    note: str
    database: Database
    images: Sequence[int]
    side: int

    def __len__(self) -> int:
        return len(self.images)

    def read(self, number: int) -> Shot:
        """From its bytes."""
        image = self.images[number]
        encoded = self.database.picture(image)
        if not encoded:
            return f"image {image} has no picture"
        try:
            return open_picture(encoded, f"image {image}", self.side).padded(self.side)
        except PictureError as error:
            return str(error)


@dataclass(frozen=True, slots=True)
class Restored:
    """What the model's tokenizer makes of token grids [N, h, w]: the best that it could draw."""

    name: str
    note: str
    backend: Backend
    grids: CodeArray

    def __len__(self) -> int:
        return len(self.grids)

    def read(self, number: int) -> Shot:
        """From its codes."""
        pixels: Pixels = self.backend.decode_codes(self.grids[number : number + 1])[0]
        return pixels


@dataclass(frozen=True, slots=True)
class InFolder:
    """Picture files, in squares of `side` pixels."""

    name: str
    note: str
    paths: Sequence[Path]
    side: int

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, number: int) -> Shot:
        """From its file."""
        found = read_shot(self.paths[number])
        if isinstance(found, str) or found.shape[:2] == (self.side, self.side):
            return found
        return np.asarray(Image.fromarray(found).resize((self.side, self.side), Image.Resampling.LANCZOS))


def of_database(backend: Backend, database: Database, count: int, without: Sequence[int] = ()) -> Real:
    """`count` pictures spread over a database; without: images that are left out, as prompts ask for them."""
    left = [image for image in database.images.tolist() if image not in set(without)]
    images = [left[place] for place in spread(len(left), count)]
    kept = [image for image in images if database.picture(image)]
    if kept:
        note = f"{len(kept)} pictures of the database, none of which the prompts ask for"
        return Kept("database", note, database, kept, backend.pixels)
    note = f"{len(images)} images of the database, which keeps no pictures, as the tokenizer restores them"
    return Restored("database", note, backend, grids_of(backend, database, images))


def held_out(backend: Backend, given: str, count: int) -> Real | None:
    """`count` held-out pictures, of a database that is given or of those that ship; None where neither fits.

    Those that ship are token grids alone: they are shown as the tokenizer restores them.
    """
    try:
        sides = sides_of(backend, {"given": given} if given else {})
    except ConfigError:
        if given:
            raise
        return None
    found = [picture for side in pictures_of(sides).values() for picture in side]
    chosen = [found[place] for place in spread(len(found), count)]
    if not chosen:
        return None
    note = f"{len(chosen)} held-out pictures that the model has not learned from, as the tokenizer restores them"
    return Restored("held-out", note, backend, np.stack([picture.codes for picture in chosen]))


def given_reference(backend: Backend, place: str, count: int) -> Real:
    """`count` pictures of a folder, or of a database by its name; ConfigError where there are none."""
    if not Path(place).is_dir() or (Path(place) / MANIFEST).is_file():
        check_name(place)
        return of_database(backend, find_database(place, backend), count)
    folder = folder_of(place, "reference")
    paths = sorted(path for path in folder.rglob("*") if has_picture_suffix(path.name))
    if not paths:
        raise ConfigError(f"reference: got {place!r:.200} without pictures, expected some")
    chosen = [paths[number] for number in spread(len(paths), count)]
    note = f"{len(chosen)} pictures of the folder {folder.name}, stretched to {backend.pixels} pixels a side"
    return InFolder("reference", note, chosen, backend.pixels)


def restored(backend: Backend, database: Database, images: Sequence[int]) -> Real:
    """The very pictures that prompts ask for, as the tokenizer restores them: what a perfect model would draw."""
    note = f"{len(images)} pictures that the prompts ask for, as the tokenizer restores them"
    return Restored("reconstruction", note, backend, grids_of(backend, database, images))


def grids_of(backend: Backend, database: Database, images: Sequence[int]) -> CodeArray:
    """Token grids [N, h, w] of images."""
    grid = backend.grid
    found = [database.image_codes(image) for image in images]
    return np.array(found, np.uint16).reshape(len(images), grid.height, grid.width)
