"""The tab "Compare": runs side by side."""

from __future__ import annotations

from pathlib import Path

from app.tabs.compare.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#compare-methods": "Draw the prompt with the same seed by each method, and compare",
    "#compare-weights": "Draw it with several weights λ, and compare",
    "#compare-databases": "Draw it with each database, and compare",
    "#compare-models": "Draw it with each model, and compare",
    "#compare-stop": "End the drawing; what is drawn so far is compared",
    "[data-part=cp-scrub]": "Position in the order of drawing, in all pictures",
    "[data-part=cp-where]": "This position and the last one, in all pictures",
    ".cp-reading .lp-choice": "The code that this run took here, and its patch",
    ".cp-reading .cp-strip": "The race: for each code ln of its probability and its luck; who gets furthest is drawn",
    ".cp-near": "The nearest neighbours here, with their distance (squared L2)",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Compare",
    key="3",
    tip="Runs side by side, stepped through together",
    build=build,
    tips=TIPS,
)
