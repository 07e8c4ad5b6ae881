"""The tab "Keep and share": a link, downloads, a trace from a file, and the pictures of this visit."""

from __future__ import annotations

from pathlib import Path

from app.tabs.keep.layout import build
from app.tabs.keep.words import WORDS
from app.tabs.tab import Tab

TIPS = {
    "#copy-link": "Copy an address that draws this run again and opens it at this position",
    "#save-picture": "The picture, with prompt, settings and link inside, where image programs show them",
    "#save-page": "One file under 3 MB that replays this run from disk, with its pictures, without a server",
    "#save-trace": "Everything that decided each code, as a plain npz file for Python or for this page",
    "#open-trace": "Show a trace (.npz, up to 32 MB) that this page or the command line has saved",
    "#history": "The finished runs of this visit, newest first, 32 at most; click one to see it again",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Keep and share",
    key="6",
    tip="Link, downloads, and the pictures of this visit",
    build=build,
    tips=TIPS,
    words=WORDS,
)
