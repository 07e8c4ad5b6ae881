"""The tab "Read a picture": how surprising a real picture is with and without look-ups, and where they help."""

from __future__ import annotations

from pathlib import Path

from app.tabs.read.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#image-upload": "Read a picture of yours as if it were being drawn",
    "#image-number": "Number of a picture, as the cards of neighbours and the sources have it",
    "#image-take": "Read the picture of the database with this number",
    "#image-rows": "How many rows of the picture stay; the rest is drawn by each method",
    "#image-complete": "Keep the first rows of the picture, and draw the rest by each method",
    ".wm-map figcaption": "Mean surprise in nats a code, and the change against the model alone",
    "[data-wm=table]": "Mean surprise of each row in nats a code, by method",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Read a picture",
    key="7",
    tip="Does looking up help with a real picture, and where?",
    build=build,
    tips=TIPS,
)
