"""What an evaluation found, as data: sections of text, tables with intervals, plots and contact sheets.

Markdown, HTML, the README's table and the page's tab are made from this alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from .statistics import Estimate

Cell = str | int | float | Estimate
"""A table's cell: text, a count, a number without an interval, or a measured value with one."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a head; digits: decimals that are shown; note: what one has to know to read it."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    digits: int = 3
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Values over x, by name, with an interval around each where low and high are given."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over one axis, or bars where `labels` name the places of x; key: unique in the report, names the file."""

    key: str
    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    labels: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a contact sheet: the n-th of an item's arm, and its caption."""

    item: str
    arm: str
    n: int
    caption: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Pictures in rows of `columns`; key: unique in the report, names the file. Each opens on the page."""

    key: str
    title: str
    shown: tuple[Shown, ...]
    columns: int = 8


Block = Table | Plot | Sheet


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what is said below it (plain text, paragraphs between empty lines), and what is shown."""

    title: str
    text: str = ""
    blocks: tuple[Block, ...] = ()
