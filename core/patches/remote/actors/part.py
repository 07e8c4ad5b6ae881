"""What one actor of a database on Ray does: it maps the files of its part itself, and searches that."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ....codebook import Codebook
from ....types import ArragError, ConfigError, DatabaseError, IntArray
from ...catalogue import is_segmented, manifest_of
from ...database import PatchDatabase
from ...protocol import Database
from ...segments.database import SegmentedDatabase
from ...segments.manifest import read_manifest
from ..served import Served, chosen
from ..wire import Choice, Refused, numbers_of, ranges_of

Ranges = tuple[tuple[int, int], ...]
"""Of image numbers, each from the first to behind the last."""


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a database: its images, and the names of its segments, none for a database without."""

    ranges: Ranges
    segments: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """How many images."""
        return sum(end - first for first, end in self.ranges)


@dataclass(frozen=True, slots=True)
class Hello:
    """What an actor says of itself. shares: of all parts; place: machine and process it runs in; failed: why it cannot
    answer, "" when it can."""

    part: int
    shares: tuple[Share, ...]
    fingerprint: str
    place: str
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call, or, with a status other than 200, why there is none; see `wire.Refused`."""

    data: bytes = b""
    status: int = 200
    reason: str = ""
    kind: str = ""


def shares_of(folder: Path, parts: int) -> tuple[Share, ...]:
    """A database cut into so many parts, or fewer where it has fewer segments; DatabaseError for a folder of another
    kind."""
    if is_segmented(str(folder)):
        return _by_segments(folder, parts)
    images = (manifest_of(str(folder)) or {}).get("images")
    if not isinstance(images, int) or images < 1:
        raise DatabaseError(f"{folder}: got no database of token grids, expected one; see `database build`")
    ends = np.linspace(0, images, min(parts, images) + 1).astype(int).tolist()
    return tuple(Share(((first, end),)) for first, end in pairwise(ends))


def _by_segments(folder: Path, parts: int) -> tuple[Share, ...]:
    """Runs of segments with about equally many images."""
    records = read_manifest(folder).segments
    ends = np.cumsum([record.images for record in records])
    owner = np.minimum((ends - 1) * parts // max(1, int(ends[-1])), parts - 1)
    shares = []
    for part in np.unique(owner).tolist():
        own = np.flatnonzero(owner == part)
        first, end = int(ends[own[0]] - records[own[0]].images), int(ends[own[-1]])
        shares.append(Share(((first, end),), tuple(records[n].name for n in own)))
    return tuple(shares)


class Part:
    """An actor. Opening is tried again at every call as long as it fails, as on a machine that has not got the folder
    yet."""

    def __init__(self, folder: str, codebook: Codebook | None, part: int, parts: int) -> None:
        self._folder, self._codebook, self._part, self._parts = Path(folder), codebook, part, parts
        self._lock = threading.Lock()
        self._opened: tuple[tuple[Share, ...], Served, Served] | None = None

    def hello(self) -> Hello:
        """Open the database unless it is open, and say what this is."""
        place = f"{socket.gethostname()}:{os.getpid()}"
        try:
            shares, whole, _ = self._open()
        except ArragError as error:
            return Hello(self._part, (), "", place, " ".join(str(error).split()))
        return Hello(self._part, shares, whole.database.fingerprint, place)

    def answer(self, call: str, body: bytes, of: str, choice: bytes = b"") -> Answer:
        """As `Served.answer`, of the whole database, but a search is in this part alone.

        choice: that of the view that is searched, when it may not be known here.
        """
        try:
            _, whole, part = self._open()
            if call != "search":
                if choice:
                    whole.answer("keep", choice)
                return Answer(whole.answer(call, body, of))
            if of != whole.database.fingerprint:
                whole.answer("describe", b"", of)
            if choice:
                part.answer("keep", choice)
            return Answer(part.answer(call, body))
        except Refused as refused:
            return Answer(b"", refused.status, refused.reason, refused.kind)
        except ArragError as error:
            return Answer(b"", 503, str(error))

    def _open(self) -> tuple[tuple[Share, ...], Served, Served]:
        """Parts of the database, all of it, and this part of it."""
        with self._lock:
            if self._opened is None:
                shares = shares_of(self._folder, self._parts)
                if self._part >= len(shares):
                    raise DatabaseError(f"{self._folder}: got {len(shares)} parts, expected more; serve it anew")
                whole, part = opened(self._folder, self._codebook, shares, self._part)
                part.search(np.zeros((1, part.context.size), np.int64), 1)  # which makes its index
                self._opened = shares, Served(whole), Served(part, choose=chosen_there)
            return self._opened


def opened(folder: Path, codebook: Codebook | None, shares: Sequence[Share], part: int) -> tuple[Database, Database]:
    """A database and a part of it; ArragError where it cannot be opened."""
    share = shares[part]
    if share.segments:
        return SegmentedDatabase.open(folder, codebook), SegmentedDatabase.open(folder, codebook, share.segments)
    if codebook is None:
        raise ConfigError("codebook: got none, which a database of version 1 needs; give the model")
    whole = PatchDatabase.load(folder, codebook)
    return whole, whole.subset(numbers_of(np.array(share.ranges, np.int64)))


def chosen_there(database: Database, choice: Choice) -> Database:
    """What a part of a database has of a choice, which may be nothing."""
    images = choice.images
    found = database if images is None else database.subset(_common(images, database))
    own = [style for style in choice.styles if style in found.styles]
    if choice.styles and not own:
        return found.subset(np.zeros(0, np.int64))
    return chosen(found, Choice(None, tuple(own)))


def _common(images: IntArray, database: Database) -> IntArray:
    """Those of some images that a database has."""
    return images[np.isin(images, database.images, assume_unique=True)]


def overlap(ranges: Ranges, other: Ranges) -> int:
    """How many numbers two lists of ascending ranges have in common."""
    if not ranges or not other:
        return 0
    one, two = np.array(ranges, np.int64), np.array(other, np.int64)
    total = 0
    for first, end in two.tolist():
        total += int(np.clip(np.minimum(one[:, 1], end) - np.maximum(one[:, 0], first), 0, None).sum())
    return total


def ranges_in(images: IntArray) -> Ranges:
    """Ascending numbers as ranges."""
    return tuple((first, end) for first, end in ranges_of(images).tolist())
