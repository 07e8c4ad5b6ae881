"""The tab "Sources": which sources shaped the picture in the stepper, and what is copied."""

from __future__ import annotations

from pathlib import Path

from app.tabs.sources.layout import build
from app.tabs.tab import Tab

TAB = Tab(
    folder=Path(__file__).parent,
    label="Sources",
    key="5",
    tip="Which sources shaped this picture, and what is copied",
    build=build,
)
