"""Several databases of one codebook as one; an image that is there twice comes once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...context import Context
from ...types import DatabaseError
from ..segments.database import chosen_rows
from ..segments.images import ImageRow
from ..segments.manifest import Header
from ..segments.segment import Batch
from ..segments.writer import DatabaseWriter
from .arriving import arriving
from .contents import Holding, batches, fitted, header_of, image_count

Keys = npt.NDArray[np.uint64]
Progress = Callable[[Iterable[Batch]], Iterable[Batch]]


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of it: images written, images of each database that were left out as duplicates, and what was lost.

    lost: what some of the databases have and the result has not, and why; empty when nothing was lost.
    """

    images: int
    duplicates: tuple[int, ...]
    lost: tuple[str, ...]


def merge(
    databases: Sequence[Holding],
    out: Path,
    context: Context | None = None,
    index: str = "auto",
    progress: Progress = iter,
) -> Merged:
    """Write the images of all databases, in their order, as a new one; it appears when it is whole.

    context: what they are looked up by then, that of all of them by default.

    Two images are the same when their token grids are, and either the files that they came from or what is said of
    them. Holds about 100 bytes an image. Raises DatabaseError when they do not fit together.
    """
    headers = [header_of(database) for database in databases]
    header, lost = joint_header([replace(h, context=context) for h in headers] if context else headers)
    kept = first_ones([content_keys(batches(database, with_pictures=False)) for database in databases])
    with arriving(out) as folder, DatabaseWriter(folder, databases[0].codebook, header, index) as writer:
        for database, keep in zip(databases, kept, strict=True):
            start = 0
            for batch in progress(batches(database)):
                rows = np.flatnonzero(keep[start : start + len(batch)])
                start += len(batch)
                if len(rows):
                    writer.add(fitted(batch if len(rows) == len(batch) else chosen_rows(batch, rows), header))
    duplicates = tuple(int(np.sum(~keep)) for keep in kept)
    return Merged(sum(map(image_count, databases)) - sum(duplicates), duplicates, tuple(lost))


def joint_header(headers: Sequence[Header]) -> tuple[Header, list[str]]:
    """The header of all of them together, and what is lost; DatabaseError when they do not fit together."""
    first = headers[0]
    for number, header in enumerate(headers[1:], start=2):
        for name in ("codebook", "grid", "context"):
            if (got := getattr(header, name)) != (expected := getattr(first, name)):
                expects = f"expected {expected} as of the first; build both with one tokenizer and one context"
                raise DatabaseError(f"database {number}: got {name} {got}, {expects}")
    columns = _joint_columns(headers)
    pictures = any(header.pictures for header in headers)
    joint = replace(first, columns=columns, pictures=pictures)
    lost = [] if all(h.pictures == pictures for h in headers) else ["pictures: some databases have none"]
    vectors = {(header.captions, header.caption_encoder) for header in headers}
    if len(vectors) > 1:
        joint = replace(joint, captions=None, caption_encoder="")
        reason = "some databases have none" if None in {size for size, _ in vectors} else "several encoders made them"
        lost.append(f"caption vectors: {reason}")
    return joint, lost


def _joint_columns(headers: Sequence[Header]) -> dict[str, str]:
    """Extra columns of any of them; DatabaseError for one that is of two kinds."""
    joint = dict[str, str]()
    for number, header in enumerate(headers, start=1):
        for name, kind in header.columns.items():
            if joint.setdefault(name, kind) != kind:
                got = f"got column {name!r:.40} of {kind}, expected {joint[name]} as before"
                raise DatabaseError(f"database {number}: {got}; rename it in the source and build again")
    return joint


def content_keys(read: Iterable[Batch]) -> tuple[Keys, Keys]:
    """Two hashes [N, 2] of each image: of grid and file, of grid and words."""
    by_file, by_words = list[bytes](), list[bytes]()
    for batch in read:
        codes = np.asarray(batch.grids).astype("<u2", copy=False)
        for grid, row in zip(codes, batch.rows, strict=True):
            digest = hashlib.sha256(grid.tobytes())
            words = _hash(digest, _words(row))
            by_words.append(words)
            by_file.append(_hash(digest, f"file {row.sha256}") if row.sha256 else words)
    return _keys(by_file), _keys(by_words)


def _words(row: ImageRow) -> str:
    info = row.info
    return "\0".join((info.caption, info.style, info.concept, info.source))


def _hash(digest: hashlib._Hash, more: str) -> bytes:
    """The first half of a hash that goes on with some words."""
    copy = digest.copy()
    copy.update(more.encode())
    return copy.digest()[:16]


def _keys(hashes: Sequence[bytes]) -> Keys:
    return np.frombuffer(b"".join(hashes), "<u8").reshape(-1, 2)


def first_ones(keys: Sequence[tuple[Keys, Keys]]) -> list[npt.NDArray[np.bool_]]:
    """For each database which of its images [N] are not there before, by either key."""
    sizes = [len(by_file) for by_file, _ in keys]
    keep = np.ones(sum(sizes), bool)
    for kind in (0, 1):
        every = np.concatenate([pair[kind] for pair in keys])
        order = np.lexsort((np.arange(len(every)), every[:, 1], every[:, 0]))
        same = (every[order[1:]] == every[order[:-1]]).all(axis=1)
        keep[order[1:][same]] = False
    return np.split(keep, np.cumsum(sizes)[:-1])
