"""Parts become segments, in their order, without pictures that are there already; the manifest comes last."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ...codebook import Codebook
from ...context import Context
from ...types import ConfigError
from ..segments.database import SegmentedDatabase, chosen_rows
from ..segments.images import ImageRow
from ..segments.manifest import Header, Manifest, SegmentRecord
from ..segments.segment import Batch
from ..segments.writer import MOST_ENTRIES, SegmentWriter, Styles, free_name
from .facts import Facts
from .parts import Kept, fitted, read_kept, read_tally
from .plan import BuildOptions, Plan, part_folder
from .progress import Progress
from .report import Report, options_json
from .target import Target

HASH: Final = 32
Hashes = npt.NDArray[np.uint8]


def header_of(facts: Facts, plan: Plan, columns: Mapping[str, str]) -> Header:
    """What the segments of a new database share."""
    context = plan.options.context or Context()
    return Header(facts.codebook, facts.grid, context, facts.captions, facts.caption_encoder, True, dict(columns))


def check_fits(base: Header, facts: Facts, options: BuildOptions) -> None:
    """ConfigError unless pictures of a model can be added to a database."""
    for name, got, expected in (
        ("codebook", facts.codebook, base.codebook),
        ("token grid", f"{facts.grid.height} x {facts.grid.width}", f"{base.grid.height} x {base.grid.width}"),
        ("context", options.context, base.context),
    ):
        if got != expected:
            raise ConfigError(f"append: got {name} {got}, but the database has {expected}; build another one")
    if base.captions is not None and (facts.captions, facts.caption_encoder) != (base.captions, base.caption_encoder):
        raise ConfigError("append: got another encoder of captions than the database has; build another one")


def report_of(plan: Plan, folder: Path) -> Report:
    """What all parts say; the pictures that are taken are still to be counted."""
    report = Report(options_json(plan.source), options_json(plan.options), plan.digest, plan.left_out)
    for number in range(len(plan.sizes)):
        report.add(read_tally(part_folder(folder, number)))
    return report


def write_segments(
    target: Target, folder: Path, plan: Plan, header: Header, codebook: Codebook, report: Report, progress: Progress
) -> Manifest:
    """Write the segments of all parts, and say what the manifest will be; counts into the report."""
    base = target.base or Manifest(header, ())
    report.dropped_columns = sorted(set(report.columns) - set(header.columns))
    styles, records, first = Styles(base.styles), list[SegmentRecord](), base.images
    batches = _cut(_batches(target, folder, plan, header, report, progress), MOST_ENTRIES // header.positions)
    for _, group in itertools.groupby(batches, key=lambda numbered: numbered[0]):
        name = free_name(target.out)
        with SegmentWriter(target.out, name, header, codebook, styles, first) as writer:
            for _, batch in group:
                writer.add(batch)
            first += len(writer)
            progress.begin("index", None)
            records.append(writer.finish(base.index))
    return replace(base, header=header, segments=(*base.segments, *records), styles=styles.counted)


def _batches(
    target: Target, folder: Path, plan: Plan, header: Header, report: Report, progress: Progress
) -> Iterator[Batch]:
    """Every part without the pictures that are there already."""
    places = [part_folder(folder, number) for number in range(len(plan.sizes))]
    hashes = [np.load(place / "hashes.npy") for place in places]
    known = _known(target)
    firsts = first_of_each(np.concatenate([known, *hashes]))
    kept_of = lru_cache(maxsize=4)(lambda number: list(read_kept(places[number])))
    starts = np.cumsum([len(known), *map(len, hashes)])
    progress.begin("write", int(starts[-1] - starts[0]))
    for number, (start, end) in enumerate(itertools.pairwise(starts.tolist())):
        rows = kept_of(number)
        new = np.flatnonzero(firsts[start:end] == np.arange(start, end))
        for row in np.setdiff1d(np.arange(end - start), new).tolist():
            first = int(firsts[start + row])
            part = int(np.searchsorted(starts, first, side="right")) - 1
            of = f"image {first}" if part < 0 else kept_of(part)[first - int(starts[part])].name
            report.add_duplicate(rows[row].name, of, already=part < 0)
        for row in new.tolist():
            report.take(rows[row])
        if len(new):
            yield chosen_rows(_batch(places[number], rows, header), new)
        progress.at(end - int(starts[0]))


def _batch(place: Path, rows: list[Kept], header: Header) -> Batch:
    """A whole part, as a database with some header keeps it."""
    pictures = None
    if header.pictures:
        data, ends = (place / "pictures.bin").read_bytes(), np.cumsum(np.load(place / "lengths.npy")).tolist()
        pictures = [data[first:last] for first, last in itertools.pairwise([0, *ends])]
    captions = np.load(place / "captions.npy") if header.captions is not None else None
    return Batch(np.load(place / "grids.npy"), [_fitting(kept.row, header) for kept in rows], captions, pictures)


def _fitting(row: ImageRow, header: Header) -> ImageRow:
    """A row with the columns of a database."""
    return replace(row, extra={name: fitted(row.extra.get(name), kind) for name, kind in header.columns.items()})


def _cut(batches: Iterator[Batch], most: int) -> Iterator[tuple[int, Batch]]:
    """The batches with the number of the segment that each belongs to, cut where one is full."""
    segment, count = 0, 0
    for batch in batches:
        start = 0
        while start < len(batch):
            if count == most:
                segment, count = segment + 1, 0
            upto = min(len(batch), start + most - count)
            yield segment, chosen_rows(batch, np.arange(start, upto))
            count, start = count + upto - start, upto


def _known(target: Target) -> Hashes:
    """Hashes [N, HASH] of the files that the images of a database came from; zero where that is not known."""
    if target.base is None:
        return np.zeros((0, HASH), np.uint8)
    found = []
    for segment in SegmentedDatabase.open(target.out).segments:
        for group in range(segment.table.groups):
            texts = segment.table.column("sha256", group).to_pylist()
            found.append(np.frombuffer(bytes.fromhex("".join(text or "0" * 2 * HASH for text in texts)), np.uint8))
    return np.concatenate(found).reshape(-1, HASH)


def first_of_each(hashes: Hashes) -> npt.NDArray[np.int64]:
    """The number of the first row of the same content, for every row of hashes [N, HASH]; zeros are alike to none.

    Compares 16 bytes: two different files of one such hash do not occur.
    """
    words = np.ascontiguousarray(hashes[:, :16]).view(">u8").astype(np.uint64)
    order = np.lexsort((np.arange(len(words)), words[:, 1], words[:, 0]))
    ordered = words[order]
    new = np.ones(len(words), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1) | ~ordered[1:].any(axis=1)
    firsts = np.empty(len(words), np.int64)
    firsts[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]] if len(words) else 0
    return firsts
