"""The contact sheets of a report."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ...contact_sheet import CAPTION, contact_sheet
from ..findings import Sheet, Shown
from ..suite import Pixels
from .report import Run

CELL: Final = 132
"""Pixels of a picture and its border: those of the embedded models are shown as large as they are."""
QUALITY: Final = 88


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture stands in a sheet, in shares of its width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def sides(self) -> tuple[tuple[str, float], ...]:
        """By the names that style sheets have for them."""
        return ("left", self.left), ("top", self.top), ("width", self.width), ("height", self.height)


def webp(sheet: Sheet, run: Run) -> bytes:
    """A sheet as a WebP file; what is not there is grey."""
    page = contact_sheet(((one.caption, _pixels(one, run)) for one in sheet.shown), sheet.columns, CELL)
    held = io.BytesIO()
    page.save(held, "WEBP", quality=QUALITY, method=4)
    return held.getvalue()


def places(sheet: Sheet) -> list[Place]:
    """Where each of its pictures stands."""
    return list(_places(sheet))


def _places(sheet: Sheet) -> Iterator[Place]:
    columns = max(1, min(sheet.columns, len(sheet.shown)))
    lines = -(-len(sheet.shown) // columns)
    for n in range(len(sheet.shown)):
        row, column = divmod(n, columns)
        yield Place(column / columns, row / lines, 1 / columns, CELL / (CELL + CAPTION) / lines)


def _pixels(shown: Shown, run: Run) -> Pixels | None:
    row = run.rows.done.get(shown.item)
    if row is None or not 0 <= shown.n < len(row.kept.get(shown.arm, ())):
        return None
    return row.picture(shown.arm, shown.n)
