"""The tab "Metrics": what happened in the run in the stepper, as charts, and as figures for a paper."""

from __future__ import annotations

from pathlib import Path

from app.tabs.metrics.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#me-png": "Save the figure as a picture of 300 dots an inch",
    "#me-svg": "Save the figure as a drawing that can be edited",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Metrics",
    key="6",
    tip="Charts of this run, and figures for a paper",
    build=build,
    tips=TIPS,
)
