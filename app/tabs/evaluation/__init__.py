"""The tab "Evaluation": what was measured of the models that ship, with intervals, and the pictures behind it."""

from __future__ import annotations

from pathlib import Path

from app.tabs.evaluation.layout import build
from app.tabs.tab import Tab
from core.assets import ASSETS

FILES = sorted((ASSETS / "evaluation").glob("*"))

TAB = Tab(
    folder=Path(__file__).parent,
    label="Evaluation",
    key="",
    tip="Whether look-ups help, and whether they copy: measured",
    build=build,
    tips={
        ".ev-contents a": "Go to this part",
        ".ev-picture": "Draw this picture again, and step through it",
    },
    files={file.name: file for file in FILES},
)
