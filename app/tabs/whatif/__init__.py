"""The tab "What if": change one position and branch."""

from __future__ import annotations

from pathlib import Path

from app.tabs.tab import Tab
from app.tabs.whatif.layout import build

TIPS = {
    ".wi-which label": "Which patch of the paused picture to change",
    ".wi-method label": "The method from this position on",
    "[data-wi=race]": "For each code ln of its probability and its luck: above as it was, below with the change",
    ".wi-codes .lp-patch-cell": "The code's patch among its like",
    ".wi-codes .lp-code": "Number of the code in the codebook, and when it is taken",
    ".wi-codes .lp-percent": "Probability of the code, in %; 0 to 100",
    ".wi-neighbours .lp-patch-cell": "The patch that came next in the source",
    ".wi-neighbours .wi-caption": "The source of the neighbour: its caption",
    ".wi-neighbours .lp-percent": "Distance: squared L2 between contexts of unit vectors, 0 is the same context",
    ".wi-neighbours .wi-share": "Share of the look-up as it was and with the change, in %",
    ".wi-neighbours .wi-weight": "Factor on the neighbour's mass: 0 drops it, 1 leaves it as it is",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="What if",
    key="1",
    tip="Change one position and branch",
    build=build,
    tips=TIPS,
)
