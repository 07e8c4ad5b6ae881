"""The page of the gallery, and what a static Space needs beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from app.gallery.card import ATTRIBUTES, card
from app.pictures import RGB
from app.replay.bundle import bundle

FOLDER: Final = Path(__file__).parent
APP: Final = FOLDER.parent
SHEETS: Final = (
    "stage/stage.css", "stepper/stepper.css", "tabs/inside/inside.css", "tabs/sources/sources.css",
    "tabs/compare/compare.css", "tabs/sweep/sweep.css", "replay/replay.css", "gallery/gallery.css",
)  # fmt: skip
TEMPLATES: Final = {
    "stepper": "stepper/stepper.html", "inside": "tabs/inside/inside.html", "sources": "tabs/sources/sources.html",
    "compare": "tabs/compare/compare.html", "sweep": "tabs/sweep/sweep.html",
}  # fmt: skip
THUMBNAIL: Final = "thumbnail.png"
THUMBNAIL_SIZE: Final = (1200, 600)
HUB: Final = "https://huggingface.co/spaces"


@dataclass(frozen=True, slots=True)
class Space:
    """Names of Spaces, each OWNER/NAME: the one that the folder is for, and one that draws; "" where not known."""

    name: str = ""
    live: str = ""

    @property
    def thumbnail(self) -> str:
        """Address of the thumbnail, which must be whole; "" where the Space is not known."""
        return f"{HUB}/{self.name}/resolve/main/{THUMBNAIL}" if self.name else ""


def files(space: Space, thumbnail: RGB) -> Mapping[str, bytes]:
    """The page with its script and its style sheet, and what the Hub reads, by name."""
    html = text(FOLDER / "page.html")
    for name, template in TEMPLATES.items():
        html = html.replace(f"<!-- {name} -->", text(APP / template))
    return {
        "index.html": html.encode(),
        "gallery.js": bundle(FOLDER / "gallery.js").encode(),
        "gallery.css": "\n".join(text(APP / sheet) for sheet in SHEETS).encode(),
        "README.md": card(space.thumbnail).encode(),
        ".gitattributes": ATTRIBUTES.encode(),
        THUMBNAIL: framed(thumbnail),
    }


def framed(picture: RGB) -> bytes:
    """A picture in the middle of a white one of the size of thumbnails, as PNG."""
    frame, inner = Image.new("RGB", THUMBNAIL_SIZE, "white"), Image.fromarray(picture)
    scale = min(side / own for side, own in zip(THUMBNAIL_SIZE, inner.size, strict=True))
    inner = inner.resize((round(inner.width * scale), round(inner.height * scale)))
    frame.paste(inner, ((frame.width - inner.width) // 2, (frame.height - inner.height) // 2))
    buffer = io.BytesIO()
    frame.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def text(file: Path) -> str:
    """The text of a file."""
    return file.read_text(encoding="utf-8")
