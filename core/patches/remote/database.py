"""A database on another machine, behind the same interface as one that is here: its answers are the same, bit by bit.

Where entries stand follows from their numbers, so that only searches and what is said of images are asked for. Answers
are remembered as by a database that is here, but none that a part of the database is missing from.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from ...codebook import Codebook
from ...context import Context, entry_places, retrieving_positions
from ...types import CodeArray, ConfigError, DatabaseError, FloatArray, Grid, IntArray, Neighbours
from ..cache import Cache
from ..protocol import ImageInfo
from ..queries import Position, check_search, places_of
from ..store import read_only
from .links import Link, link_to
from .served import FORMAT, KNOWN_AT_ONCE
from .wire import (
    PROTOCOL,
    Choice,
    Form,
    Refused,
    WireError,
    numbers_of,
    pack,
    text_array,
    text_of,
    unpack,
    unpack_found,
)

CACHED_NEIGHBOURS: Final = 250_000
BLOCK: Final = 32
"""Images with neighbouring numbers that are asked for together."""

BLOCKS_KEPT: Final = 256

NO_BOUNDS: Final = np.zeros(0, np.float32)
DESCRIBED: Final[Form] = {"said": ("|u1", 1), "ranges": ("<i8", 2)}
KNOWN: Final[Form] = {"images": ("<i8", 1), "infos": ("|u1", 1), "codes": ("<u2", 3)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a view of a database elsewhere; see `served.description`."""

    grid: Grid
    context: Context
    codebook: str
    fingerprint: str
    entries: int
    styles: tuple[str, ...]
    style_counts: Mapping[str, int]
    captions: int | None
    caption_encoder: str
    knows_images: bool
    notice: str
    unsupported_settings: Mapping[str, str]
    can_return_all: bool
    queries: int
    neighbours: int
    images: IntArray

    @classmethod
    def read(cls, data: bytes, where: str) -> Facts:
        """From an answer; DatabaseError for one of another version, or of something else."""
        try:
            arrays = unpack(data, DESCRIBED)
            said = text_of(arrays["said"])
            if not isinstance(said, dict) or said.get("format") != FORMAT:
                raise WireError("got the description of something else")
            if said.get("protocol") != PROTOCOL:
                got = f"got a server of version {said.get('version')!s:.20} (protocol {said.get('protocol')!s:.10})"
                raise DatabaseError(f"{where}: {got}, expected protocol {PROTOCOL}; run the same version on both sides")
            values = {field.name: said[field.name] for field in fields(cls) if field.name != "images"}
            values["grid"], values["context"] = Grid(**said["grid"]), Context(**said["context"])
            values["styles"] = tuple(said["styles"])
            return cls(**values, images=read_only(numbers_of(arrays["ranges"])))
        except (WireError, KeyError, TypeError, ValueError) as error:
            raise DatabaseError(
                f"{where}: {error}, expected `database serve` to answer there; check the address"
            ) from None


def open_remote(link: Link, codebook: Codebook, grid: Grid | None = None) -> RemoteDatabase:
    """The database that answers over a link; DatabaseError when nobody does, or for another codebook or grid."""
    facts = Facts.read(_answer(link, "describe", b""), link.where)
    if facts.codebook != codebook.fingerprint:
        got = f"got a database of codebook {facts.codebook:.80}, expected {codebook.fingerprint}"
        raise DatabaseError(f"{link.where}: {got}; serve one that was built with the tokenizer of this model")
    if grid is not None and facts.grid != grid:
        got = f"got token grids of {facts.grid.height} x {facts.grid.width}, expected {grid.height} x {grid.width}"
        raise DatabaseError(f"{link.where}: {got}; serve one that was built with this model")
    return RemoteDatabase(Shared(link, codebook, facts), Choice(), facts)


def _answer(link: Link, call: str, body: bytes, of: str = "") -> bytes:
    """What a call comes to; the error that a database here would raise, or DatabaseError for any other refusal."""
    try:
        return link.ask(call, body, of)
    except Refused as refused:
        raise _error(link, refused) from None


def _error(link: Link, refused: Refused) -> ConfigError | DatabaseError:
    """What a refusal is for who asked."""
    if refused.kind == "ConfigError":
        return ConfigError(refused.reason)
    return DatabaseError(refused.reason if refused.kind == "DatabaseError" else f"{link.where}: {refused.reason}")


def reopened(where: str, codebook: Codebook, choice: Choice) -> RemoteDatabase:
    """A view of the database at an address."""
    whole = open_remote(link_to(where), codebook)
    return whole if choice.whole else RemoteDatabase(whole._shared, choice)


class Shared:
    """What all views of one database elsewhere have in common: the link, and what was heard of images."""

    def __init__(self, link: Link, codebook: Codebook, whole: Facts) -> None:
        self.link, self.codebook, self.whole = link, codebook, whole
        self.positions = len(retrieving_positions(whole.context, whole.grid))
        self._blocks: OrderedDict[int, dict[int, tuple[ImageInfo, CodeArray]]] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, call: str, body: bytes) -> bytes:
        """See `_answer`."""
        return _answer(self.link, call, body, self.whole.fingerprint)

    def ask_of(self, choice: Choice, call: str, body: bytes) -> bytes:
        """The same for a call that names a view, whose choice is told when it is not known there."""
        try:
            return self.link.ask(call, body, self.whole.fingerprint)
        except Refused as refused:
            if refused.kind != "view":
                raise _error(self.link, refused) from None
        self.ask("keep", choice.said)
        return self.ask(call, body)

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Inside, answers are read: DatabaseError for one that is not of the form that it should have."""
        try:
            yield
        except WireError as error:
            raise DatabaseError(f"{self.link.where}: {error}; run the same version on both sides") from None

    def known(self, image: int) -> tuple[ImageInfo, CodeArray]:
        """What is said of an image, and its token grid [H, W]; ConfigError for a number that there is not."""
        number = image // BLOCK
        with self._lock:
            block = self._blocks.get(number)
        if block is None:
            block = self._asked(number)
            with self._lock:
                self._blocks[number] = block
                while len(self._blocks) > BLOCKS_KEPT:
                    self._blocks.popitem(last=False)
        if image not in block:
            raise ConfigError(f"image: got {image}, expected one of the {len(self.whole.images)} of {self.link.where}")
        return block[image]

    def _asked(self, number: int) -> dict[int, tuple[ImageInfo, CodeArray]]:
        """What is known of the images of a block."""
        images = np.arange(number * BLOCK, (number + 1) * BLOCK)
        with self.understood():
            arrays = unpack(self.ask("known", pack(images=images)), KNOWN)
            infos = text_of(arrays["infos"])
        names = {field.name for field in fields(ImageInfo)}
        found = [ImageInfo(**{name: str(info[name]) for name in names}) for info in infos]
        return {
            int(image): (info, codes.astype(np.uint16))
            for image, info, codes in zip(arrays["images"], found, arrays["codes"], strict=True)
        }


class RemoteDatabase:
    """A database elsewhere, or a view of some of its images. Safe to share between threads.

    What a view holds is asked for when it is needed, and what it is searched by is told when it is first searched.
    """

    def __init__(self, shared: Shared, choice: Choice, facts: Facts | None = None, images: IntArray | None = None):
        """Internal: use open_remote, subset or with_styles. facts, images: as far as they are known."""
        self._shared, self._choice, self._facts, self._images = shared, choice, facts, images
        self._cache = Cache(CACHED_NEIGHBOURS)

    def __reduce__(self) -> tuple[Callable[..., RemoteDatabase], tuple[str, Codebook, Choice]]:
        """Sent to another process as its address: it is opened anew there."""
        return reopened, (self.where, self.codebook, self._choice)

    # -- what it holds ------------------------------------------------------------------------------------------------

    @cached_property
    def facts(self) -> Facts:
        """What is known of this view there."""
        if self._facts is not None:
            return self._facts
        data = self._shared.ask_of(self._choice, "describe", self._choice.id.encode())
        return Facts.read(data, self._shared.link.where)

    @property
    def where(self) -> str:
        """Its address, for people."""
        return self._shared.link.where

    def __len__(self) -> int:
        """Number of entries in this view."""
        return self.facts.entries if self._choice.whole else len(self.images) * self._shared.positions

    @property
    def images(self) -> IntArray:
        """Numbers of the images of this view, ascending."""
        return self.facts.images if self._images is None else self._images

    @property
    def image_count(self) -> int:
        """Number of images in this view."""
        return len(self.images)

    @property
    def codebook(self) -> Codebook:
        """Codebook that the token grids refer to."""
        return self._shared.codebook

    @property
    def grid(self) -> Grid:
        """Shape of every token grid."""
        return self._shared.whole.grid

    @property
    def context(self) -> Context:
        """Context kind of the keys."""
        return self._shared.whole.context

    @property
    def fingerprint(self) -> str:
        """That of the view there."""
        return self.facts.fingerprint

    @property
    def styles(self) -> tuple[str, ...]:
        """Sorted style names of the images in this view."""
        return self.facts.styles

    @property
    def style_counts(self) -> Mapping[str, int]:
        """How many images of this view have each style, by name; "" for those without one."""
        return self.facts.style_counts

    @property
    def caption_encoder(self) -> str:
        """Hash of what the caption vectors were made with, "" when that is not known."""
        return self._shared.whole.caption_encoder

    @property
    def knows_images(self) -> bool:
        """Whether captions and whole token grids of its images are known there."""
        return self._shared.whole.knows_images

    @property
    def notice(self) -> str:
        """What a reader must know of the answers."""
        return self._shared.whole.notice

    @property
    def unsupported_settings(self) -> Mapping[str, str]:
        """The settings that it cannot search by: those of what is served, and whatever asks for more than searches."""
        return {
            **self._shared.whole.unsupported_settings,
            "follow": "Only databases on this machine can follow.",
        }

    @property
    def can_return_all(self) -> bool:
        """Whether all entries of this view may be asked for at once."""
        whole = self._shared.whole
        return whole.can_return_all or (self.knows_images and len(self) <= whole.neighbours)

    def image_info(self, image: int) -> ImageInfo:
        """What is known of a source image."""
        return self._shared.known(image)[0]

    def image_codes(self, image: int) -> CodeArray:
        """Token grid [H, W] of a source image."""
        codes: CodeArray = np.array(self._shared.known(image)[1])
        return codes

    def picture(self, image: int) -> bytes | None:
        """Encoded bytes of a source image, None when the database has none of it."""
        if not (self._shared.whole.images == image).any():
            count = len(self._shared.whole.images)
            raise ConfigError(f"image: got {image}, expected 0..{count - 1}")
        return self._shared.ask("picture", pack(images=np.array([image], np.int64))) or None

    def provenance(self, entries: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Image numbers, rows and columns of entries; ConfigError for a number that is not an entry."""
        entries, total = np.asarray(entries, dtype=np.int64), self._shared.whole.entries
        if entries.size and not 0 <= entries.min() <= entries.max() < total:
            raise ConfigError(f"entries: got {entries.min()}..{entries.max()}, expected 0..{total - 1}")
        return entry_places(self.context, self.grid, entries)

    # -- views --------------------------------------------------------------------------------------------------------

    def subset(self, images: npt.ArrayLike) -> RemoteDatabase:
        """View of some images, by their numbers in the full database; ConfigError when this view lacks one."""
        chosen = np.unique(np.asarray(images, dtype=np.int64))
        if len(missing := np.setdiff1d(chosen, self.images, assume_unique=True)):
            raise ConfigError(f"images: got {missing[0]}, which this view of {len(self.images)} images does not hold")
        return RemoteDatabase(self._shared, Choice.of(chosen), images=read_only(chosen))

    def with_styles(self, styles: Sequence[str]) -> RemoteDatabase:
        """View of the images in some art styles; no styles means all. ConfigError for a style that is not there."""
        if not styles:
            return self
        if unknown := sorted(set(styles) - set(self.styles)):
            if not self.styles and not self.knows_images:
                self._shared.ask("keep", self._choice.with_styles(styles).said)  # which says why that cannot be
            raise ConfigError(f"styles: got {', '.join(unknown)}; expected some of {', '.join(self.styles)}")
        return RemoteDatabase(self._shared, self._choice.with_styles(styles))

    def caption_vectors(self, images: IntArray) -> FloatArray | None:
        """Unit vectors [N, E] of the captions of some images, rounded as they are stored; None without them."""
        dimension = self._shared.whole.captions
        if dimension is None:
            return None
        images = np.asarray(images, np.int64)
        parts: list[FloatArray] = [np.zeros((0, dimension), np.float32)]
        for first in range(0, len(images), KNOWN_AT_ONCE):
            data = self._shared.ask("vectors", pack(images=images[first : first + KNOWN_AT_ONCE]))
            with self._shared.understood():
                parts.append(unpack(data, {"vectors": ("<f4", 2)})["vectors"])
        return np.concatenate(parts)

    def nearest_captions(self, vector: FloatArray, n: int) -> IntArray:
        """Numbers of the n images in this view whose captions are nearest to a unit vector [E], nearest first.

        Ties, the zero vector and errors as in a database that is here.
        """
        dimension = self._shared.whole.captions
        if dimension is not None and vector.shape == (dimension,) and not vector.any():
            return self.images
        said = text_array({"view": self._choice.id, "n": int(n)})
        body = pack(said=said, vector=np.asarray(vector, np.float32).reshape(-1))
        data = self._shared.ask_of(self._choice, "nearest", body)
        with self._shared.understood():
            return unpack(data, {"images": ("<i8", 1)})["images"]

    # -- search -------------------------------------------------------------------------------------------------------

    def search(
        self, queries: IntArray, k: int, position: Position = None, position_weight: float = 0.0
    ) -> list[Neighbours]:
        """The k nearest entries (0: all) of every query [B, n] of context codes, ascending, as they are found there.

        `Neighbours.lost` says which share of the images did not answer. Raises ConfigError for codes or numbers outside
        of their range, DatabaseError when nobody answers.
        """
        check_search(self.context, self.codebook.size, self.grid, queries, k, position, position_weight)
        if k == 0 and not self.can_return_all:
            most = self._shared.whole.neighbours
            raise ConfigError(
                f"n_neighbours: got 0, all {len(self):,} entries, expected at most {most:,} from elsewhere"
            )
        places = places_of(position, position_weight, len(queries))
        asked, weight = np.asarray(queries, np.int64), float(position_weight)
        names = [
            (query.tobytes(), k, place, weight if place is not None else 0.0)
            for query, place in zip(asked, places, strict=True)
        ]

        def find(rows: list[int]) -> list[Neighbours]:
            found = list[Neighbours]()
            for batch in self._batches(rows, k):
                found += self._asked(asked[batch], k, [places[row] for row in batch], weight)
            return found

        return self._cache.answers(names, find)

    def _batches(self, rows: list[int], k: int) -> list[list[int]]:
        """As many at a time as one call may ask for."""
        whole = self._shared.whole
        size = max(1, min(whole.queries, whole.neighbours // max(1, k or len(self))))
        return [rows[first : first + size] for first in range(0, len(rows), size)]

    def _asked(self, queries: IntArray, k: int, places: list[int | None], weight: float) -> list[Neighbours]:
        """The answers to some queries; one position that all of them have is sent as one number."""
        position = places[0] if len(set(places)) == 1 else places
        used = 0.0 if position is None else weight
        said = text_array({"view": self._choice.id, "k": int(k), "position": position, "weight": used})
        data = self._shared.ask_of(self._choice, "search", pack(said=said, queries=queries, bounds=NO_BOUNDS))
        with self._shared.understood():
            return unpack_found(data, len(queries))
