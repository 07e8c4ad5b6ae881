"""The tab "From here": many ways of going on from the position where the stepper stands, drawn together."""

from __future__ import annotations

from pathlib import Path

from app.tabs.fan.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#fan-kind": "In what the ways differ; everything else is as in the picture in the stepper, the luck too",
    "#fan-count": "How many codes, or how many seeds",
    "#fan-draw": "Draw the rest of the picture in all of these ways, in one run",
    "#fan-stop": "End the drawing; what is drawn so far stays",
    ".fn-tile": "Open this picture in the stepper, as a branch of the one there",
    "#fan [data-part=fn-marks]": "Mark every later patch that is another one than in the picture in the stepper",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="From here",
    key="",
    tip="The rest of the picture, drawn in many ways from this patch on",
    build=build,
    tips=TIPS,
)
