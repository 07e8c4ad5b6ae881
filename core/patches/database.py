"""The patch database: token grids of source images, and the exact search for what came next after a context.

Only token grids are stored; contexts, values and provenance all follow from them. The distance of two contexts is the
squared L2 of their concatenated code vectors, hence a sum of table look-ups: no key is ever stored as floats.
Contexts repeat, so the search runs over the unique ones, each with the list of its entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..context import Context, entry_places
from ..types import CodeArray, ConfigError, DatabaseError, FloatArray, Grid, IntArray, Neighbours
from .cache import Cache
from .files import read_folder, write_folder
from .index import (
    INDEX_KINDS,
    ContextIndex,
    choose_kind,
    entry_of_rank,
    ranges,
    run_of,
    table_sum,
    table_sums,
    tie_rank,
    within_kth,
)
from .protocol import ImageInfo
from .queries import Position, check_search, penalties, places_of
from .store import Store, make_store, read_only, sorted_entries

CACHED_NEIGHBOURS: Final = 1_000_000
"""How many neighbours (20 bytes each, and some 200 for each answer) one view remembers at most."""

AT_ONCE: Final = 1 << 20
"""Distances and numbers of tables that are computed at a time: 4 MB."""


class PatchDatabase:
    """An exact, immutable index over the patches of N images, or a view of some of them.

    Entry number = image * P + (number of the position among the P retrieving ones), always counted in the full
    database: provenance and traces stay valid in every view. Safe to share between threads.
    """

    def __init__(self, store: Store, images: IntArray, index: str | None = None) -> None:
        """Internal: use build, load, subset or with_styles. images: ascending numbers of those that the view holds."""
        if index is not None and index not in INDEX_KINDS:
            raise ConfigError(f"index: got {index!r}, expected one of {', '.join(INDEX_KINDS)}")
        self._store = store
        self.images: IntArray = read_only(images)
        self._kind = index
        context_of = store.context_of[:, images]
        packed = sorted_entries(context_of, images)
        starts = np.flatnonzero(np.diff(packed >> 32, prepend=-1))
        used = packed[starts] >> 32
        renumbered = np.empty(store.contexts.shape[1], np.int32)
        renumbered[used] = np.arange(len(used))
        self._contexts = np.ascontiguousarray(store.contexts[:, used])  # [n, U of this view]
        self._context_of = renumbered[context_of]  # [P, images of this view]
        self._entries = entry_of_rank(packed & 0xFFFFFFFF).astype(np.int32)  # [E], by context, then by tie rank
        self._starts = starts  # [U], where the entries of each context begin
        self._counts = np.diff(starts, append=len(packed))  # [U]
        self.index_kind = index or choose_kind(len(starts))
        self._cache = Cache(CACHED_NEIGHBOURS)

    @cached_property
    def _index(self) -> ContextIndex:
        """Made at the first search: most runs search a view of a few images alone, and need no faiss for it."""
        return INDEX_KINDS[self.index_kind](self._store.codebook, self._contexts)

    @classmethod
    def build(
        cls,
        codebook: Codebook,
        grids: npt.NDArray[np.integer],
        metadata: Sequence[ImageInfo],
        context: Context | None = None,
        captions: npt.NDArray[np.floating] | None = None,
        pictures: Sequence[bytes] | None = None,
        index: str | None = None,
        caption_encoder: str = "",
    ) -> PatchDatabase:
        """Database of token grids [N, H, W] with the metadata of each image.

        captions: unit vectors [N, E] for the caption filter; pictures: one encoded image (e.g. webp) each, b"" for
        none; index: a name of INDEX_KINDS instead of the choice by size (also for load); caption_encoder: hash of what
        made the captions (`Backend.caption_encoder`), "" when that is not known. Raises DatabaseError when they do not
        fit together.
        """
        bytes_of = pictures or [b""] * len(metadata)
        offsets = np.cumsum([0, *map(len, bytes_of)], dtype=np.int64)
        joined = np.frombuffer(b"".join(bytes_of), np.uint8) if pictures else None
        half = None if captions is None else captions.astype(np.float16)
        store = make_store(
            codebook, context or Context(), np.array(grids), tuple(metadata), half, caption_encoder, joined, offsets
        )
        return cls(store, np.arange(len(grids)), index)

    @classmethod
    def load(cls, folder: Path, codebook: Codebook, index: str | None = None) -> PatchDatabase:
        """Open a saved database, memory-mapped; DatabaseError when damaged, of another version or another codebook."""
        store = read_folder(folder, codebook)
        return cls(store, np.arange(len(store.grids)), index)

    def save(self, folder: Path) -> None:
        """Write the images of this view as a database of their own; deterministic, replaces file by file.

        Raises DatabaseError for an empty view or a folder that cannot be written.
        """
        if len(self.images) == 0:
            raise DatabaseError("save: got a view of no images, expected at least one; choose some first")
        write_folder(folder, self._store, self.images)

    # -- what it holds ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of entries in this view."""
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes, without its codebook and what is remembered of searches."""
        store = self._store
        arrays = (
            store.grids, store.captions, store.pictures, store.picture_offsets, store.contexts, store.context_of,
            self._contexts, self._context_of, self._entries, self._starts, self._counts,
        )  # fmt: skip
        return sum(array.nbytes for array in arrays if array is not None)

    @property
    def context(self) -> Context:
        """Context kind of the keys."""
        return self._store.context

    @property
    def codebook(self) -> Codebook:
        """Codebook that the token grids refer to."""
        return self._store.codebook

    @property
    def grid(self) -> Grid:
        """Shape of every token grid."""
        return self._store.grid

    @property
    def grids(self) -> CodeArray:
        """Token grids [N, H, W] of the full database."""
        return self._store.grids

    @property
    def metadata(self) -> tuple[ImageInfo, ...]:
        """Metadata of the full database, by image number."""
        return self._store.metadata

    @property
    def styles(self) -> tuple[str, ...]:
        """Sorted style names of the images in this view."""
        return tuple(sorted({self._store.metadata[i].style for i in self.images}))

    @property
    def unique_contexts(self) -> int:
        """Number of different contexts among the entries of this view."""
        return len(self._starts)

    @property
    def repeated_contexts(self) -> int:
        """Number of contexts that more than one entry of this view has."""
        return int((self._counts > 1).sum())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that search results depend on, and of what is said of the images; not of their pictures.

        These are codebook, context kind, grids, captions with their vectors, styles, and images of the view.
        """
        shared = self._store.fingerprint.encode()
        return hashlib.sha256(shared + self.images.astype("<i8").tobytes()).hexdigest()[:16]

    @property
    def caption_encoder(self) -> str:
        """Hash of what the caption vectors were made with, "" when that is not known."""
        return self._store.caption_encoder

    @property
    def knows_images(self) -> bool:
        """All that is said of them."""
        return True

    @property
    def notice(self) -> str:
        """Answers are exact, and their sources are known."""
        return ""

    @property
    def unsupported_settings(self) -> Mapping[str, str]:
        """The caption filter, where there are no caption vectors."""
        return {} if self._store.captions is not None else {"caption_filter": "This database has no captions."}

    @property
    def can_return_all(self) -> bool:
        """Every entry can be asked for."""
        return True

    def image_info(self, image: int) -> ImageInfo:
        """What is known of a source image."""
        return self._store.metadata[image]

    def image_codes(self, image: int) -> CodeArray:
        """Token grid [H, W] of a source image."""
        return np.array(self._store.grids[image])

    def picture(self, image: int) -> bytes | None:
        """Encoded bytes of a source image, None when the database has none of it."""
        count = len(self._store.metadata)
        if not 0 <= image < count:
            raise ConfigError(f"image: got {image}, expected 0..{count - 1}")
        return self._store.picture(image)

    def provenance(self, entries: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Image numbers, rows and columns of entries; ConfigError for a number that is not an entry."""
        entries = np.asarray(entries, dtype=np.int64)
        self._check_entries(entries)
        return entry_places(self.context, self.grid, entries)

    def _check_entries(self, entries: IntArray) -> None:
        """Raise ConfigError unless these are numbers of entries of the full database."""
        total = len(self._store.metadata) * len(self._store.positions)
        if entries.size and not 0 <= entries.min() <= entries.max() < total:
            raise ConfigError(f"entries: got {entries.min()}..{entries.max()}, expected 0..{total - 1}")

    # -- views --------------------------------------------------------------------------------------------------------

    def subset(self, images: npt.ArrayLike) -> PatchDatabase:
        """View of some images, by their numbers in the full database; ConfigError when this view lacks one."""
        chosen = np.unique(np.asarray(images, dtype=np.int64))
        if len(missing := np.setdiff1d(chosen, self.images)):
            raise ConfigError(f"images: got {missing[0]}, which this view of {len(self.images)} images does not hold")
        return PatchDatabase(self._store, chosen, self._kind)

    def with_styles(self, styles: Sequence[str]) -> PatchDatabase:
        """View of the images in some art styles; no styles means all. ConfigError for a style that is not there."""
        if not styles:
            return self
        if unknown := sorted(set(styles) - set(self.styles)):
            raise ConfigError(f"styles: got {', '.join(unknown)}; expected some of {', '.join(self.styles)}")
        return self.subset([i for i in self.images if self._store.metadata[i].style in styles])

    def with_context(self, context: Context) -> PatchDatabase:
        """The same images looked up by another kind of context; entries are numbered anew."""
        s = self._store
        store = make_store(
            s.codebook, context, s.grids, s.metadata, s.captions, s.caption_encoder, s.pictures, s.picture_offsets
        )
        return PatchDatabase(store, self.images, self._kind)

    def __reduce__(self) -> tuple[type[PatchDatabase], tuple[Store, IntArray, str | None]]:
        """Sent to another process as what it is made from: it is indexed anew there."""
        return PatchDatabase, (self._store, self.images, self._kind)

    def joined(self, other: PatchDatabase) -> PatchDatabase:
        """The images of this view, then those of another one, as one database with the context of this one.

        Images and entries are numbered anew. DatabaseError when codebook, grid or caption vectors do not fit.
        """
        if (self.codebook.fingerprint, self.grid) != (other.codebook.fingerprint, other.grid):
            raise DatabaseError("joined: got databases of two codebooks or grids; build both with one tokenizer")
        both = [(view, view._store, view.images) for view in (self, other)]
        captions = [store.captions[images] for _, store, images in both if store.captions is not None]
        if len({vectors.shape[1] for vectors in captions}) > 1:
            raise DatabaseError("joined: got caption vectors of two dimensions; embed both with one model")
        encoders = {self.caption_encoder, other.caption_encoder}
        if len(captions) == 2 and len(encoders - {""}) == 2:
            raise DatabaseError("joined: got caption vectors of two encoders; embed both with one model")
        return PatchDatabase.build(
            self.codebook,
            np.concatenate([store.grids[images] for _, store, images in both]),
            [store.metadata[i] for _, store, images in both for i in images],
            self.context,
            np.concatenate(captions) if len(captions) == 2 else None,
            [view.picture(int(i)) or b"" for view, _, images in both for i in images],
            self._kind,
            encoders.pop() if len(encoders) == 1 else "",
        )

    def without(self, other: PatchDatabase) -> PatchDatabase:
        """View without the images of a caption and style that another database (or a view of one) holds as well."""
        there = {(info.caption, info.style) for info in (other.metadata[i] for i in other.images.tolist())}
        info = self._store.metadata
        return self.subset([i for i in self.images.tolist() if (info[i].caption, info[i].style) not in there])

    def caption_vectors(self, images: IntArray) -> FloatArray | None:
        """Unit vectors [N, E] of the captions of some images, rounded as they are stored; None without them."""
        captions = self._store.captions
        return None if captions is None else captions[images].astype(np.float32)

    def nearest_captions(self, vector: FloatArray, n: int) -> IntArray:
        """Numbers of the n images in this view whose captions are nearest to a unit vector [E], nearest first.

        Ties go to the lowest number; all images when n is larger, and for the zero vector, which is near to none of
        them more than to others. DatabaseError without caption vectors.
        """
        captions = self._store.captions
        if captions is None:
            raise DatabaseError("caption filter: got a database without caption vectors; rebuild it with captions")
        if vector.shape != captions.shape[1:]:
            raise ConfigError(f"caption vector: got shape {vector.shape}, expected {captions.shape[1:]}")
        if not vector.any():
            return self.images
        similarity = captions[self.images].astype(np.float32) @ vector.astype(np.float32)
        nearest: IntArray = self.images[np.argsort(-similarity, kind="stable")[:n]]
        return nearest

    # -- search -------------------------------------------------------------------------------------------------------

    def search(
        self, queries: IntArray, k: int, position: Position = None, position_weight: float = 0.0
    ) -> list[Neighbours]:
        """The k nearest entries (0: all) of every query [B, n] of context codes, ascending, ties by tie rank.

        position_weight w adds w * (drow^2 + dcol^2), measured from the raster `position` (one for all, or [B] one for
        each query), to every distance before the nearest are chosen. Several queries at once share what they can; each
        answer is that of the query alone. Raises ConfigError for codes or numbers outside of their range.
        """
        return self.search_within(queries, k, position, position_weight, np.full(len(queries), np.inf, np.float32))

    def search_within(
        self, queries: IntArray, k: int, position: Position, position_weight: float, bounds: FloatArray
    ) -> list[Neighbours]:
        """As `search`, when k entries are known to be at no more than bounds [B]: the same answers, sooner.

        Where a bound is 0 the answer is the entries of the query's own context, and nothing is searched.
        """
        check_search(self.context, self.codebook.size, self.grid, queries, k, position, position_weight)
        places = places_of(position, position_weight, len(queries))
        k, weight = min(k or len(self), len(self)), position_weight
        asked = np.asarray(queries, np.int64)
        names = [
            (query.tobytes(), k, place, weight if place is not None else 0.0)
            for query, place in zip(asked, places, strict=True)
        ]
        size = max(1, AT_ONCE // (asked.shape[1] * (self.codebook.size + 1) + len(self._starts)))

        def find(rows: list[int]) -> list[Neighbours]:
            found = list[Neighbours]()
            for first in range(0, len(rows), size):
                part = rows[first : first + size]
                found += self._find(asked[part], k, [places[row] for row in part], weight, bounds[part])
            return found

        return self._cache.answers(names, find)

    def nearest_of(
        self, query: IntArray, entries: IntArray, k: int, position: int | None = None, position_weight: float = 0.0
    ) -> Neighbours:
        """Of some entries [E], all different, the k first (0: all) in the order of `search` for one query [n].

        Distances are those of `search`, bit for bit. Entries of images outside of the view are left out. Raises
        ConfigError as `search`, and for a number that is not an entry of the full database.
        """
        check_search(self.context, self.codebook.size, self.grid, query[None], k, position, position_weight)
        self._check_entries(entries)
        images, slots = np.divmod(entries, len(self._store.positions))
        columns = np.searchsorted(self.images, images).clip(max=max(0, len(self.images) - 1))
        held = self.images[columns] == images if len(self.images) else np.zeros(len(entries), bool)
        contexts = self._contexts[:, self._context_of[slots[held], columns[held]]]
        distances = table_sum(self._store.tables.of(np.asarray(query, np.int64)), contexts)
        if position is not None and position_weight > 0:
            distances += penalties(self.context, self.grid, position, position_weight)[slots[held]]
        return self._neighbours([len(distances)], distances, entries[held], k or len(entries))[0]

    def _find(
        self, queries: IntArray, k: int, places: Sequence[int | None], weight: float, bounds: FloatArray
    ) -> list[Neighbours]:
        """Search without the cache; k is at most the number of entries, and k of them are within each bound."""
        if k == 0:
            return self._neighbours([0] * len(queries), np.zeros(0, np.float32), np.zeros(0, np.int64), 0)
        tables = self._store.tables.of(queries)
        if places[0] is not None:
            asked = zip(table_sums(tables, self._contexts), places, bounds, strict=True)
            return [self._nearest_placed(d, k, int(place or 0), weight, bound) for d, place, bound in asked]
        if bounds.all():
            return self._nearest(queries, tables, k, bounds)
        named = (self._named(*asked, k) for asked in zip(queries, tables, bounds, strict=True))
        rows = (slice(row, row + 1) for row in range(len(queries)))
        return [
            near or self._nearest(queries[row], tables[row], k, bounds[row])[0]
            for near, row in zip(named, rows, strict=True)
        ]

    def _named(self, query: IntArray, tables: FloatArray, bound: float, k: int) -> Neighbours | None:
        """The k first entries of the query's own context, where the bound is 0; None where it has fewer."""
        if bound != 0 or not _only_itself_is_at_zero(tables):
            return None
        codes = np.where(query < 0, self.codebook.size, query).astype(np.uint16)
        first, end = run_of(self._contexts, codes)
        if first == end or self._counts[first] < k:
            return None
        start = self._starts[first]
        return self._neighbours([k], np.zeros(k, np.float32), self._entries[start : start + k], k)[0]

    def _nearest(self, queries: IntArray, tables: FloatArray, k: int, bounds: FloatArray) -> list[Neighbours]:
        """The k nearest of each query without a position."""
        rows, contexts, distances = self._index.nearest(queries, tables, min(k, len(self._starts)), bounds)
        counts = np.minimum(self._counts[contexts], k)  # a context's entries stand by tie rank: only its first k count
        entries = self._entries[ranges(self._starts[contexts], counts)]
        sizes = np.bincount(rows, counts, minlength=len(queries)).astype(np.int64).tolist()
        return self._neighbours(sizes, np.repeat(distances, counts), entries, k)

    def _nearest_placed(self, distances: FloatArray, k: int, place: int, weight: float, bound: float) -> Neighbours:
        """The same for the distances [U] of all contexts, when every entry pays the penalty of its position.

        Distances are not negative: positions that cost more than the k-th total at the cheapest positions are out, or,
        where that is known, more than the bound.
        """
        paid = penalties(self.context, self.grid, place, weight)
        if bound == np.inf:
            cheapest = np.argsort(paid)[: 8 + -(-k // len(self.images))]
            totals = distances[self._context_of[cheapest]] + paid[cheapest, None]
            bound = np.partition(totals, k - 1, axis=None)[k - 1]
        slots = np.flatnonzero(paid <= bound)
        totals = distances[self._context_of[slots]] + paid[slots, None]
        near = within_kth(totals.ravel(), k)
        rows, columns = np.divmod(near, len(self.images))
        entries = self.images[columns] * len(self._store.positions) + slots[rows]
        return self._neighbours([len(near)], totals.ravel()[near], entries, k)[0]

    def _neighbours(
        self, sizes: Sequence[int], distances: FloatArray, entries: npt.NDArray[np.integer], k: int
    ) -> list[Neighbours]:
        """The k first by distance, then tie rank, of each run of that many entries; read-only, because shared.

        The bits of floats >= 0 order as the floats do, so one sort of (distance bits, rank) pairs does it.
        """
        packed = distances.view(np.int32).astype(np.int64) << 32 | tie_rank(entries.astype(np.int64))
        first = [np.sort(packed[end - size : end])[:k] for size, end in zip(sizes, accumulate(sizes), strict=True)]
        joined = first[0] if len(first) == 1 else np.concatenate(first)
        chosen = entry_of_rank(joined & 0xFFFFFFFF)
        images, slots = np.divmod(chosen, len(self._store.positions))
        codes = self._store.grids.reshape(len(self._store.grids), -1)[images, self._store.positions[slots]]
        arrays = codes.astype(np.int64), (joined >> 32).astype(np.int32).view(np.float32), chosen
        ends = list(accumulate(map(len, first)))
        parts = [slice(end - len(part), end) for part, end in zip(first, ends, strict=True)]
        return [Neighbours(*(read_only(array[part].copy()) for array in arrays)) for part in parts]


def _only_itself_is_at_zero(tables: FloatArray) -> bool:
    """Whether each query code is the only one at distance 0 of itself in tables [n, V + 1]: vectors may be alike."""
    return bool(((tables == 0).sum(axis=1) == 1).all())
