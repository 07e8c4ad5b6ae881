"""A database of any size: the segments of a folder, mapped, behind the same interface as the one in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ...codebook import Codebook
from ...context import Context, entry_places
from ...inputs.arrays import open_array
from ...types import CodeArray, ConfigError, DatabaseError, FloatArray, Grid, IntArray, Neighbours
from ..cache import Cache
from ..files import MANIFEST
from ..index import DistanceTables, distance_tables, transposed_vectors
from ..orderings import machine
from ..protocol import ImageInfo
from ..queries import Position, check_search, places_of
from ..store import read_only
from .kinds import KINDS
from .manifest import NO_STYLE, Manifest, read_manifest
from .opened import Opened
from .segment import Batch, Segment, blocks
from .view import View, view_of, view_of_numbers
from .view_search import ViewSearch
from .writer import CODEBOOK

CACHED_NEIGHBOURS: Final = 250_000
"""How many neighbours (24 bytes each, and some 200 for each answer) one view remembers at most."""
MOST_AT_ONCE: Final = 1 << 22
"""Entries of a view that can be returned as a whole."""
CAPTIONS_AT_ONCE: Final = 1 << 23
"""Numbers of caption vectors that are compared at a time: 48 MB."""


class SegmentedDatabase:
    """An immutable database in a folder of version 2, or a view of some of its images.

    Entry number = image * P + (number of the position among the P retrieving ones), in 64 bits and always counted in
    the full database. Opening reads the manifest alone; everything else is mapped when it is first needed. Answers are
    those of `PatchDatabase` over the same images, whatever the segments. Safe to share between threads.
    """

    def __init__(self, opened: Opened, view: View) -> None:
        """Internal: use open, subset or with_styles."""
        self._opened, self._view = opened, view
        self._cache = Cache(CACHED_NEIGHBOURS)

    @classmethod
    def open(
        cls, folder: Path, codebook: Codebook | None = None, segments: Sequence[str] | None = None
    ) -> SegmentedDatabase:
        """Open a folder; the codebook is read from it where none is given.

        segments: names of those to open, as a view; the files of others need not be there. Raises DatabaseError when
        damaged, of another version or another codebook.
        """
        manifest = read_manifest(folder)
        header = manifest.header
        if codebook is None:
            codebook = read_codebook(folder, header.codebook)
        elif codebook.fingerprint != header.codebook:
            got = f"got a database of codebook {header.codebook!r:.80}, expected {codebook.fingerprint}"
            raise DatabaseError(f"{folder / MANIFEST}: {got}; build it with the tokenizer of this model")
        if unknown := sorted(set(segments or ()) - {record.name for record in manifest.segments}):
            raise ConfigError(f"segments: got {unknown[0]!r}, which {folder} does not have")
        opened, first, marks = list[Segment](), 0, np.zeros(manifest.images, bool)
        for record in manifest.segments:
            if segments is None or record.name in segments:
                opened.append(Segment(folder, record, header, codebook, first))
                marks[first : first + record.images] = True
            first += record.images
        compiled = any(record.index in KINDS and KINDS[record.index].numba for record in manifest.segments)
        compute = machine.distance_tables if compiled and machine.is_there() else distance_tables
        tables = DistanceTables(transposed_vectors(codebook), compute)
        shared = Opened(folder, codebook, manifest, tuple(opened), tables)
        return cls(shared, view_of(marks, header.positions))

    # -- what it holds ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of entries in this view."""
        return len(self._view) * self._positions

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._opened.folder

    @property
    def manifest(self) -> Manifest:
        """What its manifest says, of all of it."""
        return self._opened.manifest

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Readers of all segments that are open, whatever the view."""
        return self._opened.segments

    @property
    def context(self) -> Context:
        """Context kind of the keys."""
        return self.manifest.header.context

    @property
    def codebook(self) -> Codebook:
        """Codebook that the token grids refer to."""
        return self._opened.codebook

    @property
    def grid(self) -> Grid:
        """Shape of every token grid."""
        return self.manifest.header.grid

    @cached_property
    def images(self) -> IntArray:
        """Numbers of the images of this view, ascending: 8 bytes each; `image_count` takes none."""
        images: IntArray = read_only(self._view.images)
        return images

    @property
    def image_count(self) -> int:
        """Number of images in this view."""
        return len(self._view)

    @cached_property
    def style_counts(self) -> Mapping[str, int]:
        """How many images of this view have each style, by name; "" for those without one."""
        names = [name for name, _ in self.manifest.styles]
        if self._view.whole:
            counts = [count for _, count in self.manifest.styles]
        else:
            counts = self._counted_styles()[: len(names)].tolist()
        known = {name: count for name, count in zip(names, counts, strict=True) if count}
        without = self.image_count - sum(known.values())
        return dict(sorted({**known, **({"": without} if without else {})}.items()))

    @property
    def styles(self) -> tuple[str, ...]:
        """Sorted style names of the images in this view."""
        return tuple(self.style_counts)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that answers depend on, as the manifest keeps it, and of the images of the view.

        Not recomputed from the files: see `verify`.
        """
        return self._view.fingerprint(self.manifest.fingerprint)

    @property
    def caption_encoder(self) -> str:
        """Hash of what the caption vectors were made with, "" when that is not known."""
        return self.manifest.header.caption_encoder

    @property
    def knows_images(self) -> bool:
        """All that is said of them."""
        return True

    @property
    def index_kind(self) -> str:
        """The kinds of index of its segments."""
        return ", ".join(sorted({segment.record.index for segment in self.segments}))

    @property
    def notice(self) -> str:
        """What a reader must know where an index is not exact."""
        kinds = {segment.record.index for segment in self.segments}
        rough = sorted(kind for kind in kinds if kind in KINDS and not KINDS[kind].exact)
        return f"The index ({', '.join(rough)}) finds most of the nearest patches, not all of them." if rough else ""

    @property
    def unsupported_settings(self) -> Mapping[str, str]:
        """The caption filter, where there are no caption vectors."""
        has = self.manifest.header.captions is not None
        return {} if has else {"caption_filter": "This database has no captions."}

    @property
    def can_return_all(self) -> bool:
        """Whether every entry can be asked for at once."""
        return len(self) <= MOST_AT_ONCE

    def image_info(self, image: int) -> ImageInfo:
        """What is known of a source image."""
        segment, row = self._place(image)
        return segment.table.info(row)

    def image_codes(self, image: int) -> CodeArray:
        """Token grid [H, W] of a source image."""
        segment, row = self._place(image)
        return np.array(segment.grids[row])

    def grids_of(self, images: IntArray) -> CodeArray:
        """Token grids [M, H, W] of some images of the full database; ConfigError for a number that there is not."""
        for image in (int(images.min()), int(images.max())) if len(images) else ():
            self._place(image)
        return self._opened.grids_of(images)

    def picture(self, image: int) -> bytes | None:
        """Encoded bytes of a source image, None when the database has none of it."""
        segment, row = self._place(image)
        return segment.picture(row)

    def provenance(self, entries: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Image numbers, rows and columns of entries; ConfigError for a number that is not an entry."""
        entries = np.asarray(entries, dtype=np.int64)
        self._check_entries(entries)
        return entry_places(self.context, self.grid, entries)

    def read(self, size: int = 1024) -> Iterator[Batch]:
        """All that the images of this view have, in order, as `SegmentWriter.add` takes it; `size` or fewer each."""
        for segment in self.segments:
            for first, last in blocks(len(segment), size):
                rows = self._view.rows(segment.first_image + first, segment.first_image + last)
                if isinstance(rows, slice) or len(rows) == last - first:
                    yield segment.read(first, last)
                elif len(rows):
                    yield chosen_rows(segment.read(first, last), rows)

    def _place(self, image: int) -> tuple[Segment, int]:
        """Segment and row of an image; ConfigError for a number that there is not."""
        total = self._view.total
        if not 0 <= image < total:
            raise ConfigError(f"image: got {image}, expected 0..{total - 1}")
        segment = self.segments[max(0, int(np.searchsorted(self._opened.firsts, image, side="right")) - 1)]
        if not 0 <= (row := image - segment.first_image) < len(segment):
            raise ConfigError(f"image: got {image}, which is in a segment that is not open")
        return segment, row

    def _check_entries(self, entries: IntArray) -> None:
        total = self._view.total * self._positions
        if entries.size and not 0 <= entries.min() <= entries.max() < total:
            raise ConfigError(f"entries: got {entries.min()}..{entries.max()}, expected 0..{total - 1}")

    # -- views --------------------------------------------------------------------------------------------------------

    def subset(self, images: npt.ArrayLike) -> SegmentedDatabase:
        """View of some images, by their numbers in the full database; ConfigError when this view lacks one."""
        chosen = np.unique(np.asarray(images, dtype=np.int64))
        if not (held := self._view.holds(chosen)).all():
            missing = chosen[~held][0]
            raise ConfigError(f"images: got {missing}, which this view of {self.image_count} images does not hold")
        return SegmentedDatabase(self._opened, view_of_numbers(chosen, self._view.total, self._positions))

    def with_styles(self, styles: Sequence[str]) -> SegmentedDatabase:
        """View of the images in some art styles; no styles means all. ConfigError for a style that is not there."""
        if not styles:
            return self
        if unknown := sorted(set(styles) - set(self.styles)):
            raise ConfigError(f"styles: got {', '.join(unknown)}; expected some of {', '.join(self.styles)}")
        names = [name for name, _ in self.manifest.styles]
        wanted = np.zeros(NO_STYLE + 1, bool)
        wanted[[NO_STYLE if style == "" else names.index(style) for style in styles]] = True
        marks = np.zeros(self._view.total, bool)
        for segment in self.segments:
            rows = self._rows(segment)
            part = marks[segment.first_image : segment.first_image + len(segment)]
            part[rows] = wanted[segment.styles[rows]]
        return SegmentedDatabase(self._opened, view_of(marks, self._positions))

    def _rows(self, segment: Segment) -> IntArray | slice:
        """Images of this view in a segment."""
        return self._view.rows(segment.first_image, segment.first_image + len(segment))

    def _counted_styles(self) -> IntArray:
        """Images of this view by the number of their style."""
        return sum(
            (np.bincount(segment.styles[self._rows(segment)], minlength=NO_STYLE + 1) for segment in self.segments),
            np.zeros(NO_STYLE + 1, np.int64),
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Sent to another process as its folder, which is opened there, and the images of the view."""
        names = tuple(segment.record.name for segment in self.segments)
        marks = np.packbits(self._view.marks) if self._view.marks is not None else None
        return _reopened, (self.folder, self.codebook, names, self.manifest.fingerprint, self._view.numbers, marks)

    # -- captions -----------------------------------------------------------------------------------------------------

    def caption_vectors(self, images: IntArray) -> FloatArray | None:
        """Unit vectors [M, E] of the captions of some images, rounded as they are stored; None without them."""
        size = self.manifest.header.captions
        if size is None:
            return None
        vectors = np.zeros((len(images), size), np.float32)
        for segment, places, rows in self._opened.by_segment(np.asarray(images, np.int64)):
            assert segment.captions is not None
            vectors[places] = segment.captions[rows]
        return vectors

    def nearest_captions(self, vector: FloatArray, n: int) -> IntArray:
        """Numbers of the n images in this view whose captions are nearest to a unit vector [E], nearest first.

        Ties go to the lowest number; all images when n is larger, and for the zero vector. Reads all caption vectors, a
        block at a time. DatabaseError without them.
        """
        size = self.manifest.header.captions
        if size is None:
            raise DatabaseError("caption filter: got a database without caption vectors; rebuild it with captions")
        if vector.shape != (size,):
            raise ConfigError(f"caption vector: got shape {vector.shape}, expected {(size,)}")
        if not vector.any():
            return self.images
        best, found = np.zeros(0, np.float32), np.zeros(0, np.int64)
        for segment in self.segments:
            for first, last in blocks(len(segment), max(1, CAPTIONS_AT_ONCE // size)):
                begin = segment.first_image + first
                rows = self._view.rows(begin, segment.first_image + last)
                numbers = np.arange(begin, segment.first_image + last)[rows]
                near = segment.similarities(vector, first, last)[rows]
                if len(found) == n and n:  # a tie goes to the lower number, which is there already
                    better = near > best[-1]
                    numbers, near = numbers[better], near[better]
                best, found = np.concatenate([best, near]), np.concatenate([found, numbers])
                order = np.lexsort((found, -best))[:n]
                best, found = best[order], found[order]
        return found

    # -- search -------------------------------------------------------------------------------------------------------

    def search(
        self, queries: IntArray, k: int, position: Position = None, position_weight: float = 0.0
    ) -> list[Neighbours]:
        """The k nearest entries (0: all) of every query [B, n] of context codes, ascending, ties by tie rank.

        position_weight w adds w * (drow^2 + dcol^2), measured from the raster `position` (one for all, or [B] one for
        each query), to every distance before the nearest are chosen. Raises ConfigError for codes or numbers outside of
        their range.
        """
        bounds = np.full(len(queries), np.inf, np.float32)
        return self.search_within(queries, k, position, position_weight, bounds)

    def search_within(
        self, queries: IntArray, k: int, position: Position, position_weight: float, bounds: FloatArray
    ) -> list[Neighbours]:
        """The same, but only those of them at a distance of at most a bound [B] of each query."""
        queries = np.asarray(queries)
        check_search(self.context, self.codebook.size, self.grid, queries, k, position, position_weight)
        if k == 0 and not self.can_return_all:
            raise ConfigError(f"k: got 0 for all {len(self):,} entries, expected 1..{MOST_AT_ONCE:,} of so many")
        places = places_of(position, position_weight, len(queries))
        k, asked = min(k or len(self), len(self), MOST_AT_ONCE), queries.astype(np.int64)
        names = [
            (query.tobytes(), k, place, position_weight if place is not None else 0.0, bound)
            for query, place, bound in zip(asked, places, bounds.tolist(), strict=True)
        ]

        def find(rows: list[int]) -> list[Neighbours]:
            return self._search.nearest(asked[rows], k, [places[row] for row in rows], position_weight, bounds[rows])

        return self._cache.answers(names, find)

    def nearest_of(
        self, query: IntArray, entries: IntArray, k: int, position: int | None = None, position_weight: float = 0.0
    ) -> Neighbours:
        """The k nearest of these very entries, without those outside of this view; as `search` would tell them."""
        check_search(self.context, self.codebook.size, self.grid, query[None], k, position, position_weight)
        entries = np.unique(np.asarray(entries, np.int64))
        self._check_entries(entries)
        place = places_of(position, position_weight, 1)[0]
        return self._search.nearest_of(np.asarray(query, np.int64), entries, k, place, position_weight)

    @cached_property
    def _search(self) -> ViewSearch:
        return ViewSearch(self._opened, self._view)

    @property
    def _positions(self) -> int:
        return self.manifest.header.positions


def chosen_rows(batch: Batch, rows: IntArray) -> Batch:
    """Some images of a batch."""
    captions = None if batch.captions is None else batch.captions[rows]
    pictures = None if batch.pictures is None else [batch.pictures[row] for row in rows]
    return Batch(batch.grids[rows], [batch.rows[row] for row in rows], captions, pictures)


def read_codebook(folder: Path, fingerprint: str) -> Codebook:
    """The codebook that a database keeps; DatabaseError unless it is the one of that fingerprint."""
    path = folder / CODEBOOK
    vectors = open_array(path, "patch database", "copy it again")
    if vectors.dtype != np.dtype("<f4") or vectors.ndim != 2 or not 2 <= len(vectors) <= 65536:
        raise DatabaseError(f"{path}: got {vectors.dtype} {vectors.shape}, expected unit vectors; copy it again")
    if (got := hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()[:16]) != fingerprint:
        raise DatabaseError(
            f"{path}: got the codebook {got}, expected {fingerprint:.80} as in {MANIFEST}; copy it again"
        )
    return Codebook(read_only(np.array(vectors, np.float32)), fingerprint)


def _reopened(
    folder: Path,
    codebook: Codebook,
    names: tuple[str, ...],
    fingerprint: str,
    numbers: IntArray | None,
    marks: npt.NDArray[np.uint8] | None,
) -> SegmentedDatabase:
    """What was sent by another process; DatabaseError when the folder was replaced meanwhile."""
    if read_manifest(folder).fingerprint != fingerprint:
        raise DatabaseError(f"{folder}: got another database than was opened before; open it again")
    database = SegmentedDatabase.open(folder, codebook, names)
    total = database.manifest.images
    if numbers is not None:
        return SegmentedDatabase(database._opened, View(total, numbers=numbers))
    if marks is not None:
        return SegmentedDatabase(database._opened, View(total, marks=np.unpackbits(marks, count=total).astype(bool)))
    return database
