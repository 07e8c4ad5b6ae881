"""What an action found out, for people or for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

LISTED: Final = 12
"""Names of one kind that people are shown."""


def tell(values: Mapping[str, Any], as_json: bool) -> None:
    """Print some values: one JSON object, or a line each."""
    print(json.dumps(values) if as_json else "\n".join(lines(values)))


def lines(values: Mapping[str, Any]) -> Iterable[str]:
    """A line for each value that is there, names to the left; of many counts the first."""
    width = max((len(name) for name in values), default=0) + 2
    for name, value in values.items():
        words = name.replace("_", " ").ljust(width)
        if isinstance(value, Mapping):
            shown = list(value.items())[:LISTED]
            more = f", and {len(value) - LISTED} more" if len(value) > LISTED else ""
            yield words + ", ".join(f"{key or '(none)'} {said(one)}" for key, one in shown) + more
        else:
            yield words + said(value)


def said(value: Any) -> str:
    """A value in words."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(said, value)) or "none"
    return str(value) or "none"


def table(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Rows with the same names as columns, the first row naming them; numbers as they may be given to a command."""
    texts = [{name: str(value) for name, value in row.items()} for row in rows]
    if not texts:
        return
    widths = {name: max(len(name), *(len(row[name]) for row in texts)) for name in texts[0]}
    yield "  ".join(name.ljust(width) for name, width in widths.items()).rstrip()
    for row in texts:
        yield "  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip()
