"""A patch database from a folder of pictures: `python -m core database build --images DIR --out DIR`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from core.backends.protocol import Backend
from core.context import Context
from core.database import ImageInfo, PatchDatabase
from core.types import ConfigError

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_PIXELS: Final = 50_000_000
"""What a telephone takes, and no bomb."""

MOST_CAPTION: Final = 2000
QUALITY: Final = 80
AT_ONCE: Final = 16

Picture = npt.NDArray[np.uint8]
Progress = Callable[[Iterable[Path]], Iterable[Path]]


def collect(backend: Backend, folder: Path, context: Context, progress: Progress = iter) -> PatchDatabase:
    """Encode all pictures of a folder; captions are in NAME.txt beside NAME.png, or else the name itself.

    Pictures are scaled to cover the model's square and cut to its middle, on white, as for the released databases.
    Raises ConfigError that names a picture which cannot be read or has too many pixels, and for a folder without any.
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
    vectors = backend.embed_captions([info.caption for info in infos])
    return PatchDatabase.build(backend.codebook, np.concatenate(grids), infos, context, vectors, encoded)


def read_picture(path: Path, side: int) -> Picture:
    """A picture [side, side, 3]; ConfigError when it cannot be read or has too many pixels."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); replace it or take it out") from None
    return np.asarray(ImageOps.fit(open_picture(data, str(path), side), (side, side), Image.Resampling.BICUBIC))


def open_picture(data: bytes, name: str, side: int) -> Image.Image:
    """An encoded picture as RGB, upright and on white; at most 4 times `side`, the size it is used at.

    Raises ConfigError with the name for what is no picture of FORMATS, and for one of too many pixels, which is told
    before it is unpacked.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    got = f"{opened.width} x {opened.height} pixels"
                    raise ConfigError(f"{name}: got {got}, expected at most {MOST_PIXELS // 10**6} million; shrink it")
                opened.draft("RGB", (2 * side, 2 * side))
                upright = ImageOps.exif_transpose(opened).convert("RGBA")
                upright.thumbnail((4 * side, 4 * side), Image.Resampling.BOX)
    except ConfigError:
        raise
    except Image.DecompressionBombError:
        expected = f"expected at most {MOST_PIXELS // 10**6} million"
        raise ConfigError(f"{name}: got far too many pixels, {expected}; shrink it") from None
    except Exception:  # decoders of hostile files raise nearly anything
        kinds = ", ".join(FORMATS)
        raise ConfigError(f"{name}: not a readable picture, expected one of {kinds}; choose another") from None
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright).convert("RGB")


def caption_of(path: Path) -> str:
    """The text beside a picture, or its name in words."""
    beside = path.with_suffix(".txt")
    text = path.stem.replace("_", " ").replace("-", " ")
    if beside.is_file():
        text = beside.read_bytes()[: 4 * MOST_CAPTION].decode("utf-8", errors="replace")
    return " ".join(text.split())[:MOST_CAPTION]


def _webp(picture: Picture) -> bytes:
    """A picture in few bytes."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=QUALITY)
    return file.getvalue()
