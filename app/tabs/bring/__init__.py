"""The tab "Your pictures": a database of the visitor's own."""

from __future__ import annotations

from pathlib import Path

from app.tabs.bring.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#bring-files": "Choose up to 200 picture files (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF), each up to 10 MB",
    "#bring-forget": "Drop your pictures from the server now; closing the page does the same",
    "#bring-status": "How many pictures were taken, and which files were refused and why",
    "#bring-seen": "The pictures in your database, as the model gets them",
}
WORDS = {
    "Your pictures": "Ihre Bilder",
    "Choose pictures": "Bilder wählen",
    "Forget them": "Vergessen",
    "What was taken": "Was genommen wurde",
    "Your pictures, as the model gets them": "Ihre Bilder, wie das Modell sie bekommt",
    "Without them": "Ohne sie",
    "With them": "Mit ihnen",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Your pictures",
    key="7",
    tip="Retrieve from pictures of your own",
    build=build,
    tips=TIPS,
    words=WORDS,
)
