"""The tabs below the stepper; each module lays one out and wires its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.tabs import bring, compare, keep, learn, metrics, sources, sweep, whatif
from app.tabs.parts import CONCURRENT_RUNS, MODEL_QUEUE, Parts, draws, fills, on_stop, visitor

TABS: Mapping[str, Callable[[Parts], None]] = {
    "What if": whatif.build,
    "Compare": compare.build,
    "Sweep": sweep.build,
    "Sources": sources.build,
    metrics.LABEL: metrics.build,
    "Keep and share": keep.build,
    "Your pictures": bring.build,
    "Learn": learn.build,
}
"""By label, in their order."""

__all__ = ["CONCURRENT_RUNS", "MODEL_QUEUE", "TABS", "Parts", "draws", "fills", "on_stop", "visitor"]
