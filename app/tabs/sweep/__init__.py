"""The tab "Sweep": a grid of small pictures over two settings."""

from __future__ import annotations

from pathlib import Path

from app.tabs.sweep.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#sweep-across": "The setting that differs from column to column",
    "#sweep-across-values": "Its values, from left to right",
    "#sweep-down": "The setting that differs from row to row",
    "#sweep-down-values": "Its values, from top to bottom",
    "#sweep-draw": "Draw a picture for every pair of values, all in one run",
    "#sweep-stop": "End the drawing; what is drawn so far stays",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Sweep",
    key="4",
    tip="One picture for every pair of values of two settings",
    build=build,
    tips=TIPS,
)
