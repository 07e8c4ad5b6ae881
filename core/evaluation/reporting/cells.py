"""The cells of a table as texts, alike wherever it is shown."""

from __future__ import annotations

from ..findings import Cell, Table
from ..statistics import Estimate


def texts(table: Table) -> list[list[str]]:
    """The cells; values of different numbers of items say their n, else it is said once, see `note`."""
    same = common_n(table) is not None
    return [[text(cell, table.digits, not same) for cell in row] for row in table.rows]


def note(table: Table) -> str:
    """What is said below a table, "" for nothing."""
    n = common_n(table)
    return " ".join(filter(None, [table.note, f"n = {n:,}." if n is not None else ""]))


def common_n(table: Table) -> int | None:
    """The number of items of all values, None where it differs or there are none."""
    found = {cell.n for row in table.rows for cell in row if isinstance(cell, Estimate)}
    return found.pop() if len(found) == 1 else None


def text(cell: Cell, digits: int, with_n: bool = False) -> str:
    """One cell; counts and texts as they are."""
    if isinstance(cell, Estimate):
        told = _number(cell.value, digits)
        if cell.n > 1:
            told += f" [{_number(cell.low, digits)}, {_number(cell.high, digits)}]"
        return f"{told} (n = {cell.n:,})" if with_n else told
    if isinstance(cell, (bool, str)):
        return str(cell)
    return f"{cell:,}" if isinstance(cell, int) else _number(cell, digits)


def _number(value: float, digits: int) -> str:
    """A number without a minus sign before nothing but zeros."""
    shown = f"{value:.{digits}f}"
    return shown.removeprefix("-") if float(shown) == 0 else shown
