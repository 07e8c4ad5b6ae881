"""What a terminal shows of what was written to it."""

from __future__ import annotations


def shown(text: str) -> list[str]:
    """The lines in the end: what stands behind a carriage return covers what stood before it."""
    return [line.split("\r")[-1] for line in text.strip("\n").split("\n")]
