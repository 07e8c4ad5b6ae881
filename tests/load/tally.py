"""What came of the requests of many visitors, counted: figures for programs and tables for people."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["done", "refused", "crossed", "failed"]

POLITE = re.compile(
    r"\b(busy|full|queue|wait|waiting|too many|try again|limit|at once|moment|room|expected at most)\b", re.I
)
"""Words of a refusal by which a visitor learns that there are too many, or that too much was asked for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request.

    seconds: until the whole answer was there; first: until the first patches were seen, None where nothing is shown on
    the way; pictures: that came; state: crossed means that something of another visitor's came, or something that was
    not asked for; message: of what went wrong.
    """

    kind: str
    seconds: float
    pictures: int
    state: State = "done"
    message: str = ""
    first: float | None = None


def state_of(message: str) -> State:
    """Whether an error is a polite refusal."""
    return "refused" if POLITE.search(message) and "went wrong" not in message else "failed"


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of all are not above; NaN without any."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else math.nan


Figures = Mapping[str, float | int | str]


def figures(outcomes: Sequence[Outcome], seconds: float) -> dict[str, float | int | str]:
    """What a table says of requests that took a while together."""
    states = Counter(outcome.state for outcome in outcomes)
    pictures = sum(outcome.pictures for outcome in outcomes if outcome.state == "done")
    whole = [o.seconds for o in outcomes if o.state == "done" and o.kind in ("generate", "page")]
    first = [outcome.first for outcome in outcomes if outcome.first is not None]
    told = Counter(outcome.message for outcome in outcomes if outcome.message)
    return {
        "requests": len(outcomes),
        "pictures": pictures,
        "seconds": round(seconds, 2),
        "pictures a second": round(pictures / seconds, 3) if seconds else math.nan,
        "picture p50 s": round(percentile(whole, 0.5), 2),
        "picture p95 s": round(percentile(whole, 0.95), 2),
        "first patch p50 s": round(percentile(first, 0.5), 2),
        "first patch p95 s": round(percentile(first, 0.95), 2),
        "refused": states["refused"],
        "failed": states["failed"],
        "crossed": states["crossed"],
        "told": "; ".join(f"{number} x {message:.160}" for message, number in told.most_common(5)),
    }


def table(rows: Mapping[str, Figures]) -> str:
    """Figures side by side: a column for each set of them, a line for each name that any of them has."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row if name != "told"))
    head = ["", *rows]
    lines = [head, *([name, *(_shown(row.get(name)) for row in rows.values())] for name in names)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    told = [f"{name}: {row['told']}" for name, row in rows.items() if row.get("told")]
    return "\n".join([text, *told])


def _shown(value: float | int | str | None) -> str:
    """A figure in a table; a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
