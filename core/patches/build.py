"""A patch database from a folder of pictures: `python -m core database build --images DIR --out DIR`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..backends.protocol import Backend
from ..context import Context
from ..inputs.captions import caption_of_name, cut
from ..inputs.picture import open_picture
from ..types import ConfigError
from .database import PatchDatabase
from .protocol import ImageInfo

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".jfif", ".jpe", ".tif", ".tiff", ".avif", ".apng")
MOST_CAPTION: Final = 300
"""Letters of a caption, as many as a model reads of a prompt."""

QUALITY: Final = 80
AT_ONCE: Final = 16

Picture = npt.NDArray[np.uint8]
Progress = Callable[[Iterable[Path]], Iterable[Path]]


def collect(backend: Backend, folder: Path, context: Context, progress: Progress = iter) -> PatchDatabase:
    """Encode all pictures of a folder; captions are in NAME.txt beside NAME.png, or else the name itself.

    Pictures are scaled to cover the model's square and cut to its middle, on white, as for the released databases.
    Raises ConfigError that names a picture which cannot be read or is too large, and for a folder without any.
    """
    if not folder.is_dir():
        raise ConfigError(f"images: got {str(folder)!r}, expected a folder of pictures; check the path")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ConfigError(f"images: got no {', '.join(SUFFIXES)} in {folder}, expected at least one picture")
    grids, encoded, waiting = [], [], list[Picture]()
    for path in progress(paths):
        picture = read_picture(path, backend.pixels)
        encoded.append(_webp(picture))
        waiting.append(picture)
        if len(waiting) == AT_ONCE:
            grids.append(backend.encode_images(np.stack(waiting)))
            waiting.clear()
    if waiting:
        grids.append(backend.encode_images(np.stack(waiting)))
    infos = [ImageInfo(caption_of(path), source=folder.name) for path in paths]
    vectors = backend.embed_captions([info.caption for info in infos]) if backend.caption_encoder else None
    return PatchDatabase.build(
        backend.codebook, np.concatenate(grids), infos, context, vectors, encoded,
        caption_encoder=backend.caption_encoder,
    )  # fmt: skip


def read_picture(path: Path, side: int) -> Picture:
    """A picture [side, side, 3]; ConfigError when it cannot be read or is too large."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); replace it or take it out") from None
    return open_picture(data, str(path), side).covering(side)


def caption_of(path: Path) -> str:
    """The text beside a picture, or its name in words where there is none."""
    beside = path.with_suffix(".txt")
    text = beside.read_bytes()[: 8 * MOST_CAPTION].decode("utf-8", errors="replace") if beside.is_file() else ""
    return cut(" ".join(text.split()), MOST_CAPTION) or caption_of_name(path.stem)


def _webp(picture: Picture) -> bytes:
    """A picture in few bytes."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=QUALITY)
    return file.getvalue()
