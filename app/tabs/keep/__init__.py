"""The tab "Keep and share": a link, downloads, a trace from a file, and the end of what the server keeps."""

from __future__ import annotations

from pathlib import Path

from app.arrivals import MAX_FILE_BYTES
from app.tabs.keep.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#copy-link": "Copy an address that draws this run again and opens it at this position",
    "#save-picture": "The picture, with prompt, settings and link inside, where image programs show them",
    "#save-page": "One file that replays this run from disk, with its pictures, without a server",
    "#save-trace": "Everything that decided each code, as a plain npz file for Python or for this page",
    "#forget-all": "End this visit now: runs, own pictures and files go from the server, and the page begins anew",
    "#open-trace": f"Show a trace (.npz, up to {MAX_FILE_BYTES >> 20} MB) that this page or the command line has saved",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Keep and share",
    key="0",
    tip="Link and downloads",
    build=build,
    tips=TIPS,
)
