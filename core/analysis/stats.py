"""The figures of a database, read through once in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ..context import retrieving_positions
from ..patches.segments.database import SegmentedDatabase
from ..patches.segments.images import ImageRow
from ..patches.segments.scan import columns_of
from ..patches.segments.segment import Batch
from ..patches.tending.contents import Holding, batches, header_of, image_count, picture_count
from ..types import IntArray
from .distinct import Distinct, hashed
from .holdings import codes_of_half

LISTED: Final = 1000
"""Different names of one kind that are told apart; further ones are counted together."""
OTHERS: Final = "(others)"
UNKNOWN: Final = ""

Progress = Callable[[Iterable[Batch]], Iterable[Batch]]


@dataclass(frozen=True, slots=True)
class Stats:
    """What a database holds.

    unique_contexts, repeated_contexts: different ones, and those of them that more than one entry has; exact: whether
    these two are counted, not estimated; codes_of_half_the_cells: the fewest that make them up; captions: images with
    words; caption_vectors: dimension, None without them; styles, sources, licences: images by name, "" where none is
    known; sides: shortest and longest side of the pictures' files, where known; files: bytes by kind of file.
    """

    images: int
    entries: int
    grid: tuple[int, int]
    context_radius: int
    border: str
    codebook: str
    codes: int
    codes_used: int
    codes_of_half_the_cells: int
    unique_contexts: int
    repeated_contexts: int
    exact: bool
    captions: int
    caption_vectors: int | None
    pictures: int
    styles: Mapping[str, int]
    sources: Mapping[str, int]
    licences: Mapping[str, int]
    sides: tuple[int, int] | None
    segments: int
    index: str
    files: Mapping[str, int]
    fingerprint: str

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(self.files.values())

    @property
    def segments_on_disk(self) -> bool:
        """Whether it is of version 2, with a table of its images."""
        return "styles" in self.files

    @property
    def bytes_an_entry(self) -> float:
        """Of what is searched: token grids and index."""
        return (self.files.get("grids", 0) + self.files.get("index", 0)) / self.entries


class Names:
    """Counts names, the first LISTED different ones by themselves."""

    def __init__(self) -> None:
        self.counts = Counter[str]()

    def add(self, name: str) -> None:
        """One more."""
        self.counts[name if name in self.counts or len(self.counts) < LISTED else OTHERS] += 1

    @property
    def listed(self) -> dict[str, int]:
        """The most frequent first."""
        return dict(sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0])))


class Tally:
    """What is added up while the images go by."""

    def __init__(self, database: Holding) -> None:
        self._context, self._codes = database.context, database.codebook.size
        self.counts: IntArray = np.zeros(self._codes, np.int64)
        self.contexts = Distinct()
        self.styles, self.sources, self.licences = Names(), Names(), Names()
        self.captions = 0
        self._sides = list[int]()

    def add(self, batch: Batch) -> None:
        """Some more images."""
        codes = np.asarray(batch.grids)
        self.counts += np.bincount(codes.ravel(), minlength=self._codes)
        self.contexts.add(hashed(columns_of(self._context, codes, self._codes)))
        for row in batch.rows:
            self._said(row)

    def _said(self, row: ImageRow) -> None:
        self.captions += bool(row.info.caption)
        self.styles.add(row.info.style)
        self.sources.add(row.info.source)
        self.licences.add(row.licence)
        if row.width and row.height:
            sides = (row.width, row.height, *self._sides)
            self._sides = [min(sides), max(sides)]

    @property
    def sides(self) -> tuple[int, int] | None:
        """Shortest and longest side of all."""
        return (self._sides[0], self._sides[1]) if self._sides else None


def stats_of(database: Holding, folder: Path | None = None, progress: Progress = iter) -> Stats:
    """Read all of a database; folder: where a small one lies, for the bytes of its files."""
    header, tally = header_of(database), Tally(database)
    for batch in progress(batches(database, with_pictures=False)):
        tally.add(batch)
    return Stats(
        images=image_count(database),
        entries=image_count(database) * len(retrieving_positions(header.context, header.grid)),
        grid=(header.grid.height, header.grid.width),
        context_radius=header.context.radius,
        border=header.context.border,
        codebook=header.codebook,
        codes=database.codebook.size,
        codes_used=int((tally.counts > 0).sum()),
        codes_of_half_the_cells=codes_of_half(tally.counts),
        unique_contexts=tally.contexts.different,
        repeated_contexts=tally.contexts.repeated,
        exact=tally.contexts.exact,
        captions=tally.captions,
        caption_vectors=header.captions,
        pictures=picture_count(database),
        styles=tally.styles.listed,
        sources=tally.sources.listed,
        licences=tally.licences.listed,
        sides=tally.sides,
        segments=len(database.segments) if isinstance(database, SegmentedDatabase) else 1,
        index=database.index_kind,
        files=segment_bytes(database) if isinstance(database, SegmentedDatabase) else folder_bytes(folder),
        fingerprint=database.fingerprint,
    )


def segment_bytes(database: SegmentedDatabase) -> dict[str, int]:
    """Bytes of the files of all segments by what they hold: grids, index, pictures, captions, images, styles."""
    found = Counter[str]()
    for segment in database.segments:
        for name, record in segment.record.files.items():
            found[name.split("/")[0].split(".")[0]] += record.size
    return dict(found.most_common())


def folder_bytes(folder: Path | None) -> dict[str, int]:
    """Bytes of the files in the folder of a small database, which has no index on disk."""
    if folder is None:
        return {}
    sizes = {path.name.split(".")[0]: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    return dict(sorted(sizes.items(), key=lambda pair: -pair[1]))
