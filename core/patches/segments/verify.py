"""Whether a database is what its manifest says: all that opening takes on trust is read and computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ...backends.protocol import Backend
from ...codebook import Codebook
from ...inputs.picture import open_picture
from ...types import ArragError, CodeArray, DatabaseError
from ..store import check_captions
from .database import read_codebook
from .fingerprint import sum_of
from .manifest import MODULUS, NO_STYLE, Manifest, SegmentRecord, read_manifest
from .segment import Segment, blocks
from .writer import hash_of

AT_ONCE: Final = 1024
MOST_FAULTS: Final = 100

Progress = Callable[[Iterable[SegmentRecord]], Iterable[SegmentRecord]]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what is wrong with it, a line each; faults beyond MOST_FAULTS are not listed.

    encoded: how many pictures were encoded again; agreement: the mean share of their codes that came out as they are
    kept, None where none was.
    """

    segments: int
    files: int
    bytes: int
    images: int
    faults: tuple[str, ...]
    encoded: int = 0
    agreement: float | None = None


def verify(folder: Path, backend: Backend | None = None, sample: int = 32, progress: Progress = iter) -> Verified:
    """Read a whole database of segments: sizes and hashes of files, the fingerprint, and whether its parts agree.

    backend: encodes a sample of its pictures again, evenly spread. Raises DatabaseError where there is no manifest that
    can be read; whatever is wrong beyond that is told among the faults.
    """
    manifest = read_manifest(folder)
    faults = list[str]()
    codebook = _codebook(folder, manifest, backend, faults)
    first, whole = 0, list[Segment]()
    for record in progress(manifest.segments):
        segment = _opened(folder, manifest, record, codebook, first, faults)
        if segment is not None:
            whole.append(segment)
            faults += _few(_faults(segment, manifest))
        first += record.images
    shares = [] if backend is None else _agreement(backend, whole, sample, faults)
    files = [file for record in manifest.segments for file in record.files.values()]
    return Verified(
        segments=len(manifest.segments),
        files=len(files),
        bytes=sum(file.size for file in files),
        images=manifest.images,
        faults=tuple(faults[:MOST_FAULTS]),
        encoded=len(shares),
        agreement=float(np.mean(shares)) if shares else None,
    )


def _codebook(folder: Path, manifest: Manifest, backend: Backend | None, faults: list[str]) -> Codebook | None:
    """The codebook that is kept in the folder, None when it is damaged."""
    if backend is not None and backend.codebook.fingerprint != manifest.header.codebook:
        got = f"got a database of codebook {manifest.header.codebook:.80}, expected {backend.codebook.fingerprint}"
        raise DatabaseError(f"{folder}: {got}, that of {backend.name}; verify it with its own model, or without one")
    try:
        return read_codebook(folder, manifest.header.codebook)
    except DatabaseError as error:
        faults.append(str(error))
        return None if backend is None else backend.codebook


def _opened(
    folder: Path, manifest: Manifest, record: SegmentRecord, codebook: Codebook | None, first: int, faults: list[str]
) -> Segment | None:
    """A segment whose files are there, None for one that cannot be looked into."""
    if codebook is None:
        return None
    try:
        return Segment(folder, record, manifest.header, codebook, first)
    except DatabaseError as error:
        faults.append(str(error))
        return None


def _few(faults: Iterator[str]) -> list[str]:
    """The first faults of a segment; reading ends at them, or at what cannot be read at all."""
    found = list[str]()
    try:
        for fault in faults:
            found.append(fault)
            if len(found) == MOST_FAULTS:
                break
    except DatabaseError as error:
        found.append(str(error))
    return found


def _faults(segment: Segment, manifest: Manifest) -> Iterator[str]:
    """What is wrong with a segment."""
    for name, expected in segment.record.files.items():
        if hash_of(segment.folder / name) != expected.sha256:
            yield f"{segment.folder / name}: got another content than was written (sha256); copy it again"
    names = [name for name, _ in manifest.styles]
    total = 0
    for first, last in blocks(len(segment), AT_ONCE):
        grids, infos = segment.grids[first:last], [row.info for row in segment.table.rows(first, last)]
        captions = None if segment.captions is None else segment.captions[first:last]
        total += sum_of(segment.first_image + first, grids, infos, captions)
        if grids.max() >= segment.codebook.size:
            yield f"{segment.folder / 'grids.npy'}: got code {grids.max()}, expected 0..{segment.codebook.size - 1}"
        if captions is not None:
            check_captions(captions, len(captions))
        said = [info.style for info in infos]
        numbered = [_style(names, number) for number in segment.styles[first:last].tolist()]
        if said != numbered:
            at = next(i for i, pair in enumerate(zip(said, numbered, strict=True)) if pair[0] != pair[1])
            got = f"got style {numbered[at]!r:.60} for image {segment.first_image + first + at}"
            yield f"{segment.folder / 'styles.npy'}: {got}, expected {said[at]!r:.60} as in images.parquet"
    if f"{total % MODULUS:064x}" != segment.record.sum:
        yield f"{segment.folder}: got images of another fingerprint than the manifest has; copy it again"
    if segment.header.pictures:
        yield from _outside(segment, segment.places)


def _style(names: list[str], number: int) -> str:
    """Name of a style by its number, "" for none."""
    if number == NO_STYLE:
        return ""
    return names[number] if number < len(names) else f"no. {number}"


def _outside(segment: Segment, places: npt.NDArray[np.int64]) -> Iterator[str]:
    """Pictures that would lie outside of their files."""
    shards = [name for name in segment.record.files if name.startswith("pictures/")]
    sizes = np.full(len(shards) + 1, -1, np.int64)
    for name in shards:
        number = int(Path(name).stem)
        if number < len(shards):
            sizes[number] = segment.record.files[name].size
    shard, offset, length = places.T
    there = length != 0
    known = sizes[np.where((shard >= 0) & (shard < len(shards)), shard, len(shards))]
    wrong = there & ((length < 0) | (offset < 0) | (offset > known) | (length > known - offset))
    for image in np.flatnonzero(wrong)[:1].tolist():
        got = (
            f"got {int(wrong.sum())} pictures outside of their files, the first of image {segment.first_image + image}"
        )
        yield f"{segment.folder / 'pictures.npy'}: {got}; copy it again"


def _agreement(backend: Backend, segments: list[Segment], sample: int, faults: list[str]) -> list[float]:
    """Shares of codes that come out again, of pictures evenly spread over all segments.

    Pictures are kept with losses, so that not all codes do. A picture belongs to its grid when it agrees more with that
    than with half of the other grids.
    """
    total, images, again, grids = sum(len(segment) for segment in segments), list[int](), list[CodeArray](), []
    for number in np.unique(np.linspace(0, total - 1, min(sample, total)).astype(np.int64)).tolist():
        segment, row = _within(segments, number)
        try:
            codes = _encoded(backend, segment, row)
        except ArragError as error:
            faults.append(f"{segment.folder}: image {segment.first_image + row}: {error}")
            continue
        if codes is not None:
            images.append(segment.first_image + row)
            again.append(codes)
            grids.append(np.array(segment.grids[row]))
    if not images:
        return []
    shares = np.array([[float((codes == grid).mean()) for grid in grids] for codes in again])
    for place, image in enumerate(images):
        own, usual = shares[place, place], np.median(shares[place])
        if len(images) > 2 and own < 1 and own <= usual:
            got = f"got {own:.0%} of its codes again from its picture, and {usual:.0%} of those of other images"
            faults.append(f"image {image}: {got}; build the database again")
    return [float(share) for share in np.diagonal(shares)]


def _within(segments: list[Segment], number: int) -> tuple[Segment, int]:
    """Segment and row of an image, counted over these segments."""
    for segment in segments:
        if number < len(segment):
            return segment, number
        number -= len(segment)
    raise AssertionError("more images than there are")


def _encoded(backend: Backend, segment: Segment, row: int) -> CodeArray | None:
    """Token grid of the picture of an image; None where there is none."""
    picture = segment.picture(row)
    if picture is None:
        return None
    pixels = open_picture(picture, f"picture {row}", backend.pixels).covering(backend.pixels)
    codes: CodeArray = backend.encode_images(np.stack([pixels]))[0]
    return codes
