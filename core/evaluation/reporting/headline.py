"""The few figures of the embedded models' report that the README and the page show first, looked up by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...types import ConfigError

HEAD: Final = ("", "model alone", "with look-ups", "difference", "n")


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of a report: run and section by what their names begin with, row by its first cells, column by its head.

    row: the texts of the first cells, as many as are needed to tell it from others; table: which one of the section.
    """

    run: str
    section: str
    row: tuple[str, ...]
    column: str
    table: int = 0

    def __str__(self) -> str:
        return f"{self.run}, {self.section!r}, row {' '.join(self.row)!r}, column {self.column!r}"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: what is measured, and where in the report its three values stand; None for an empty cell."""

    label: str
    alone: Place | None
    with_lookups: Place | None
    difference: Place | None = None


Cell = tuple[str, str, int]
"""Row, column and number of the table in its section."""


def _line(label: str, run: str, section: str, alone: Cell, with_lookups: Cell, less: Cell) -> Line:
    """Three cells of one section."""
    first, second, third = (
        Place(run, section, (row,), column, table) for row, column, table in (alone, with_lookups, less)
    )
    return Line(label, first, second, third)


def _nats(label: str, arm: str) -> Line:
    """The likelihood of the test side, of one arm."""
    told = f"nats per code of held-out pictures: {label}"
    cells = ("model", "test", 0), (arm, "test", 0), (arm, "test", 1)
    return _line(told, "likelihood-emoji", "Held-out likelihood", *cells)


def _seconds(label: str, arm: str) -> Line:
    """What a picture takes."""
    told, column = f"CPU seconds of a picture: {label}", "seconds of the processor"
    cells = ("model", column, 0), (arm, column, 0), (arm, "more than model", 0)
    return _line(told, "latency-emoji", "Seconds per picture", *cells)


RANK, STYLE = "concept, mean reciprocal rank", "judged to be in the style"

LINES: tuple[Line, ...] = (
    _nats("DAiD as validation chose it", "DAiD"),
    _nats("DAiD as the page sets it", "DAiD, as set"),
    _nats("FAiD", "FAiD"),
    _nats("FAiD with nothing looked up: what its tuning alone is worth", "FAiD, blank"),
    _line(
        "the same, with a control that was tuned as long without look-ups in place of the model: FAiD beyond tuning",
        "likelihood-emoji", "Held-out likelihood",
        ("control", "test", 0), ("FAiD", "test", 0), ("FAiD - control", "test", 2),
    ),
    _line(
        "concept recognised in drawn pictures, mean reciprocal rank: DAiD as the page sets it",
        "generation-emoji", "What was asked for", ("model", RANK, 0), ("daid", RANK, 0), ("daid", "less model", 0),
    ),
    _line(
        "concept recognised in drawn pictures, mean reciprocal rank: DAiD as validation chose it",
        "generation-emoji", "What was asked for",
        ("model", RANK, 0), ("chosen", RANK, 0), ("chosen", "less model", 0),
    ),
    _line(
        "share of a picture that is copied from one source or another: DAiD as the page sets it",
        "copying-emoji", "What is copied",
        ("model", "copied share", 0), ("daid-0.1", "copied share", 0), ("daid-0.1", "copied share", 1),
    ),
    _line(
        "share of a picture that is copied from one source or another: DAiD as validation chose it",
        "copying-emoji", "What is copied",
        ("model", "copied share", 0), ("chosen", "copied share", 0), ("chosen", "copied share", 1),
    ),
    _line(
        "pictures judged to be in a style that only the database has: novice, DAiD from one picture",
        "swap-novice", "Pictures in the style flat", ("alone", STYLE, 0), ("unseen", STYLE, 0), ("unseen", STYLE, 1),
    ),
    _seconds("DAiD", "daid"),
)  # fmt: skip
"""In the order in which they are shown."""

NOTE: Final = (
    "Behind values: 95 % intervals over n pictures, prompts or turns; differences are paired, and an interval that "
    "holds 0 shows none. Validation pictures choose for the likelihood of concepts that no model has seen; the "
    "lines of drawn pictures show what these settings and the page's are worth there."
)


def headline(report: Mapping[str, Any], lines: Sequence[Line] = LINES) -> dict[str, Any]:
    """The table as a block of report.json; ConfigError for a cell that the report does not have."""
    rows = [_row(report, line) for line in lines]
    return {"kind": "table", "head": list(HEAD), "rows": rows, "digits": 3, "note": NOTE}


def _row(report: Mapping[str, Any], line: Line) -> list[Any]:
    """The cells of a line; n is that of the values."""
    places = (line.alone, line.with_lookups, line.difference)
    cells = [cell(report, place) if place else "" for place in places]
    n = next((value["n"] for value in cells if isinstance(value, dict)), "")
    return [line.label, *cells, n]


def cell(report: Mapping[str, Any], place: Place) -> Any:
    """The cell at a place."""
    found = list(_cells(report, place))
    if len(found) != 1:
        raise ConfigError(
            f"report: got {len(found)} cells at {place}, expected one; measure all of `evaluate embedded`"
        )
    return found[0]


def _cells(report: Mapping[str, Any], place: Place) -> Iterator[Any]:
    for run in report["runs"]:
        sections = [
            s for s in run["sections"] if run["name"].startswith(place.run) and s["title"].startswith(place.section)
        ]
        for section in sections:
            tables = [block for block in section["blocks"] if block["kind"] == "table"]
            if place.table < len(tables) and place.column in tables[place.table]["head"]:
                table = tables[place.table]
                column = table["head"].index(place.column)
                yield from (row[column] for row in table["rows"] if tuple(row[: len(place.row)]) == place.row)
