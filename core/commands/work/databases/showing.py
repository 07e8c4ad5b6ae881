"""Images of a database as contact sheets."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ....backends import Backend
from ....contact_sheet import Picture, contact_sheet
from ....patches.protocol import Database
from ....picture_file import FORMATS
from ....types import ConfigError


def check_sheet(path: Path) -> None:
    """ConfigError for a name that is no picture's; told before any work."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"sheet: got {str(path)!r}, expected a name that ends with one of {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"sheet: got {str(path)!r}, expected a place in a folder that is there")


def write_sheet(
    database: Database, images: Sequence[int], captions: Sequence[str], path: Path, columns: int,
    model: Callable[[], Backend],
) -> None:  # fmt: skip
    """Draw images with a caption each; a model decodes them where a database has no pictures."""
    page = contact_sheet(zip(captions, pictures(database, images, model), strict=True), columns)
    page.save(path, FORMATS[path.suffix.lower()], quality=85)


def pictures(database: Database, images: Sequence[int], model: Callable[[], Backend]) -> list[Picture | None]:
    """Pictures [H, W, 3] of images; the model is asked for only when some have none."""
    found = own_pictures(database, images)
    missing = [place for place, picture in enumerate(found) if picture is None]
    if missing and database.knows_images:
        backend = model()
        for place in missing:
            found[place] = backend.decode_codes(database.image_codes(images[place])[None])[0]
    return found


def own_pictures(database: Database, images: Sequence[int]) -> list[Picture | None]:
    """The pictures that a database has of images; None for those that it has not."""
    return [_opened(database.picture(image)) for image in images]


def _opened(data: bytes | None) -> Picture | None:
    """The pixels of an encoded picture; None for one that there is not, or that cannot be read."""
    if not data:
        return None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"), np.uint8)
    except (OSError, ValueError):
        return None
