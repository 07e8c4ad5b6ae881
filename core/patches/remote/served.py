"""What a database answers to those who search it from elsewhere, whatever brings their calls: bytes in, bytes out."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from ... import __version__
from ...types import ArragError, CodeArray, IntArray, Neighbours
from ..protocol import Database
from ..segments.database import SegmentedDatabase
from .wire import PROTOCOL, Choice, Form, Refused, WireError, pack, pack_found, ranges_of, text_array, text_of, unpack

FORMAT: Final = "ar-rag database server"
VIEWS_KEPT: Final = 64
SLICE: Final = 8
"""Queries that are searched at a time; between them it is asked whether there is time left."""

SEARCH: Final[Form] = {"said": ("|u1", 1), "queries": ("<i8", 2), "bounds": ("<f4", 1)}
"""bounds: for each query a distance beyond which nothing is wanted; none at all for no bounds."""

IMAGES: Final[Form] = {"images": ("<i8", 1)}
NEAREST: Final[Form] = {"said": ("|u1", 1), "vector": ("<f4", 1)}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may ask for. bytes: of a body; queries: of a search; neighbours: of all queries of a search
    together; images: of a call about images; seconds: that a call may take; at_once: calls that are worked on at the
    same time; waiting: calls that may wait for their turn."""

    bytes: int = 16 << 20
    queries: int = 1024
    neighbours: int = 1 << 20
    images: int = 1 << 20
    seconds: float = 30.0
    at_once: int = 4
    waiting: int = 64


KNOWN_AT_ONCE: Final = 1024
"""Images that a call may ask the grids or vectors of."""


Choose = Callable[[Database, Choice], Database]
"""Makes the view of a choice; ArragError when the database cannot."""


class Views:
    """The views of a database that somebody asks for, by the id of their choice; those asked longest ago go."""

    def __init__(self, database: Database, choose: Choose) -> None:
        self._database, self._choose = database, choose
        self._kept: OrderedDict[str, Database] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, choice: Choice) -> Database:
        """Make the view of a choice, and keep it; ArragError when the database cannot."""
        made = self._choose(self._database, choice)
        with self._lock:
            self._kept[choice.id] = made
            while len(self._kept) > VIEWS_KEPT:
                self._kept.popitem(last=False)
        return made

    def find(self, name: object) -> Database:
        """The view of that id, "" for all images; Refused, which asks for its choice, when it is not kept."""
        if name == "":
            return self._database
        with self._lock:
            if not isinstance(name, str) or name not in self._kept:
                raise Refused(409, "view: it is not known here (any more); send its choice again", "view")
            self._kept.move_to_end(name)
            return self._kept[name]


def chosen(database: Database, choice: Choice) -> Database:
    """The view of a choice."""
    images = choice.images
    found = database if images is None else database.subset(images)
    return found.with_styles(choice.styles) if choice.styles else found


class Served:
    """A database and the views of it that are asked for; safe to share between threads."""

    def __init__(self, database: Database, limits: Limits | None = None, choose: Choose | None = None) -> None:
        self.database, self.limits = database, limits or Limits()
        self._views = Views(database, choose or chosen)
        self._calls: Mapping[str, Callable[[bytes, float], bytes]] = {
            "describe": self._describe,
            "keep": self._keep,
            "search": self._search,
            "known": self._known,
            "picture": self._picture,
            "vectors": self._vectors,
            "nearest": self._nearest,
        }

    def answer(self, call: str, body: bytes, of: str = "", until: float = np.inf) -> bytes:
        """Do what a call asks for; Refused, with one line, for what cannot be done.

        of: fingerprint of the database that is meant, "" for whichever it is; until: when on `time.monotonic` there is
        no time left.
        """
        if call not in self._calls:
            raise Refused(404, f"call: got {call!r:.40}, expected one of {', '.join(self._calls)}")
        if of not in ("", self.database.fingerprint):
            raise Refused(410, f"another database ({self.database.fingerprint}) is served now; open it again")
        try:
            return self._calls[call](body, until)
        except WireError as error:
            raise Refused(400, str(error)) from None
        except ArragError as error:
            raise Refused(422, str(error), type(error).__name__) from None

    def _describe(self, body: bytes, until: float) -> bytes:
        """What a view, or all of it, is: the body is its id."""
        view = self._views.find(body.decode("ascii", "replace"))
        return pack(said=text_array(description(view, self.limits)), ranges=ranges_of(view.images))

    def _keep(self, body: bytes, until: float) -> bytes:
        """Make a view that other calls name: the body is its choice. Answers with its id."""
        choice = Choice.read(body)
        self._views.keep(choice)
        return choice.id.encode()

    def _search(self, body: bytes, until: float) -> bytes:
        """Neighbours of a batch of queries in a view."""
        arrays = unpack(body, SEARCH)
        said = self._said(arrays["said"], {"view", "k", "position", "weight"})
        queries, bounds = arrays["queries"], arrays["bounds"]
        view, k = self._views.find(said["view"]), said["k"]
        position, weight = said["position"], said["weight"]
        each = isinstance(position, list) and all(map(_whole, position))
        if not _whole(k) or not (position is None or _whole(position) or each) or not isinstance(weight, float | int):
            raise WireError("search: got other values than numbers for k, position or weight, expected numbers")
        if len(bounds) not in (0, len(queries)):
            raise WireError(f"bounds: got {len(bounds)}, expected one for each of {len(queries)} queries, or none")
        if len(queries) > self.limits.queries:
            raise Refused(413, f"queries: got {len(queries)}, expected at most {self.limits.queries} in one call")
        if each and len(position) != len(queries):
            raise WireError(f"position: got {len(position)}, expected one for each of {len(queries)} queries")
        wanted = max(1, len(queries)) * min(k or len(view), len(view))
        if wanted > self.limits.neighbours:
            least = f"expected at most {self.limits.neighbours:,} in one call"
            raise Refused(413, f"k: got {len(queries)} queries for {k or len(view):,} neighbours each, {least}")
        found: list[Neighbours] = []
        for first in range(0, max(1, len(queries)), SLICE):
            if time.monotonic() > until:
                raise Refused(504, f"search: got no answer in {self.limits.seconds:g} s; ask for fewer at once")
            part = slice(first, first + SLICE)
            place = np.array(position[part]) if each else position
            if len(bounds) and isinstance(view, SegmentedDatabase):
                found += view.search_within(queries[part], k, place, float(weight), bounds[part])
            else:
                found += view.search(queries[part], k, place, float(weight))
        return pack_found(found)

    def _known(self, body: bytes, until: float) -> bytes:
        """What is said of some images, and their token grids; numbers that there are not are left out."""
        images = self._images(body, KNOWN_AT_ONCE)
        infos = [asdict(self.database.image_info(image)) for image in images.tolist()]
        grid = self.database.grid
        codes: CodeArray = np.zeros((len(images), grid.height, grid.width), np.uint16)
        for place, image in enumerate(images.tolist()):
            codes[place] = self.database.image_codes(image)
        return pack(images=images, infos=text_array(infos), codes=codes.astype("<u2"))

    def _picture(self, body: bytes, until: float) -> bytes:
        """The encoded picture of one image; an empty answer where there is none."""
        images = self._images(body, 1)
        return self.database.picture(int(images[0])) or b"" if len(images) else b""

    def _vectors(self, body: bytes, until: float) -> bytes:
        """Caption vectors of some images."""
        images = self._images(body, KNOWN_AT_ONCE)
        vectors = self.database.caption_vectors(images)
        return pack(vectors=np.zeros((0, 0), np.float32) if vectors is None else vectors.astype("<f4"))

    def _nearest(self, body: bytes, until: float) -> bytes:
        """Images of a view whose captions are nearest to a vector."""
        arrays = unpack(body, NEAREST)
        said = self._said(arrays["said"], {"view", "n"})
        view, n = self._views.find(said["view"]), said["n"]
        if not _whole(n) or n < 0:
            raise WireError("nearest: got no number of images, expected one")
        if min(n, len(view.images)) > self.limits.images:
            raise Refused(413, f"n: got {n:,}, expected at most {self.limits.images:,} images in one call")
        found = view.nearest_captions(arrays["vector"], n)
        if len(found) > self.limits.images:
            raise Refused(413, f"n: got all {len(found):,} images, expected at most {self.limits.images:,} in one call")
        return pack(images=found.astype("<i8"))

    def _images(self, body: bytes, most: int) -> IntArray:
        """Numbers of images of the database, as a call has them; those that there are not are left out."""
        images: IntArray = unpack(body, IMAGES)["images"]
        if len(images) > most:
            raise Refused(413, f"images: got {len(images)}, expected at most {most} in one call")
        there = self.database.images
        places = np.searchsorted(there, images)
        inside = places < len(there)
        inside[inside] = there[places[inside]] == images[inside]
        return images[inside]

    def _said(self, array: Any, names: set[str]) -> dict[str, Any]:
        """The JSON object of a call with exactly these names."""
        said = text_of(array)
        if not isinstance(said, dict) or set(said) != names:
            raise WireError(f"call: got other values, expected {', '.join(sorted(names))}")
        return said


def description(view: Database, limits: Limits) -> dict[str, Any]:
    """What a client has to know of a view before it searches it."""
    vectors = view.caption_vectors(view.images[:1]) if len(view.images) else None
    return {
        "format": FORMAT,
        "protocol": PROTOCOL,
        "version": __version__,
        "codebook": view.codebook.fingerprint,
        "grid": asdict(view.grid),
        "context": asdict(view.context),
        "fingerprint": view.fingerprint,
        "entries": len(view),
        "styles": view.styles,
        "style_counts": style_counts(view),
        "captions": None if vectors is None else int(vectors.shape[1]),
        "caption_encoder": view.caption_encoder,
        "knows_images": view.knows_images,
        "notice": view.notice,
        "unsupported_settings": dict(view.unsupported_settings),
        "can_return_all": view.can_return_all and len(view) <= limits.neighbours,
        "queries": limits.queries,
        "neighbours": limits.neighbours,
        "images": limits.images,
    }


def style_counts(view: Database) -> dict[str, int]:
    """How many images of a view have each style."""
    if isinstance(view, SegmentedDatabase):
        return dict(view.style_counts)
    return dict(Counter(view.image_info(image).style for image in view.images.tolist()))


def _whole(value: object) -> bool:
    """Whether a value of JSON is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)
