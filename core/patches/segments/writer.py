"""Writing a database: segments one after the other in bounded memory, and the manifest last."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final

import numpy as np

from ...codebook import Codebook
from ...context import Context
from ...types import ConfigError, DatabaseError
from ..array_file import ArrayFile
from ..files import MANIFEST, replace_file
from ..store import Float16Array, check_captions, check_grids
from .fingerprint import sum_of
from .images import TableWriter, check_columns
from .kinds import KINDS, choose_kind
from .manifest import (
    COLUMN_KINDS,
    MOST_STYLES,
    NO_STYLE,
    SEGMENTS,
    FileRecord,
    Header,
    Manifest,
    SegmentRecord,
    write_manifest,
)
from .segment import Batch
from .ties import LARGEST_SEGMENT

LARGEST_SHARD: Final = 1 << 30
"""Bytes of a file of pictures, about."""
MOST_ENTRIES: Final = 1 << 27
"""Entries of a segment where nobody asks for another number: few segments answer faster than many."""
CODEBOOK: Final = "codebook.npy"


class Styles:
    """Numbers of the styles of a database, in the order in which they first come, and how many images have them."""

    def __init__(self, known: tuple[tuple[str, int], ...] = ()) -> None:
        self._counts = dict(known)
        self._numbers = {name: number for number, (name, _) in enumerate(known)}

    def number(self, style: str) -> int:
        """Number of a style, NO_STYLE for none; one more image has it."""
        if not style:
            return NO_STYLE
        if style not in self._numbers:
            if len(self._numbers) == MOST_STYLES:
                raise DatabaseError(f"style: got more than {MOST_STYLES:,} different ones; keep them in another column")
            self._numbers[style] = len(self._numbers)
            self._counts[style] = 0
        self._counts[style] += 1
        return self._numbers[style]

    @property
    def counted(self) -> tuple[tuple[str, int], ...]:
        """As the manifest keeps them."""
        return tuple(self._counts.items())


class PictureFiles:
    """Pictures one after the other in shards, and where each of them is."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._shard, self._offset = folder / "pictures", -1, LARGEST_SHARD
        self._folder.mkdir()
        self._places = ArrayFile(folder / "pictures.npy", "<i8", (3,))
        self._file: IO[bytes] | None = None

    def append(self, picture: bytes) -> None:
        """Write one more, b"" for none."""
        if not picture:
            self._places.append(np.zeros((1, 3), np.int64))
            return
        if self._file is None or self._offset >= LARGEST_SHARD:
            self._close_shard()
            self._shard, self._offset = self._shard + 1, 0
            self._file = (self._folder / f"{self._shard:06d}.bin").open("wb")
        self._file.write(picture)
        self._places.append(np.array([[self._shard, self._offset, len(picture)]]))
        self._offset += len(picture)

    def close(self) -> None:
        """End the files."""
        self._close_shard()
        self._places.close()

    def _close_shard(self) -> None:
        if self._file is not None:
            self._file.close()


class SegmentWriter:
    """Writes one segment into FOLDER/segments/NAME, which appears there when it is whole.

    first_image: number of its first image in the database; styles: shared by all segments. Use as a context manager:
    what is not finished is removed. Raises DatabaseError for what does not fit.
    """

    def __init__(
        self, folder: Path, name: str, header: Header, codebook: Codebook, styles: Styles, first_image: int = 0
    ) -> None:
        self._final, self._header, self._codebook = folder / SEGMENTS / name, header, codebook
        self._styles, self._first, self._count, self._sum = styles, first_image, 0, 0
        self._part = self._final.with_name(f"{name}.part")
        if self._final.exists():
            raise DatabaseError(f"{self._final}: got a segment that is there already, expected a new name")
        shutil.rmtree(self._part, ignore_errors=True)
        (self._part / "index").mkdir(parents=True)
        grid = header.grid
        self._grids = ArrayFile(self._part / "grids.npy", "<u2", (grid.height, grid.width))
        self._numbers = ArrayFile(self._part / "styles.npy", "<u2", ())
        self._table = TableWriter(self._part / "images.parquet", header.columns)
        size = header.captions
        self._captions = None if size is None else ArrayFile(self._part / "captions.npy", "<f2", (size,))
        self._pictures = PictureFiles(self._part) if header.pictures else None

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._part.exists():
            self._close()
            shutil.rmtree(self._part, ignore_errors=True)

    def __len__(self) -> int:
        """Images so far."""
        return self._count

    def add(self, batch: Batch) -> None:
        """Write some more images, in their order."""
        captions = self._checked(batch)
        grids = np.asarray(batch.grids).astype(np.uint16, copy=False)
        infos = [row.info for row in batch.rows]
        self._sum += sum_of(self._first + self._count, grids, infos, captions)
        self._table.add(batch.rows)
        self._grids.append(grids)
        self._numbers.append(np.array([self._styles.number(info.style) for info in infos], np.uint16))
        if self._captions is not None and captions is not None:
            self._captions.append(captions)
        if self._pictures is not None:
            for picture in batch.pictures or [b""] * len(batch):
                self._pictures.append(picture)
        self._count += len(batch)

    def finish(self, index: str = "auto") -> SegmentRecord:
        """Build the index (a name of KINDS, or by size), and put the segment in its place."""
        entries = self._count * self._header.positions
        if not 0 < entries <= LARGEST_SEGMENT:
            raise DatabaseError(f"{self._final}: got {entries} entries, expected 1..2^32; use several segments")
        self._close()
        kind = choose_kind(entries, self._header.context) if index == "auto" else index
        build_index(self._part, kind, self._codebook, self._header.context)
        total = f"{self._sum % 2**256:064x}"
        record = SegmentRecord(self._final.name, self._count, total, kind, files_of(self._part))
        os.replace(self._part, self._final)
        return record

    def _checked(self, batch: Batch) -> Float16Array | None:
        """The caption vectors as they are kept; DatabaseError unless a batch fits the database."""
        check_grids(batch.grids, self._codebook, self._header.context)
        grid, count = self._header.grid, len(batch.rows)
        if batch.grids.shape != (count, grid.height, grid.width):
            expected = f"expected {(count, grid.height, grid.width)}: one for each row, of the grid of the database"
            raise DatabaseError(f"grids: got {batch.grids.shape}, {expected}")
        if batch.pictures is not None and len(batch.pictures) != count:
            raise DatabaseError(f"pictures: got {len(batch.pictures)}, expected {count}, one for each row")
        if (batch.captions is None) != (self._header.captions is None):
            raise DatabaseError("captions: got vectors for some images only, expected one for all of them or for none")
        if batch.captions is None:
            return None
        captions = np.asarray(batch.captions).astype(np.float16)
        check_captions(captions, count)
        if captions.shape[1] != self._header.captions:
            raise DatabaseError(f"captions: got {captions.shape[1]} dimensions, expected {self._header.captions}")
        return captions

    def _close(self) -> None:
        """End all files; may be called twice."""
        files = (self._grids, self._numbers, self._table, self._captions, self._pictures)
        self._grids = self._numbers = self._table = self._captions = self._pictures = None  # type: ignore[assignment]
        for file in files:
            if file is not None:
                file.close()


class DatabaseWriter:
    """Writes a whole database in bounded memory: `with DatabaseWriter(...) as writer: writer.add(batch)`, and so on.

    folder: new or empty, else ConfigError; index: "auto" or a name of KINDS; entries_of_segment: how many at most. When
    the block ends without an error, the manifest is written; else nothing is left behind.
    """

    def __init__(
        self,
        folder: Path,
        codebook: Codebook,
        header: Header,
        index: str = "auto",
        entries_of_segment: int = MOST_ENTRIES,
    ) -> None:
        if index != "auto" and index not in KINDS:
            raise ConfigError(f"index: got {index!r}, expected auto or one of {', '.join(KINDS)}")
        _check_header(header, codebook)
        check_target(folder)
        self._folder, self._codebook, self._header, self._kind = folder, codebook, header, index
        self._most = max(1, min(entries_of_segment, LARGEST_SEGMENT) // header.positions)
        self._styles, self._segments = Styles(), list[SegmentRecord]()
        self._segment: SegmentWriter | None = None
        write_codebook(folder, codebook)

    def __enter__(self) -> DatabaseWriter:
        return self

    def add(self, batch: Batch) -> None:
        """Write some more images; a batch may be cut between two segments."""
        if len(batch.grids) != len(batch):
            raise DatabaseError(f"grids: got {batch.grids.shape}, expected {len(batch)}: one for each row")
        start = 0
        while start < len(batch):
            if self._segment is None:
                name, first = f"{len(self._segments):06d}", sum(segment.images for segment in self._segments)
                self._segment = SegmentWriter(
                    self._folder, name, self._header, self._codebook, self._styles, first_image=first
                )
            upto = min(len(batch), start + self._most - len(self._segment))
            self._segment.add(_part(batch, start, upto))
            start = upto
            if len(self._segment) == self._most:
                self._finish_segment()

    def _finish_segment(self) -> None:
        if self._segment is not None:
            self._segments.append(self._segment.finish(self._kind))
            self._segment = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish_segment()
                if not self._segments:
                    raise DatabaseError(f"{self._folder}: got no images, expected at least one")
                made = Manifest(self._header, tuple(self._segments), self._styles.counted, self._kind)
                write_manifest(self._folder, made)
        finally:
            if self._segment is not None:
                self._segment.__exit__(kind, error, at)
            if not (self._folder / MANIFEST).exists():
                shutil.rmtree(self._folder / SEGMENTS, ignore_errors=True)
                (self._folder / CODEBOOK).unlink(missing_ok=True)


def build_index(folder: Path, kind: str, codebook: Codebook, context: Context) -> None:
    """Build an index anew in the folder of a segment, whose `index/` is emptied first."""
    if kind not in KINDS:
        raise ConfigError(f"index: got {kind!r}, expected one of {', '.join(KINDS)}")
    place = folder / "index"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    KINDS[kind].build(place, np.load(folder / "grids.npy", mmap_mode="r"), codebook, context)


def files_of(folder: Path) -> dict[str, FileRecord]:
    """Sizes and hashes of all files of a segment, by name."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): FileRecord(p.stat().st_size, hash_of(p)) for p in found}


def hash_of(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def free_name(folder: Path) -> str:
    """A name that no segment of a database has had, also not one that is being written."""
    there = [path.name.split(".")[0] for path in (folder / SEGMENTS).glob("*")]
    return f"{max((int(name) for name in there if name.isdecimal()), default=-1) + 1:06d}"


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove the segments that a manifest does not name; what cannot be removed yet stays and is ignored.

    Only after the manifest was replaced, and with nobody else writing: whoever has an older one open keeps its files on
    most systems, and hinders the removal on Windows.
    """
    kept = {segment.name for segment in manifest.segments}
    for path in (folder / SEGMENTS).glob("*"):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def write_codebook(folder: Path, codebook: Codebook) -> None:
    """Keep the unit vectors [V, d] of a codebook in a database, which can then be searched without its model."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save: Callable[[IO[bytes]], object] = lambda file: np.save(file, codebook.vectors.astype("<f4"))  # noqa: E731
        replace_file(folder / CODEBOOK, save)
    except OSError as error:
        raise DatabaseError(f"{folder}: got {error}, expected a folder that can be written") from error


def check_target(folder: Path) -> None:
    """ConfigError unless a folder is new or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"out: got {str(folder)!r}, which holds something already, expected a new or empty folder")


def _check_header(header: Header, codebook: Codebook) -> None:
    """ConfigError or DatabaseError for a header that no database could have."""
    if header.codebook != codebook.fingerprint:
        raise DatabaseError(f"codebook: got {codebook.fingerprint}, expected {header.codebook} as the header says")
    if wrong := [name for name, kind in header.columns.items() if kind not in COLUMN_KINDS or not name]:
        raise ConfigError(
            f"columns: got {wrong[0]!r} of {header.columns[wrong[0]]!r}, expected {', '.join(COLUMN_KINDS)}"
        )
    check_columns(header.columns)
    if header.positions == 0:
        got = f"grid {header.grid.height} x {header.grid.width}"
        raise DatabaseError(f"{got}: got no position with a context; use a larger one")


def _part(batch: Batch, first: int, last: int) -> Batch:
    """Some images of a batch."""
    captions = None if batch.captions is None else batch.captions[first:last]
    pictures = None if batch.pictures is None else batch.pictures[first:last]
    return Batch(batch.grids[first:last], batch.rows[first:last], captions, pictures)
