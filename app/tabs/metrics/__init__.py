"""The tab "Metrics": what happened in the run in the stepper, as charts, and as figures for a paper."""

from __future__ import annotations

from pathlib import Path

from app.tabs.metrics.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#me-png": "Save the figure as a picture of 300 dots an inch",
    "#me-svg": "Save the figure as a drawing that can be edited",
}
WORDS = {
    "Metrics": "Messwerte",
    "Figure for a paper": "Abbildung für einen Artikel",
    "Drawn anew with matplotlib, in print size.": "Mit matplotlib neu gezeichnet, in Druckgröße.",
    "All of them": "Alle",
    "Entropy by row": "Entropie je Zeile",
    "KL by position": "KL je Position",
    "Distances": "Abstände",
    "Effective number of neighbours": "Wirksame Anzahl der Nachbarn",
    "Time": "Zeit",
    "Width": "Breite",
    "85 or 175 mm.": "85 oder 175 mm.",
    "one column": "eine Spalte",
    "two columns": "zwei Spalten",
    "PNG, 300 dpi": "PNG, 300 dpi",
    "File": "Datei",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Metrics",
    key="5",
    tip="Charts of this run, and figures for a paper",
    build=build,
    tips=TIPS,
    words=WORDS,
)
