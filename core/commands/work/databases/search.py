"""Look something up in a database."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from tqdm import tqdm

from ....analysis.holdings import pictures_like
from ....backends import Backend
from ....context import context_codes, skip_reason
from ....inputs.picture import open_picture
from ....patches.protocol import Database, check_caption_encoder
from ....patches.segments.database import SegmentedDatabase
from ....patches.tending.contents import Holding, batches
from ....types import ConfigError
from ..loading import loaded
from .opening import opened
from .report import table
from .sample import numbers
from .showing import check_sheet, write_sheet

Found = list[dict[str, Any]]
COLUMNS = 6


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.search` for what is chosen."""
    if chosen.sheet is not None:
        check_sheet(chosen.sheet)
    database = opened(chosen.database, chosen)
    model = _once(lambda: loaded(chosen))
    if chosen.image is not None:
        asked, found = {"image": str(chosen.image)}, like_picture(database, model(), chosen)
    elif chosen.text is not None:
        asked, found = {"text": chosen.text}, like_words(database, model, chosen)
    else:
        asked, found = {"patch": chosen.patch}, like_patch(database, chosen.patch, chosen.number)
    if chosen.json:
        print(json.dumps({"asked": asked, "found": found}))
    else:
        print("\n".join(table(found)) or "nothing found")
    if chosen.sheet is not None and found:
        captions = [f"{one['image']}: {one['caption']}" for one in found]
        write_sheet(database, [one["image"] for one in found], captions, chosen.sheet, COLUMNS, model)
    return 0


def _once(load: Callable[[], Backend]) -> Callable[[], Backend]:
    """A model that is loaded when it is first asked for."""
    held = list[Backend]()

    def model() -> Backend:
        if not held:
            held.append(load())
        return held[0]

    return model


def like_picture(database: Holding, backend: Backend, chosen: argparse.Namespace) -> Found:
    """Images that share most neighbourhoods with a picture, which the model encodes."""
    if backend.codebook.fingerprint != database.codebook.fingerprint:
        raise ConfigError("image: got a model of another codebook than the database; give its --backend")
    picture = open_picture(chosen.image.read_bytes(), str(chosen.image), backend.pixels).covering(backend.pixels)
    codes = backend.encode_images(np.stack([picture]))[0]
    like = pictures_like(database, codes)
    best = list(zip(like.images.tolist(), like.counts.tolist(), strict=True))[: chosen.number]
    return [{"image": image, "shared": count, "of": like.contexts, **_said(database, image)} for image, count in best]


def like_words(database: Holding, model: Callable[[], Backend], chosen: argparse.Namespace) -> Found:
    """Images by what their captions mean where there are vectors of this model's, else those that contain all words."""
    words = re.findall(r"\w+", chosen.text.casefold())
    if not words:
        raise ConfigError("text: got no word; say what is looked for")
    if database.caption_encoder and (backend := model()).caption_encoder:
        check_caption_encoder(database, backend.caption_encoder)
        vector = backend.embed_captions([chosen.text])[0]
        if vector.any():
            images = database.nearest_captions(vector, chosen.number)
            vectors = database.caption_vectors(images)
            assert vectors is not None
            alike = zip(images.tolist(), (vectors @ vector).tolist(), strict=True)
            return [{"image": image, "likeness": round(one, 4), **_said(database, image)} for image, one in alike]
    return [{"image": image, **_said(database, image)} for image in containing(database, words, chosen.number)]


def containing(database: Holding, words: list[str], limit: int) -> list[int]:
    """Images of whose caption, style or concept every word is a part; those with all of them as whole words first."""
    whole, parts, number = list[int](), list[int](), 0
    images = range(database.manifest.images) if isinstance(database, SegmentedDatabase) else database.images.tolist()
    for batch in tqdm(batches(database, with_pictures=False), unit="block", desc="read", leave=False):
        for row in batch.rows:
            text = f"{row.info.caption} {row.info.style} {row.info.concept}".casefold()
            if all(word in text for word in words):
                (whole if set(words) <= set(re.findall(r"\w+", text)) else parts).append(images[number])
            number += 1
        if len(whole) >= limit:
            break
    return [*whole, *parts][:limit]


def like_patch(database: Holding, patch: str, number: int) -> Found:
    """The entries nearest to the context of a place in an image of the database."""
    place = numbers(patch) or []
    if len(place) != 3:
        raise ConfigError(f"patch: got {patch!r:.80}, expected an image, a row and a column, such as 12,5,7")
    image, row, col = place
    grid = database.grid
    if not (row < grid.height and col < grid.width):
        raise ConfigError(f"patch: got {patch!r:.80}, expected a place in {grid.height} rows and {grid.width} columns")
    position = row * grid.width + col
    if reason := skip_reason(database.context, grid, position):
        raise ConfigError(f"patch: nothing is looked up at row {row}, column {col}: {reason}")
    database.subset([image])
    query = context_codes(database.context, database.image_codes(image)[None], np.array([position]))[0]
    near = database.search(query, min(number, len(database)))[0]
    places = (part.tolist() for part in database.provenance(near.entries))
    rows = zip(*places, near.codes.tolist(), near.distances.tolist(), near.entries.tolist(), strict=True)
    return [
        {"image": image, "row": row, "col": col, "code": code, "distance": round(distance, 5), "entry": entry,
         **_said(database, image)}
        for image, row, col, code, distance, entry in rows
    ]  # fmt: skip


def _said(database: Database, image: int) -> dict[str, str]:
    """What is said of an image, as far as something is."""
    info = asdict(database.image_info(image))
    return {name: info[name] for name in ("caption", "style", "source")}
