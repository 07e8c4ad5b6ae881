"""Another kind of index for the segments of a database: same images, numbers and fingerprint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ...codebook import Codebook
from ..segments.manifest import SEGMENTS, Manifest, SegmentRecord
from ..segments.segment import Segment
from ..segments.tune import Tuning, tune
from ..segments.writer import build_index, files_of, free_name
from .replacing import begin, finish

INDEX = "index"
Progress = Callable[[Iterable[str]], Iterable[str]]


def measure(
    folder: Path, k: int = 64, queries: int = 200, kinds: Sequence[str] = (), progress: Progress = iter
) -> Tuning:
    """Measure kinds of index on the largest segment of a database, in its folder; see `tune`."""
    database = begin(folder)
    largest = max(database.segments, key=len)
    work = folder / SEGMENTS / f"{free_name(folder)}.part"
    try:
        return tune(largest.grids, database.codebook, database.context, work, k, queries, kinds, progress)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def reindex(folder: Path, kind: str, tuning: Tuning | None = None, keep_old: bool = False) -> int:
    """Give every segment that has another one an index of a kind, and keep what was measured; how many were built.

    Segments are written anew beside the old ones, with the same files under new names where the disk allows that.
    Killed in the middle, the database is as it was. keep_old: see `replacing.finish`.
    """
    database = begin(folder)
    manifest = database.manifest
    records = [
        segment.record
        if segment.record.index == kind
        else _with_index(folder, manifest, database.codebook, segment, kind)
        for segment in database.segments
    ]
    tuned = manifest.tuned if tuning is None else tuning.kept
    finish(folder, manifest, replace(manifest, segments=tuple(records), index=kind, tuned=tuned), keep_old)
    return sum(new != old for new, old in zip(records, manifest.segments, strict=True))


def _with_index(folder: Path, manifest: Manifest, codebook: Codebook, segment: Segment, kind: str) -> SegmentRecord:
    """A segment with the files of another one, and an index of its own."""
    name = free_name(folder)
    part = folder / SEGMENTS / f"{name}.part"
    kept = {file: record for file, record in segment.record.files.items() if not file.startswith(f"{INDEX}/")}
    for file in kept:
        (part / file).parent.mkdir(parents=True, exist_ok=True)
        _link(segment.folder / file, part / file)
    build_index(part, kind, codebook, manifest.header.context)
    made = {f"{INDEX}/{file}": record for file, record in files_of(part / INDEX).items()}
    os.replace(part, folder / SEGMENTS / name)
    return replace(segment.record, name=name, index=kind, files={**kept, **made})


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the disk has no such links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
