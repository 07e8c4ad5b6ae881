"""What runs found, as data: report.json, from which every page about it is made; no model is needed for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ...picture_file import About
from ...types import ConfigError
from ..findings import Block, Cell, Plot, Section, Sheet, Shown, Table
from ..job import find_suite
from ..record import NONE, Record, read_record
from ..statistics import DRAWS, LEVEL, Estimate, difference, mean
from ..store import Rows, StoredRow, read_rows
from ..suite import arms

VERSION: Final = 1
PLOTS, SHEETS = "plots", "sheets"
"""Folders beside report.json."""

MOST_LINES: Final = 50
"""Of pictures in a sheet; WebP has no more than 16,383 pixels, and nobody reads a sheet of so many."""

METHOD: Final = (
    f"Values in brackets are {LEVEL:.0%} intervals: percentile bootstrap over items, {DRAWS:,} resamples with a fixed "
    "seed (Efron and Tibshirani 1993, chapter 13). Differences are paired: both sides are measured on the same items. "
    "n is the number of items."
)


@dataclass(frozen=True, slots=True)
class Run:
    """A run and what its suite found; name: unique in its report, begins the keys of its plots and sheets."""

    name: str
    record: Record
    rows: Rows
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        """For people."""
        database = "" if self.record.database == NONE else f", database {self.record.database}"
        return f"{self.record.suite}: {self.record.model}{database}"

    @property
    def measured(self) -> str:
        """How much of it is measured."""
        done, items = len(self.rows.done), self.rows.items
        missing = "" if done + len(self.rows.failed) >= items else "; the run is not finished"
        return f"{done} of {items} items{missing}"

    @property
    def failed(self) -> list[tuple[str, str]]:
        """Keys and reasons of items that could not be measured."""
        return [(key, row.failed) for key, row in self.rows.failed.items()]

    @property
    def unavailable(self) -> dict[str, str]:
        """What could not be measured at all of some items, and what to fetch."""
        found: dict[str, str] = {}
        for row in self.rows.done.values():
            for name, reason in row.unavailable.items():
                found.setdefault(name, reason)
        return dict(sorted(found.items()))

    def link(self, shown: Shown) -> str:
        """The query of the page that draws a picture of a sheet again, "" where none does."""
        row = self.rows.done.get(shown.item)
        kept = row.kept.get(shown.arm, ()) if row else ()
        if not 0 <= shown.n < len(kept) or not kept[shown.n].linkable:
            return ""
        one, database = kept[shown.n], "" if self.record.database == NONE else self.record.database
        return About(one.prompt, self.record.model, database, one.settings, one.codes_sha256).link


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Runs and their findings, those of one suite compared with the first of them; ConfigError for none, or a copy."""
    if not folders:
        raise ConfigError("report: got no folder of a run, expected at least one")
    found: list[Run] = []
    for folder in folders:
        record = read_record(folder)
        rows = read_rows(folder, record.identity)
        if not rows.done:
            reason = next((f": {row.failed:.200}" for row in rows.failed.values()), "")
            raise ConfigError(f"report: got no measured item in {str(folder)!r:.200}{reason}; measure some first")
        name = _name(record, [run.name for run in found])
        sections = tuple(find_suite(record.suite).findings(list(rows.done.values()), record.options))
        found.append(Run(name, record, rows, tuple(_named(section, name) for section in sections)))
    return [_compared(run, found[:place]) for place, run in enumerate(found)]


def _name(record: Record, taken: Sequence[str]) -> str:
    """A name that can be that of a file."""
    words = [record.suite, record.model, *([] if record.database == NONE else [Path(record.database).name])]
    plain = "-".join("".join(char if char.isascii() and char.isalnum() else "-" for char in word) for word in words)
    name = "-".join(filter(None, plain.lower().split("-")))[:60]
    return next(found for found in _numbered(name, len(taken)) if found not in taken)


def _numbered(name: str, most: int) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in range(2, most + 3))


def _named(section: Section, name: str) -> Section:
    """A section whose plots and sheets have keys that are unique in the report, and sheets that are not too tall."""
    blocks = (
        replace(block, key=f"{name}-{block.key}") if isinstance(block, (Plot, Sheet)) else block
        for block in section.blocks
    )
    return replace(section, blocks=tuple(part for block in blocks for part in _parts(block)))


def _parts(block: Block) -> Iterator[Block]:
    """A block, or the sheets that a sheet of too many lines is split into."""
    most = MOST_LINES * max(1, block.columns) if isinstance(block, Sheet) else 0
    if not isinstance(block, Sheet) or len(block.shown) <= most:
        yield block
        return
    count = -(-len(block.shown) // most)
    for number in range(count):
        shown = block.shown[number * most : (number + 1) * most]
        title = f"{block.title} ({number + 1} of {count})"
        yield replace(block, key=f"{block.key}-{number + 1}", title=title, shown=shown)


def _compared(run: Run, earlier: Sequence[Run]) -> Run:
    """A run with one more section where an earlier one is of the same suite."""
    first = next((other for other in earlier if other.record.suite == run.record.suite), None)
    return run if first is None else replace(run, sections=(*run.sections, _comparison(run, first)))


def _comparison(run: Run, first: Run) -> Section:
    """Paired differences of every figure of two runs, over the items that both have."""
    differs = _differing(run.record, first.record)
    text = f"Compared with {first.title} ({first.name}), on the items that both have. What differs: {differs}."
    pairs = [
        (row, first.rows.done[key])
        for key, row in run.rows.done.items()
        if key in first.rows.done and first.rows.done[key].about == row.about
    ]
    lines = tuple(_differences(pairs))
    if not lines:
        return Section(f"Against {first.name}", f"{text}\n\nThey have no item and figure in common.")
    head = ("arm", "figure", "here", "there", "difference")
    return Section(f"Against {first.name}", text, (Table(head, lines, note="difference: here - there, paired"),))


def _differences(pairs: Sequence[tuple[StoredRow, StoredRow]]) -> Iterator[tuple[Cell, ...]]:
    """A line for every figure of every arm that pairs of rows have in common."""
    for arm in arms([ours for ours, _ in pairs]):
        names = dict.fromkeys(name for ours, _ in pairs for name in ours.figures.get(arm, {}))
        for name in names:
            both = [
                (ours.figures[arm][name], theirs.figures[arm][name])
                for ours, theirs in pairs
                if name in ours.figures.get(arm, {}) and name in theirs.figures.get(arm, {})
            ]
            if both:
                here, there = zip(*both, strict=True)
                yield arm, name, mean(here), mean(there), difference(here, there)


def _differing(ours: Record, theirs: Record) -> str:
    """What two runs differ in, in words."""
    found = []
    for name, mine in ours.deciding.items():
        other = theirs.deciding[name]
        if mine == other:
            continue
        if not isinstance(mine, dict):
            found.append(f"{name} ({mine} here, {other} there)")
            continue
        inner = sorted(key for key in {**mine, **other} if mine.get(key) != other.get(key))
        found += [f"{name}: {key} ({mine.get(key)} here, {other.get(key)} there)" for key in inner]
    return "; ".join(found) or "nothing"


# -- JSON -------------------------------------------------------------------------------------------------------------


def as_json(runs: Sequence[Run]) -> dict[str, Any]:
    """The content of report.json."""
    return {"version": VERSION, "intervals": METHOD, "runs": [_run_json(run) for run in runs]}


def _run_json(run: Run) -> dict[str, Any]:
    record = run.record
    return {
        "suite": record.suite,
        "name": run.name,
        "title": run.title,
        "model": record.model,
        "weights": dict(record.weights),
        "database": record.database,
        "settings": dict(record.settings),
        "options": dict(record.options),
        "fingerprints": dict(record.fingerprints),
        "packages": dict(record.packages),
        "code": record.code,
        "machines": list(run.rows.machines),
        "items": len(run.rows.done),
        "of": run.rows.items,
        "failed": [{"key": key, "reason": reason} for key, reason in run.failed],
        "unavailable": run.unavailable,
        "command": record.command,
        "sections": [
            {"title": s.title, "text": s.text, "blocks": [_block_json(b, run) for b in s.blocks]} for s in run.sections
        ],
    }


def _block_json(block: Block, run: Run) -> dict[str, Any]:
    if isinstance(block, Table):
        rows = [[_cell_json(cell) for cell in row] for row in block.rows]
        return {"kind": "table", "head": list(block.head), "rows": rows, "digits": block.digits, "note": block.note}
    if isinstance(block, Plot):
        lines = [
            {"name": line.name, "x": [*line.x], "y": [*line.y], "low": [*line.low], "high": [*line.high]}
            for line in block.lines
        ]
        named = {name: getattr(block, name) for name in ("key", "title", "x", "y", "note")}
        return {"kind": "plot", **named, "lines": lines, "labels": list(block.labels)}
    shown = [
        {"item": one.item, "arm": one.arm, "n": one.n, "caption": one.caption, "link": run.link(one)}
        for one in block.shown
    ]
    return {"kind": "sheet", "key": block.key, "title": block.title, "columns": block.columns, "shown": shown}


def _cell_json(cell: Cell) -> Any:
    if isinstance(cell, Estimate):
        return {"value": cell.value, "low": cell.low, "high": cell.high, "n": cell.n}
    return cell
