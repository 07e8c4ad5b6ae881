"""Few segments instead of many: the same images, numbers, answers and fingerprint, found with fewer look-ups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ...codebook import Codebook
from ..segments.manifest import Manifest, SegmentRecord
from ..segments.segment import Batch, Segment, blocks
from ..segments.writer import MOST_ENTRIES, SegmentWriter, Styles, free_name
from .contents import BLOCK
from .replacing import begin, finish

Progress = Callable[[Iterable[Batch]], Iterable[Batch]]


def compact(
    folder: Path, most: int = MOST_ENTRIES, keep_old: bool = False, progress: Progress = iter
) -> tuple[int, int]:
    """Join neighbouring segments of at most `most` entries together, in their place; their number before and after.

    keep_old: leave the files of the old ones until the next call, for programs that have the database open and map them
    when they first need them. Killed in the middle, the database is as it was; the next call removes what was left.
    Raises DatabaseError while a build adds to it, and when somebody else changed it meanwhile.
    """
    database = begin(folder)
    manifest = database.manifest
    records = list[SegmentRecord]()
    for group in groups_of(database.segments, most):
        if len(group) == 1:
            records.append(group[0].record)
        else:
            records.append(_joined(folder, manifest, database.codebook, group, progress))
    if len(records) < len(manifest.segments):
        finish(folder, manifest, replace(manifest, segments=tuple(records)), keep_old)
    return len(manifest.segments), len(records)


def groups_of(segments: Sequence[Segment], most: int) -> list[list[Segment]]:
    """Neighbouring segments to be joined: each group has at most `most` entries, unless it is one alone."""
    groups, held = list[list[Segment]](), 0
    for segment in segments:
        entries = len(segment) * segment.header.positions
        if groups and held + entries <= most:
            groups[-1].append(segment)
            held += entries
        else:
            groups.append([segment])
            held = entries
    return groups


def _joined(
    folder: Path, manifest: Manifest, codebook: Codebook, group: Sequence[Segment], progress: Progress
) -> SegmentRecord:
    """One segment with the images of a group."""
    styles, first = Styles(manifest.styles), group[0].first_image
    with SegmentWriter(folder, free_name(folder), manifest.header, codebook, styles, first) as writer:
        for batch in progress(part for segment in group for part in _read(segment)):
            writer.add(batch)
        return writer.finish(manifest.index)


def _read(segment: Segment) -> Iterable[Batch]:
    return (segment.read(first, last) for first, last in blocks(len(segment), BLOCK))
