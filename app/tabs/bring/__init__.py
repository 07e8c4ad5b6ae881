"""The tab "Your pictures": a database of the visitor's own."""

from __future__ import annotations

from pathlib import Path

from app.own import MAX_BYTES, MAX_PICTURES
from app.tabs.bring.layout import build
from app.tabs.tab import Tab
from core.inputs.formats import READ_NAMES

TIPS = {
    "#bring-files": f"Choose up to {MAX_PICTURES} files ({READ_NAMES}), each up to {MAX_BYTES >> 20} MB",
    "#bring-forget": "Remove your pictures from the server now; they go by themselves 15 minutes after you leave",
    "#bring-status": "How many pictures were taken, and which files were refused and why",
    "#bring-closely": "Draw the prompt, most of it copied from the one of your pictures that fits it best",
    "#bring-loosely": "Draw the prompt, with look-ups into the few of your pictures that fit it best",
    "#bring-seen": "The pictures in your database, as the model gets them; click one to draw its caption",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Your pictures",
    key="9",
    tip="Draw from pictures of your own",
    build=build,
    tips=TIPS,
)
