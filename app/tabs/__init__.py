"""The tabs below the stepper; each module lays one out and wires its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.tabs import whatif
from app.tabs.parts import MODEL_QUEUE, Parts, visitor

TABS: Mapping[str, Callable[[Parts], None]] = {"What if": whatif.build}
"""By label, in their order."""

__all__ = ["MODEL_QUEUE", "TABS", "Parts", "visitor"]
