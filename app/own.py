"""Pictures that visitors bring: checked, made square, encoded, and held in databases that only their owner reaches."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from app import pictures
from app.pictures import RGB
from core.backends.protocol import Backend, never
from core.context import Context
from core.inputs.captions import caption_of_name
from core.inputs.picture import effort
from core.patches.database import PatchDatabase
from core.patches.protocol import Database, ImageInfo
from core.types import CodeArray, ConfigError

MAX_PICTURES: Final = 200
MAX_BYTES: Final = 10 * 2**20
"""Of one file; larger ones are refused before anything is decoded."""

MAX_PIXELS: Final = 1000 * 10**6
"""Of all files together, see `effort`; a million takes about 15 ms."""

MAX_NAME: Final = 80
BYTES_KEPT: Final = 512 * 2**20
"""Of all visitors together; who comes when it is full is refused: nobody's pictures make room for those of another."""

JOINED_KEPT: Final = 8
"""How many databases of own pictures beside the embedded ones stay in memory: 36 MB each, made again in 0.2 s."""

YOURS, BOTH = "yours", "both"
STYLE = "yours"
CONTEXT = Context(radius=2, border="zero")
"""How own pictures are looked up: a long memory, which few pictures need, and an answer at the edges as well."""

BATCH = 8
NAMED = 5


Slice = TypeVar("Slice")


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


class Stopped(ConfigError):
    """The visitor has stopped it, or is gone."""

    def __init__(self) -> None:
        super().__init__("Stopped: no picture was taken.")


def read_pictures(
    paths: Sequence[Path], pixels: int, stopped: Callable[[], bool] = never
) -> Iterator[Progress | Brought]:
    """Progress, then everything that can be taken of a visitor's files; ConfigError when that is nothing.

    stopped: asked before every file; Stopped once it says so.
    """
    captions: list[str] = []
    images: list[RGB] = []
    refused: list[str] = []
    left = MAX_PIXELS
    for number, path in enumerate(paths):
        if stopped():
            raise Stopped
        if number % BATCH == 0:
            yield Progress("Reading", number, len(paths))
        name = path.name[:MAX_NAME]
        try:
            if len(images) == MAX_PICTURES:
                raise ConfigError(f"{name}: got more than {MAX_PICTURES} pictures, the most at once")
            data = read_file(path)
            if (needed := effort(data)) > left:
                raise ConfigError(
                    f"{name}: got more than {MAX_PIXELS // 10**6} million pixels to decode in all; make them smaller"
                )
            left -= needed
            images.append(pictures.opened(data, name, pixels))
            captions.append(caption_of_name(path.stem))
        except ConfigError as error:
            refused.append(str(error))
    if not images:
        reasons = "\n".join(by_reason(refused)) or "Got no file."
        raise ConfigError(f"No picture was taken.\n{reasons}")
    yield Brought(tuple(captions), tuple(images), tuple(refused))


def read_picture(path: Path, pixels: int) -> RGB:
    """One picture [pixels, pixels, 3]: upright, on white, padded to a square; ConfigError for anything else."""
    return pictures.opened(read_file(path), path.name[:MAX_NAME], pixels)


def read_file(path: Path) -> bytes:
    """What is in a visitor's file; ConfigError for one that is too large, or not there."""
    name = path.name[:MAX_NAME]
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ConfigError(f"{name}: got {size / 2**20:.1f} MB, expected at most {MAX_BYTES >> 20}; make it smaller")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read ({error.strerror}); choose another") from None


def encode(
    backend: Backend, images: Sequence[RGB], stopped: Callable[[], bool] = never
) -> Iterator[Progress | CodeArray]:
    """Progress after every few pictures, then their token grids [N, H, W]; stopped: as `read_pictures` has it."""
    grids = []
    for start in range(0, len(images), BATCH):
        if stopped():
            raise Stopped
        yield Progress("Encoding", start, len(images))
        grids.append(backend.encode_images(np.stack(images[start : start + BATCH])))
    if stopped():
        raise Stopped
    yield np.concatenate(grids)


def in_turns(steps: Iterator[Slice], turn: threading.Lock) -> Iterator[Slice]:
    """Some work, slice by slice: everybody who shares a turn does one of theirs after the other."""
    while True:
        with turn:
            done = next(steps, None)
        if done is None:
            return
        yield done


def database_of(backend: Backend, brought: Brought, grids: CodeArray) -> PatchDatabase:
    """A visitor's pictures as a database."""
    return PatchDatabase.build(
        backend.codebook,
        grids,
        [ImageInfo(caption, STYLE, caption, "your pictures") for caption in brought.captions],
        CONTEXT,
        backend.embed_captions(brought.captions) if backend.caption_encoder else None,
        [pictures.encoded(image) for image in brought.images],
        caption_encoder=backend.caption_encoder,
    )


@dataclass(slots=True, eq=False)
class Turn:
    """What a visitor is bringing now: something newer, or leaving, ends it, and nothing of it is kept."""

    visitor: str
    over: bool = False


class Collections:
    """The databases of all visitors' own pictures; nobody reaches those of another.

    beside: the database that the pictures can be looked up together with, None without one.
    """

    def __init__(self, beside: PatchDatabase | None = None, bytes_kept: int = BYTES_KEPT) -> None:
        self._of: dict[str, PatchDatabase] = {}
        self._joined: OrderedDict[str, PatchDatabase] = OrderedDict()
        self._turns: dict[str, Turn] = {}
        self._beside, self._bytes_kept = beside, bytes_kept
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Of the databases of all visitors."""
        with self._lock:
            return sum(one.nbytes for one in self._of.values())

    def begin(self, visitor: str) -> Turn:
        """A visitor begins to bring pictures; what they were bringing before is over."""
        with self._lock:
            self._end(visitor)
            turn = self._turns[visitor] = Turn(visitor)
            return turn

    def _end(self, visitor: str) -> None:
        if turn := self._turns.pop(visitor, None):
            turn.over = True

    def keep(self, turn: Turn, database: PatchDatabase) -> None:
        """Take the place of what the visitor brought before; Stopped when that is over, ConfigError without room."""
        with self._lock:
            if turn.over:
                raise Stopped
            self._end(turn.visitor)
            others = sum(one.nbytes for visitor, one in self._of.items() if visitor != turn.visitor)
            if others + database.nbytes > self._bytes_kept:
                raise ConfigError(
                    "Pictures of so many others are here that there is no room for yours. Try again in some minutes."
                )
            self._of[turn.visitor] = database
            self._joined.pop(turn.visitor, None)

    def names(self, visitor: str) -> tuple[str, ...]:
        """What the visitor's databases are called; none before there are pictures."""
        with self._lock:
            if visitor not in self._of:
                return ()
        return (YOURS,) if self._beside is None else (YOURS, BOTH)

    def database(self, visitor: str, name: str) -> PatchDatabase | None:
        """One of the visitor's databases; None when it is not here."""
        with self._lock:
            yours = self._of.get(visitor)
            if name != BOTH or yours is None or self._beside is None:
                return yours if name == YOURS else None
            if visitor in self._joined:
                self._joined.move_to_end(visitor)
                return self._joined[visitor]
        joined = yours.joined(self._beside)
        with self._lock:
            if self._of.get(visitor) is yours:
                self._joined[visitor] = joined
                while len(self._joined) > JOINED_KEPT:
                    self._joined.popitem(last=False)
        return joined

    def databases(self, visitor: str) -> Reached:
        """The visitor's databases by name; none of them before there are pictures."""
        return Reached({}, self, visitor)

    def forget(self, visitor: str) -> None:
        """Drop everything of a visitor, and what they are bringing now."""
        with self._lock:
            self._end(visitor)
            self._of.pop(visitor, None)
            self._joined.pop(visitor, None)


class Reached(Mapping[str, Database]):
    """The databases that a visitor reaches, by name: those of all, then those of their own pictures.

    One of their own is found, or made, when it is asked for: most events need its name alone.
    """

    def __init__(self, shared: Mapping[str, Database], own: Collections, visitor: str) -> None:
        self._shared, self._own, self._visitor = shared, own, visitor

    def __getitem__(self, name: str) -> Database:
        found = self._shared[name] if name in self._shared else self._own.database(self._visitor, name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._shared or name in self._own.names(self._visitor)

    def __iter__(self) -> Iterator[str]:
        return iter((*self._shared, *self._own.names(self._visitor)))

    def __len__(self) -> int:
        return len(self._shared) + len(self._own.names(self._visitor))
