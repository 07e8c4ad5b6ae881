"""The patch database: token grids of source images, and the exact search for what came next after a context.

Only token grids are stored; contexts, values and provenance all follow from them. The distance of two contexts is the
squared L2 of their concatenated code vectors, hence a sum of table look-ups: no key is ever stored as floats.
Contexts repeat, so the search runs over the unique ones, each with the list of its entries.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from core.arrays import open_array, unreadable
from core.context import Context, context_codes, entry_places, retrieving_positions
from core.index import (
    INDEX_KINDS,
    choose_kind,
    distance_tables,
    entry_of_rank,
    ranges,
    table_sum,
    tie_rank,
    transposed_vectors,
    within_kth,
)
from core.tokenizer import Codebook
from core.types import CodeArray, ConfigError, DatabaseError, FloatArray, Grid, IntArray, Neighbours

FORMAT: Final = "ar-rag-loupe patch database"
VERSION: Final = 1
CACHED_NEIGHBOURS: Final = 1_000_000
"""How many neighbours (20 bytes each) one view remembers at most."""

UNIT_TOLERANCE: Final = 0.01
"""How far the length of a caption vector may be from 1; float16 alone makes it 0.0005."""

_LARGEST_JSON: Final = 64 << 20
OWNER: Final = "patch database"
REMEDY: Final = "copy it again"

Float16Array = npt.NDArray[np.float16]
ByteArray = npt.NDArray[np.uint8]
Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What is known of a source image; source names the collection or the file that it came from."""

    caption: str
    style: str = ""
    concept: str = ""
    source: str = ""


def check_caption_encoder(database: Database, encoder: str) -> None:
    """Raise DatabaseError when the caption vectors of a database were made by another encoder than this one."""
    made_by = database.caption_encoder
    if made_by and made_by != encoder:
        got = f"got a database whose captions were embedded by {made_by}, expected {encoder}"
        raise DatabaseError(f"caption_filter: {got}, as of this model; build it again, or set caption_filter to 0")


class Database(Protocol):
    """What decoding and traces need of a database; entry = image * P + number of the position, as in PatchDatabase."""

    @property
    def codebook(self) -> Codebook: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def context(self) -> Context: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def caption_encoder(self) -> str:
        """Hash of what its caption vectors were made with, "" when that is not known."""
        ...

    @property
    def styles(self) -> tuple[str, ...]: ...
    @property
    def images(self) -> IntArray: ...

    @property
    def notice(self) -> str:
        """What a reader must know of the answers, "" when there is nothing: they are exact, and sources are known."""
        ...

    @property
    def refuses(self) -> Mapping[str, str]:
        """The settings that it cannot search by, each with the reason; they must be 0 or empty."""
        ...

    @property
    def takes_all(self) -> bool:
        """Whether K may be 0, which looks up all entries."""
        ...

    def __len__(self) -> int: ...
    def with_styles(self, styles: Sequence[str]) -> Database: ...
    def subset(self, images: npt.ArrayLike) -> Database: ...
    def nearest_captions(self, vector: FloatArray, n: int) -> IntArray: ...
    def search(
        self, queries: IntArray, k: int, position: int | None = None, position_weight: float = 0.0
    ) -> list[Neighbours]: ...
    def provenance(self, entries: IntArray) -> tuple[IntArray, IntArray, IntArray]: ...
    def picture(self, image: int) -> bytes | None: ...
    def image_info(self, image: int) -> ImageInfo: ...
    def image_codes(self, image: int) -> CodeArray: ...


# ---------------------------------------------------------------------------------------------------------------------
# The database


@dataclass(frozen=True)
class _Store:
    """What all views of a database share: N images, P retrieving positions, U unique contexts of n codes."""

    codebook: Codebook
    context: Context
    grid: Grid
    vectors: FloatArray  # [d, V + 1], see transposed_vectors
    grids: CodeArray  # [N, H, W]
    metadata: tuple[ImageInfo, ...]  # [N]
    captions: Float16Array | None  # [N, E]
    caption_encoder: str  # what made the captions, "" when that is not known
    pictures: ByteArray | None  # the bytes of all pictures, one after the other
    picture_offsets: IntArray  # [N + 1]
    positions: IntArray  # [P]
    contexts: CodeArray  # [n, U]
    context_of: Int32Array  # [P, N]: number of the unique context at each position of each image

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that search and the caption and style filters depend on, and of what is said of the images."""
        said = [self.codebook.fingerprint, asdict(self.context), self.grids.shape, self.caption_encoder]
        digest = hashlib.sha256(json.dumps([said, [asdict(info) for info in self.metadata]]).encode())
        digest.update(self.grids.astype("<u2").tobytes())
        if self.captions is not None:
            digest.update(f"{self.captions.shape}".encode() + self.captions.astype("<f2").tobytes())
        return digest.hexdigest()


class PatchDatabase:
    """An exact, immutable index over the patches of N images, or a view of some of them.

    Entry number = image * P + (number of the position among the P retrieving ones), always counted in the full
    database: provenance and traces stay valid in every view. Safe to share between threads.
    """

    def __init__(self, store: _Store, images: IntArray, index: str | None = None) -> None:
        """Internal: use build, load, subset or with_styles. images: ascending numbers of those that the view holds."""
        if index is not None and index not in INDEX_KINDS:
            raise ConfigError(f"index: got {index!r}, expected one of {', '.join(INDEX_KINDS)}")
        self._store = store
        self.images: IntArray = _read_only(images)
        self._kind = index
        context_of = store.context_of[:, images]
        packed = _sorted_entries(context_of, images)
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
        self._index = INDEX_KINDS[self.index_kind](store.codebook, self._contexts)
        self._cache = _Cache(CACHED_NEIGHBOURS)

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
        store = _make_store(
            codebook, context or Context(), np.array(grids), tuple(metadata), half, caption_encoder, joined, offsets
        )
        return cls(store, np.arange(len(grids)), index)

    @classmethod
    def load(cls, folder: Path, codebook: Codebook, index: str | None = None) -> PatchDatabase:
        """Open a saved database, memory-mapped; DatabaseError when damaged, of another version or another codebook."""
        manifest = _read_manifest(folder, codebook)
        grids = _read_array(folder / "grids.npy", np.dtype("<u2"), (manifest.images, *manifest.grid))
        captions, pictures, offsets = None, None, np.zeros(manifest.images + 1, np.int64)
        if manifest.captions is not None:
            shape = (manifest.images, manifest.captions)
            captions = _read_array(folder / "captions.npy", np.dtype("<f2"), shape)
        if manifest.pictures:
            offsets = _read_array(folder / "picture_offsets.npy", np.dtype("<i8"), (manifest.images + 1,))
            pictures = _read_bytes(folder / "pictures.bin")
        metadata = _read_metadata(folder / "images.json")
        named = manifest.caption_encoder
        store = _make_store(codebook, manifest.context, grids, metadata, captions, named, pictures, offsets)
        if manifest.entries != store.context_of.size:
            got = f"got {manifest.entries} entries, expected {store.context_of.size}"
            raise DatabaseError(f"{folder / 'manifest.json'}: {got}; build it again")
        return cls(store, np.arange(manifest.images), index)

    def save(self, folder: Path) -> None:
        """Write the images of this view as a database of their own; deterministic, replaces file by file.

        Raises DatabaseError for an empty view or a folder that cannot be written.
        """
        if len(self.images) == 0:
            raise DatabaseError("save: got a view of no images, expected at least one; choose some first")
        try:
            self._write_files(folder)
        except OSError as error:
            raise DatabaseError(f"{folder}: got {error}, expected a folder that can be written") from error

    def _write_files(self, folder: Path) -> None:
        """See save. The manifest comes last: a folder without it is no database."""
        store, images = self._store, self.images
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "grids.npy", lambda file: _save_array(file, store.grids[images]))
        rows = [asdict(store.metadata[i]) for i in images]
        _write(folder / "images.json", lambda file: file.write(_json_bytes(rows)))
        if store.captions is not None:
            captions = store.captions[images]
            _write(folder / "captions.npy", lambda file: _save_array(file, captions))
        if store.pictures is not None:
            pictures = [self.picture(int(i)) or b"" for i in images]
            offsets = np.cumsum([0, *map(len, pictures)], dtype=np.int64)
            _write(folder / "pictures.bin", lambda file: file.writelines(pictures))
            _write(folder / "picture_offsets.npy", lambda file: _save_array(file, offsets))
        _write(folder / "manifest.json", lambda file: file.write(_json_bytes(asdict(_manifest_of(store, len(images))))))

    # -- what it holds ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of entries in this view."""
        return len(self._entries)

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
    def notice(self) -> str:
        """Answers are exact, and their sources are known."""
        return ""

    @property
    def refuses(self) -> Mapping[str, str]:
        """The caption filter, where there are no caption vectors."""
        return {} if self._store.captions is not None else {"caption_filter": "This database has no captions."}

    @property
    def takes_all(self) -> bool:
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
        first, last = self._store.picture_offsets[image : image + 2]
        return None if self._store.pictures is None or first == last else self._store.pictures[first:last].tobytes()

    def provenance(self, entries: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Image numbers, rows and columns of entries; ConfigError for a number that is not an entry."""
        entries = np.asarray(entries, dtype=np.int64)
        total = len(self._store.metadata) * len(self._store.positions)
        if entries.size and not 0 <= entries.min() <= entries.max() < total:
            raise ConfigError(f"entries: got {entries.min()}..{entries.max()}, expected 0..{total - 1}")
        return entry_places(self.context, self.grid, entries)

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
        store = _make_store(
            s.codebook, context, s.grids, s.metadata, s.captions, s.caption_encoder, s.pictures, s.picture_offsets
        )
        return PatchDatabase(store, self.images, self._kind)

    def __reduce__(self) -> tuple[type[PatchDatabase], tuple[_Store, IntArray, str | None]]:
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
        self, queries: IntArray, k: int, position: int | None = None, position_weight: float = 0.0
    ) -> list[Neighbours]:
        """The k nearest entries (0: all) of every query [B, n] of context codes, ascending, ties by tie rank.

        position_weight w adds w * (drow^2 + dcol^2), measured from the raster `position`, to every distance before the
        nearest are chosen. Raises ConfigError for codes or numbers outside of their range.
        """
        self._check_search(queries, k, position, position_weight)
        place = position if position_weight > 0 else None
        k = min(k or len(self), len(self))
        return [self._cached(np.asarray(query, np.int64), k, place, position_weight) for query in queries]

    def _check_search(self, queries: IntArray, k: int, position: int | None, weight: float) -> None:
        """Raise ConfigError unless a search is well formed."""
        n, size = self.context.size, self.codebook.size
        if queries.ndim != 2 or queries.shape[1] != n or not np.issubdtype(queries.dtype, np.integer):
            raise ConfigError(f"queries: got {queries.dtype} {queries.shape}, expected whole numbers [batch, {n}]")
        lowest = -1 if self.context.border == "zero" else 0
        if queries.size and not lowest <= queries.min() <= queries.max() < size:
            raise ConfigError(f"queries: got {queries.min()}..{queries.max()}, expected {lowest}..{size - 1}")
        if k < 0:
            raise ConfigError(f"k: got {k}, expected a number of neighbours, or 0 for all")
        if not 0 <= weight < np.inf:
            raise ConfigError(f"position_weight: got {weight}, expected a number from 0 on")
        if weight > 0 and (position is None or not 0 <= position < self.grid.positions):
            raise ConfigError(f"position: got {position}, expected 0..{self.grid.positions - 1} with a position_weight")

    def _cached(self, query: IntArray, k: int, position: int | None, weight: float) -> Neighbours:
        """Neighbours of one query, from the cache or from the index; their arrays are read-only because shared."""
        name = (query.tobytes(), k, position, weight if position is not None else 0.0)
        found = self._cache.get(name)
        if found is None:
            found = self._find(query, k, position, weight)
            self._cache.put(name, found)
        return found

    def _find(self, query: IntArray, k: int, position: int | None, weight: float) -> Neighbours:
        """Search without the cache; k is at most the number of entries."""
        if k == 0:
            return self._neighbours(np.zeros(0, np.float32), np.zeros(0, np.int32), 0)
        tables = distance_tables(self._store.vectors, query)
        if position is None:
            return self._neighbours(*self._near_entries(query, tables, k), k)
        return self._neighbours(*self._near_placed(tables, k, self._penalties(position, weight)), k)

    def _near_entries(self, query: IntArray, tables: FloatArray, k: int) -> tuple[FloatArray, Int32Array]:
        """Distances and numbers of a few entries that hold the k nearest and all ties with the last."""
        contexts, distances = self._index.nearest(query, tables, min(k, len(self._starts)))
        order = np.argsort(distances)
        contexts, distances = contexts[order], distances[order]
        counts = np.minimum(self._counts[contexts], k)  # a context's entries stand by tie rank: only its first k count
        last = distances[np.searchsorted(np.cumsum(counts), k)]
        used = int(np.searchsorted(distances, last, side="right"))
        places = ranges(self._starts[contexts[:used]], counts[:used])
        return np.repeat(distances[:used], counts[:used]), self._entries[places]

    def _near_placed(self, tables: FloatArray, k: int, penalties: FloatArray) -> tuple[FloatArray, Int32Array]:
        """The same when every entry pays the penalty [P] of its position.

        Distances are not negative: positions that cost more than the k-th total at the cheapest positions are out.
        """
        distances = table_sum(tables, self._contexts)
        cheapest = np.argsort(penalties)[: 8 + -(-k // len(self.images))]
        totals = distances[self._context_of[cheapest]] + penalties[cheapest, None]
        slots = np.flatnonzero(penalties <= np.partition(totals, k - 1, axis=None)[k - 1])
        totals = distances[self._context_of[slots]] + penalties[slots, None]
        near = within_kth(totals.ravel(), k)
        places, columns = np.divmod(near, len(self.images))
        entries = self.images[columns] * len(self._store.positions) + slots[places]
        return totals.ravel()[near], entries.astype(np.int32)

    def _penalties(self, position: int, weight: float) -> FloatArray:
        """weight * (drow^2 + dcol^2) from a position to each of the P retrieving ones."""
        row, col = self.grid.row_col(position)
        rows, cols = np.divmod(self._store.positions, self.grid.width)
        penalties: FloatArray = (weight * ((rows - row) ** 2 + (cols - col) ** 2)).astype(np.float32)
        return penalties

    def _neighbours(self, distances: FloatArray, entries: Int32Array, k: int) -> Neighbours:
        """The k first by distance, then tie rank, with their codes.

        The bits of floats >= 0 order as the floats do, so one sort of (distance bits, rank) pairs does it.
        """
        packed = np.sort(distances.view(np.int32).astype(np.int64) << 32 | tie_rank(entries.astype(np.int64)))[:k]
        chosen = entry_of_rank(packed & 0xFFFFFFFF)
        images, slots = np.divmod(chosen, len(self._store.positions))
        codes = self._store.grids.reshape(len(self._store.grids), -1)[images, self._store.positions[slots]]
        ordered = (packed >> 32).astype(np.int32).view(np.float32)
        return Neighbours(_read_only(codes.astype(np.int64)), _read_only(ordered), _read_only(chosen))


class _Cache:
    """Least recently used neighbours, bounded by how many are held in all; safe between threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._items: OrderedDict[tuple[object, ...], Neighbours] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: tuple[object, ...]) -> Neighbours | None:
        """What was remembered under that name, if it still is."""
        with self._lock:
            if name in self._items:
                self._items.move_to_end(name)
            return self._items.get(name)

    def put(self, name: tuple[object, ...], neighbours: Neighbours) -> None:
        """Remember, and forget the oldest until everything fits; what is too large alone is not kept."""
        with self._lock:
            if name in self._items or _cost(neighbours) > self._capacity:
                return
            self._items[name] = neighbours
            self._held += _cost(neighbours)
            while self._held > self._capacity:
                self._held -= _cost(self._items.popitem(last=False)[1])


def _cost(neighbours: Neighbours) -> int:
    """What remembering them counts as; one more than their number, so that empty answers are bounded too."""
    return len(neighbours) + 1


# ---------------------------------------------------------------------------------------------------------------------
# Building


def _make_store(
    codebook: Codebook,
    context: Context,
    grids: npt.NDArray[np.integer],
    metadata: tuple[ImageInfo, ...],
    captions: Float16Array | None,
    caption_encoder: str,
    pictures: ByteArray | None,
    picture_offsets: IntArray,
) -> _Store:
    """Check everything that the files or the caller claim, and number the unique contexts."""
    _check_grids(grids, codebook, context)
    count = len(grids)
    if len(metadata) != count:
        raise DatabaseError(f"metadata: got {len(metadata)} images, expected {count}, one for each token grid")
    if captions is not None:
        _check_captions(captions, count)
    _check_pictures(pictures, picture_offsets, count)
    grid = Grid(*grids.shape[1:])
    positions = retrieving_positions(context, grid)
    if len(positions) == 0:
        raise DatabaseError(f"grid {grid.height} x {grid.width}: got no position with a context; use a larger one")
    codes = np.asarray(grids).astype(np.uint16, copy=False)
    contexts, context_of = _unique_contexts(codebook, context, codes, positions)
    return _Store(
        codebook=codebook,
        context=context,
        grid=grid,
        vectors=transposed_vectors(codebook),
        grids=_read_only(codes),
        metadata=metadata,
        captions=captions,
        caption_encoder="" if captions is None else caption_encoder,
        pictures=pictures,
        picture_offsets=picture_offsets,
        positions=positions,
        contexts=contexts,
        context_of=context_of,
    )


def _check_grids(grids: npt.NDArray[np.integer], codebook: Codebook, context: Context) -> None:
    """Raise DatabaseError unless the token grids are [N, H, W] of the codebook's codes, of a size that fits."""
    if grids.ndim != 3 or len(grids) == 0 or not np.issubdtype(grids.dtype, np.integer):
        raise DatabaseError(f"grids: got {grids.dtype} {grids.shape}, expected whole numbers [images, height, width]")
    if grids.size >= 2**31 or grids[0].size > 65536:
        raise DatabaseError(f"grids: got {grids.shape}, expected fewer than 2^31 codes, 65536 an image; split it")
    if grids.size and not 0 <= grids.min() <= grids.max() < codebook.size:
        got = f"{grids.min()}..{grids.max()}"
        raise DatabaseError(f"grids: got codes {got}, expected 0..{codebook.size - 1}; encode with this tokenizer")
    if context.border == "zero" and codebook.size > 65535:
        raise DatabaseError(f"border zero: got {codebook.size} codes, expected at most 65535; use border skip")


def _check_captions(captions: Float16Array, count: int) -> None:
    """Raise DatabaseError unless they are one unit vector for each image, or zero where no word is known."""
    if captions.ndim != 2 or len(captions) != count or not np.isfinite(captions).all():
        raise DatabaseError(f"captions: got {captions.shape}, expected finite unit vectors [{count}, E]; rebuild")
    lengths = np.sqrt(np.einsum("ij,ij->i", captions, captions, dtype=np.float32))
    wrong = np.flatnonzero((np.abs(lengths - 1) > UNIT_TOLERANCE) & (lengths != 0))
    if len(wrong):
        got = f"got a vector of length {lengths[wrong[0]]:.4g} for image {wrong[0]}"
        raise DatabaseError(f"captions: {got}, expected unit vectors, or zero for a caption without a word; rebuild")


def _check_pictures(pictures: ByteArray | None, offsets: IntArray, count: int) -> None:
    """Raise DatabaseError unless the offsets [N + 1] cut the bytes into one picture each."""
    size = 0 if pictures is None else len(pictures)
    if len(offsets) != count + 1:
        raise DatabaseError(f"pictures: got {len(offsets) - 1}, expected {count}, one for each image")
    if offsets[0] != 0 or offsets[-1] != size or (np.diff(offsets) < 0).any():
        expected = f"expected them to cut {size} bytes into {count} parts"
        raise DatabaseError(f"pictures: got offsets {offsets[0]}..{offsets[-1]}, {expected}; build it again")


def _unique_contexts(
    codebook: Codebook, context: Context, grids: CodeArray, positions: IntArray
) -> tuple[CodeArray, Int32Array]:
    """Unique contexts [n, U] in ascending order, and the number of the one at every position of every image [P, N].

    A missing cell becomes code V. Ranks are refined cell by cell, since n codes do not fit into one integer.
    """
    columns = np.empty((context.size, len(positions), len(grids)), np.uint16)
    for start in range(0, len(grids), 512):  # a block of images at a time keeps the int64 contexts small
        codes = context_codes(context, grids[start : start + 512], positions)
        columns[:, :, start : start + 512] = np.where(codes < 0, codebook.size, codes).T
    flat = columns.reshape(context.size, -1)
    rank: IntArray = np.zeros(flat.shape[1], np.int64)
    for first in range(0, context.size, 2):  # ranks are below 2^31: two more codes of 16 bits fit beside them
        pair = flat[first].astype(np.int64) << 16 | flat[first + 1]
        rank = np.unique(rank << 32 | pair, return_inverse=True)[1]
    example = np.zeros(int(rank.max()) + 1, np.int64)
    example[rank] = np.arange(len(rank))
    return flat[:, example], rank.astype(np.int32).reshape(len(positions), len(grids))


def _sorted_entries(context_of: Int32Array, images: IntArray) -> IntArray:
    """(context << 32 | tie rank) of all entries [P, N] of some images [N], ascending."""
    positions = len(context_of)
    entries = images * positions + np.arange(positions)[:, None]
    return np.sort((context_of.astype(np.int64) << 32 | tie_rank(entries)).ravel())


def _read_only(array: Any) -> Any:
    """The same array, closed for writing: it is shared."""
    array.setflags(write=False)
    return array


# ---------------------------------------------------------------------------------------------------------------------
# Files


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The content of manifest.json; captions is the dimension of the caption vectors, None without them.

    caption_encoder may be missing: then it is not known.
    """

    format: str
    version: int
    codebook: str
    grid: tuple[int, int]
    context: Context
    images: int
    entries: int
    captions: int | None
    pictures: bool
    caption_encoder: str = ""


def _manifest_of(store: _Store, images: int) -> _Manifest:
    """Manifest of a database of that many images of a store."""
    return _Manifest(
        format=FORMAT,
        version=VERSION,
        codebook=store.codebook.fingerprint,
        grid=(store.grid.height, store.grid.width),
        context=store.context,
        images=images,
        entries=images * len(store.positions),
        captions=None if store.captions is None else store.captions.shape[1],
        pictures=store.pictures is not None,
        caption_encoder=store.caption_encoder,
    )


def _write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place and move it there, so that an open memory map keeps the old one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        fill(file)
    os.replace(part, path)


def _save_array(file: IO[bytes], array: npt.NDArray[Any]) -> None:
    """Write a .npy file, little-endian, without pickle."""
    np.save(file, np.ascontiguousarray(array, array.dtype.newbyteorder("<")), allow_pickle=False)


def _json_bytes(value: object) -> bytes:
    """JSON that stays readable in a diff."""
    return (json.dumps(value, indent=1) + "\n").encode()


_MANIFEST_CHECKS: Final[tuple[tuple[str, Callable[[Any], bool], str], ...]] = (
    ("codebook", lambda v: isinstance(v, str), "a fingerprint"),
    ("grid", lambda v: isinstance(v, list) and len(v) == 2 and all(map(_is_count, v)), "[height, width]"),
    ("context", lambda v: isinstance(v, dict) and set(v) == {"radius", "border"}, "a radius and a border"),
    ("images", lambda v: _is_count(v), "a number from 1 on"),
    ("entries", lambda v: _is_count(v), "a number from 1 on"),
    ("captions", lambda v: v is None or _is_count(v), "null or a dimension"),
    ("pictures", lambda v: isinstance(v, bool), "true or false"),
    ("caption_encoder", lambda v: isinstance(v, str), "a fingerprint"),
)


def _is_count(value: object) -> bool:
    """Whether a JSON value is a whole number from 1 to what an array can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31


def _read_manifest(folder: Path, codebook: Codebook) -> _Manifest:
    """The manifest of a database folder; DatabaseError unless it is of this version and this codebook."""
    path = folder / "manifest.json"
    values = _read_json(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DatabaseError(f"{path}: got something else, expected the manifest of a patch database")
    if values.get("version") != VERSION:
        raise DatabaseError(f"{path}: got version {values.get('version')!r}, expected {VERSION}; build it again")
    values.setdefault("caption_encoder", "")
    for name, valid, expected in _MANIFEST_CHECKS:
        if not valid(values.get(name)):
            raise DatabaseError(f"{path}: got {name} {values.get(name)!r:.80}, expected {expected}; build it again")
    if values["codebook"] != codebook.fingerprint:
        got = f"got a database of codebook {values['codebook']!r:.80}, expected {codebook.fingerprint}"
        raise DatabaseError(f"{path}: {got}; build it with the tokenizer of this model")
    try:
        context = Context(**values["context"])
    except ConfigError as error:
        raise DatabaseError(f"{path}: {error}; build it again") from error
    known = {f.name: values[f.name] for f in fields(_Manifest)}
    return _Manifest(**known | {"grid": tuple(values["grid"]), "context": context})


def _read_metadata(path: Path) -> tuple[ImageInfo, ...]:
    """Metadata of all images; DatabaseError unless every one has exactly the fields of ImageInfo, as text."""
    rows = _read_json(path)
    names = {f.name for f in fields(ImageInfo)}
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) == names for row in rows):
        raise DatabaseError(f"{path}: got something else, expected a list of objects with {', '.join(sorted(names))}")
    for number, row in enumerate(rows):
        if not all(isinstance(value, str) and _is_unicode(value) for value in row.values()):
            raise DatabaseError(f"{path}: got a value that is not text for image {number}, expected text only")
    return tuple(ImageInfo(**row) for row in rows)


def _is_unicode(text: str) -> bool:
    """Whether a text can be written again: JSON may smuggle in lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _read_json(path: Path) -> Any:
    """Content of a JSON file; DatabaseError when it is missing, too large, or not JSON."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise DatabaseError(f"{path}: got more than {_LARGEST_JSON >> 20} MB, expected a small file")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error


def _read_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """Memory map of a .npy file; DatabaseError unless it has exactly that type and shape."""
    array = open_array(path, OWNER, REMEDY)
    if array.dtype != dtype or array.shape != shape:
        raise DatabaseError(f"{path}: got {array.dtype} {array.shape}, expected {dtype} {shape}; build it again")
    return array


def _read_bytes(path: Path) -> ByteArray:
    """Memory map of a file's bytes; DatabaseError when it cannot be read."""
    try:
        empty = path.stat().st_size == 0
        return np.zeros(0, np.uint8) if empty else np.asarray(np.memmap(path, np.uint8, mode="r"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> DatabaseError:
    """One line about a file that is missing or damaged."""
    return unreadable(path, error, OWNER, REMEDY)
