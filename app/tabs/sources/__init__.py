"""The tab "Sources": which source images shaped the picture in the stepper, and what is copied."""

from __future__ import annotations

from pathlib import Path

from app.tabs.sources.layout import build
from app.tabs.tab import Tab

WORDS = {
    "Sources": "Quellen",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Sources",
    key="4",
    tip="Which source images shaped this picture, and what is copied",
    build=build,
    words=WORDS,
)
