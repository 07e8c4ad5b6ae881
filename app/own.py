"""Pictures that visitors bring: checked, made square, encoded, and held in databases that only their owner reaches."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from app import pictures
from app.pictures import RGB
from core.backends.protocol import Backend
from core.context import Context
from core.inputs.captions import caption_of_name
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.types import CodeArray, ConfigError

MAX_PICTURES: Final = 200
MAX_BYTES: Final = 10 * 2**20
"""Of one file; larger ones are refused before anything is decoded."""

MAX_NAME: Final = 80
VISITORS_KEPT: Final = 12
"""Whose pictures stay in memory (up to 60 MB each); those who came first make room."""

YOURS, BOTH = "yours", "both"
STYLE = "yours"
CONTEXT = Context(radius=2, border="zero")
"""How own pictures are looked up: a long memory, which few pictures need, and an answer at the edges as well."""

BATCH = 8
NAMED = 5


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading or encoding of a visitor's pictures has come."""

    doing: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Brought:
    """What came of a visitor's files.

    captions, images: of the pictures that were taken, the latter [pixels, pixels, 3]; refused: (file: reason).
    """

    captions: tuple[str, ...]
    images: tuple[RGB, ...]
    refused: tuple[str, ...]

    @property
    def message(self) -> str:
        """What happened, in a few lines."""
        count = len(self.images)
        lines = [f"{count} picture{'s are' if count != 1 else ' is'} in your database; file names are the captions."]
        return "\n".join([*lines, *by_reason(self.refused)])


def by_reason(refused: Sequence[str]) -> list[str]:
    """One line for each reason why files (file: reason) were refused, with their number and some names."""
    names: dict[str, list[str]] = {}
    for name, _, reason in (each.partition(": ") for each in refused):
        names.setdefault(reason, []).append(name)
    return [f"Refused {_listed(files)}: {reason}" for reason, files in names.items()]


def _listed(names: Sequence[str]) -> str:
    """One name, or the number of names and the first NAMED of them."""
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} files ({', '.join(names[:NAMED])}{more})"


def read_pictures(paths: Sequence[Path], pixels: int) -> Iterator[Progress | Brought]:
    """Progress, then everything that can be taken of a visitor's files; ConfigError when that is nothing."""
    captions: list[str] = []
    images: list[RGB] = []
    refused: list[str] = []
    for number, path in enumerate(paths):
        if number % BATCH == 0:
            yield Progress("Reading", number, len(paths))
        try:
            if len(images) == MAX_PICTURES:
                raise ConfigError(f"{path.name[:MAX_NAME]}: got more than {MAX_PICTURES} pictures, the most at once")
            images.append(read_picture(path, pixels))
            captions.append(caption_of_name(path.stem))
        except ConfigError as error:
            refused.append(str(error))
    if not images:
        reasons = "\n".join(by_reason(refused)) or "Got no file."
        raise ConfigError(f"No picture was taken.\n{reasons}")
    yield Brought(tuple(captions), tuple(images), tuple(refused))


def read_picture(path: Path, pixels: int) -> RGB:
    """One picture [pixels, pixels, 3]: upright, on white, padded to a square; ConfigError for anything else."""
    name = path.name[:MAX_NAME]
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ConfigError(f"{name}: got {size / 2**20:.1f} MB, expected at most {MAX_BYTES >> 20}; make it smaller")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read ({error.strerror}); choose another") from None
    return pictures.opened(data, name, pixels)


def encode(backend: Backend, images: Sequence[RGB]) -> Iterator[Progress | CodeArray]:
    """Progress after every few pictures, then their token grids [N, H, W]."""
    grids = []
    for start in range(0, len(images), BATCH):
        yield Progress("Encoding", start, len(images))
        grids.append(backend.encode_images(np.stack(images[start : start + BATCH])))
    yield np.concatenate(grids)


def databases_of(
    backend: Backend, brought: Brought, grids: CodeArray, embedded: PatchDatabase | None
) -> dict[str, PatchDatabase]:
    """A visitor's pictures as a database by the name "yours", and with the embedded one by the name "both"."""
    yours = PatchDatabase.build(
        backend.codebook,
        grids,
        [ImageInfo(caption, STYLE, caption, "your pictures") for caption in brought.captions],
        CONTEXT,
        backend.embed_captions(brought.captions) if backend.caption_encoder else None,
        [pictures.encoded(image) for image in brought.images],
        caption_encoder=backend.caption_encoder,
    )
    return {YOURS: yours} if embedded is None else {YOURS: yours, BOTH: yours.joined(embedded)}


class Collections:
    """The databases of all visitors' own pictures; nobody reaches those of another."""

    def __init__(self, visitors_kept: int = VISITORS_KEPT) -> None:
        self._of: OrderedDict[str, Mapping[str, PatchDatabase]] = OrderedDict()
        self._visitors_kept = visitors_kept
        self._lock = threading.Lock()

    def keep(self, visitor: str, databases: Mapping[str, PatchDatabase]) -> None:
        """Take the place of what the visitor brought before; who came first makes room."""
        with self._lock:
            self._of[visitor] = databases
            self._of.move_to_end(visitor)
            while len(self._of) > self._visitors_kept:
                self._of.popitem(last=False)

    def databases(self, visitor: str) -> Mapping[str, PatchDatabase]:
        """The visitor's databases by name; none of them before there are pictures, or when they had to make room."""
        with self._lock:
            return self._of.get(visitor, {})

    def forget(self, visitor: str) -> None:
        """Drop everything of a visitor."""
        with self._lock:
            self._of.pop(visitor, None)
