"""The tab "Learn": the words, and a guided tour over a recorded run."""

from __future__ import annotations

from pathlib import Path

from app.tabs.learn.layout import build
from app.tabs.tab import Tab

TAB = Tab(
    folder=Path(__file__).parent,
    label="Learn",
    key="",
    tip="The words, and a guided tour",
    build=build,
)
