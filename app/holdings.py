"""What the page and the endpoints say of a database as a place: what is in it, and where something stands.

Pure functions that import no gradio. Of a large database they look at a sample, and say so; only the search by context
and the search by caption vectors are over all of it.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.pictures import ATLAS_COLUMNS, RGB, encoded, small, table_of
from core.analysis import holdings
from core.analysis.holdings import Plane
from core.assets import licences
from core.codebook import Codebook
from core.context import context_codes, skip_reason
from core.patches.protocol import Database, ImageInfo
from core.patches.segments.database import SegmentedDatabase
from core.patches.tending.contents import licence_of
from core.trace import Trace
from core.types import CodeArray, ConfigError, Grid, IntArray

SAMPLE: Final = 2000
"""Images of a database that are looked at one by one."""

LOOKED_AT: Final = 240
"""Pictures in which the typical cell of each code is looked for."""

SEARCHED_CAPTIONS: Final = 50_000
MOST_LETTERS, MOST_WORDS = 100, 12
LISTED_CODES, LISTED_CONTEXTS = 64, 24
TILE, THUMB, CROP_REACH = 16, 32, 2
MAP_COLUMNS, MAP_ROWS = 18, 12
MAP_UNITS: Final = 1000

Place = tuple[int, int, int]
"""An image, and the row and column of one of its cells."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Some images of a database, by their numbers [S], with their token grids [S, H, W].

    positions: those of a grid whose contexts are known; inner: whether only the inner codes of the grids are.
    """

    images: IntArray
    grids: CodeArray
    positions: IntArray
    inner: bool

    @classmethod
    def of(cls, database: Database, most: int = SAMPLE) -> Sampled:
        """A sample of a database, or all of a small one."""
        images, inner = holdings.sample(database.images, most), not database.knows_images
        grids = np.stack([database.image_codes(int(image)) for image in images])
        return cls(images, grids, holdings.known_positions(database.context, database.grid, inner), inner)


# ---------------------------------------------------------------------------------------------------------------------
# What is in it


def overview(database: Database, sampled: Sampled) -> dict[str, Any]:
    """What is in a database, as the tab's script takes it; see app/tabs/database/database.js."""
    infos = [database.image_info(int(image)) for image in sampled.images]
    counts = holdings.code_counts(sampled.grids, database.codebook.size, sampled.inner)
    repeats = holdings.repeats(sampled.grids, database.context, sampled.positions, LISTED_CONTEXTS)
    named = dict(Counter(info.style for info in infos if info.style).most_common())
    styles = sorted(named, key=lambda style: -named[style])
    tiles = Tiles(database, sampled)
    maps = {"captions": caption_map(database, sampled), "contexts": context_map(database.codebook, database, sampled)}
    shown = sorted({place for found in maps.values() if found for place in found["thumbs"]})
    return {
        "size": len(database.images),
        "entries": len(database),
        "sampled": len(sampled.images),
        "knows_images": database.knows_images,
        "notice": database.notice,
        "grid": [database.grid.height, database.grid.width],
        "context": {"offsets": database.context.offsets, **asdict(database.context)},
        "styles": [[style, named[style]] for style in styles],
        "codes": code_figures(counts, tiles),
        "repeats": {**asdict(repeats), "frequent": [frequent(database, one, tiles) for one in repeats.frequent]},
        "images": sampled.images.tolist(),
        "captions": [info.caption for info in infos],
        "style": [styles.index(info.style) if info.style else -1 for info in infos],
        "maps": maps,
        "thumbs": shown,
        "thumb_sheet": sheet([thumb(database, int(sampled.images[place])) for place in shown]),
        "tile_sheet": tiles.sheet(),
        "columns": ATLAS_COLUMNS,
        "looked_at": min(len(sampled.images), LOOKED_AT),
    }


def code_figures(counts: IntArray, tiles: Tiles) -> dict[str, Any]:
    """Codes by frequency: the most frequent ones with a place where each stands, and the curve of all."""
    order = np.argsort(-counts, kind="stable")
    most = [int(code) for code in order[:LISTED_CODES] if counts[code]]
    return {
        "size": len(counts),
        "used": int((counts > 0).sum()),
        "cells": int(counts.sum()),
        "half": holdings.codes_of_half(counts),
        "most": [[code, int(counts[code]), tiles.of_code(code)] for code in most],
        "curve": counts[order][:: max(1, len(counts) // 512)].tolist(),
    }


def frequent(database: Database, one: holdings.Frequent, tiles: Tiles) -> dict[str, Any]:
    """A frequent context with the tiles of its cells, as they stand at its first place, and of what came next."""
    at, position = one.example
    row, col = database.grid.row_col(position)
    cells = [(row + down, col + right) for down, right in database.context.offsets]
    return {
        **asdict(one),
        "tiles": [-1 if code < 0 else tiles.at(at, *cell) for code, cell in zip(one.codes, cells, strict=True)],
        "followers": [[code, count, tiles.of_code(code)] for code, count in one.followers],
        "example": [int(tiles.images[at]), position],
    }


class Tiles:
    """Cuts of real pictures: one for each cell that is asked for; -1 where a database has no pictures."""

    def __init__(self, database: Database, sampled: Sampled) -> None:
        self.images = sampled.images
        self._database = database
        self._numbers: dict[Place, int] = {}
        self._any = database.picture(int(sampled.images[0])) is not None
        self._typical = typical_places(database, sampled) if self._any else {}

    def at(self, place: int, row: int, col: int) -> int:
        """Number of the tile of a cell of a grid of the sample."""
        return self._number((int(self.images[place]), row, col)) if self._any else -1

    def of_code(self, code: int) -> int:
        """Number of the tile of the typical cell with a code, -1 for a code that none of those looked at has."""
        return self._number(self._typical[code]) if code in self._typical else -1

    def _number(self, place: Place) -> int:
        return self._numbers.setdefault(place, len(self._numbers))

    def sheet(self) -> str:
        """All tiles as one picture."""
        cut: list[RGB | None] = [None] * len(self._numbers)
        by_image: dict[int, list[Place]] = {}
        for place in self._numbers:
            by_image.setdefault(place[0], []).append(place)
        for image, places in by_image.items():
            picture = opened(self._database.picture(image))
            if picture is None:
                continue
            for place in places:
                box = box_of(picture, self._database.grid, *place[1:])
                tile = picture.resize((TILE, TILE), Image.Resampling.BILINEAR, box)
                cut[self._numbers[place]] = np.asarray(tile, np.uint8)
        return sheet(cut, exact=True)


def typical_places(database: Database, sampled: Sampled) -> dict[int, Place]:
    """Where each code looks most like itself: of all its cells in some pictures, the one nearest to their mean."""
    grid, rows = database.grid, np.linspace(0, len(sampled.images) - 1, min(len(sampled.images), LOOKED_AT)).astype(int)
    found = [(row, opened(database.picture(int(sampled.images[row])))) for row in rows]
    there = [(row, picture) for row, picture in found if picture is not None]
    codes = sampled.grids[[row for row, _ in there]].ravel().astype(np.int64)
    looks = np.concatenate([_looks(picture, grid) for _, picture in there])
    cells = holdings.typical_cells(codes, looks, database.codebook.size)
    images = [int(sampled.images[row]) for row, _ in there]
    places = {}
    for code in np.flatnonzero(cells >= 0).tolist():
        at, cell = divmod(int(cells[code]), grid.positions)
        places[code] = (images[at], *grid.row_col(cell))
    return places


def _looks(picture: Image.Image, grid: Grid) -> npt.NDArray[np.float32]:
    """The mean colours of the four quarters of every cell [P, 12] of a picture."""
    small = picture.resize((2 * grid.width, 2 * grid.height), Image.Resampling.BOX)
    quarters = np.asarray(small, np.float32).reshape(grid.height, 2, grid.width, 2, 3)
    looks: npt.NDArray[np.float32] = quarters.transpose(0, 2, 1, 3, 4).reshape(grid.positions, 12)
    return looks


def caption_map(database: Database, sampled: Sampled) -> dict[str, Any] | None:
    """Where the captions of a sample lie, by their vectors; None for a database without them."""
    vectors = database.caption_vectors(sampled.images)
    return None if vectors is None else laid_out(holdings.plane(vectors))


def context_map(codebook: Codebook, database: Database, sampled: Sampled) -> dict[str, Any]:
    """Where the images of a sample lie, each by the mean of its contexts."""
    return laid_out(
        holdings.plane(holdings.mean_contexts(codebook, sampled.grids, database.context, sampled.positions))
    )


def laid_out(plane: Plane) -> dict[str, Any]:
    """A map in whole numbers 0..MAP_UNITS, each direction filled, and which places of it may show a thumbnail.

    Of all points in one field of the map, the one nearest to its middle does.
    """
    low, high = plane.places.min(axis=0), plane.places.max(axis=0)
    unit = (plane.places - low) / np.maximum(high - low, 1e-9)
    fields = np.minimum((unit * [MAP_COLUMNS, MAP_ROWS]).astype(int), [MAP_COLUMNS - 1, MAP_ROWS - 1])
    away = ((unit * [MAP_COLUMNS, MAP_ROWS] - fields - 0.5) ** 2).sum(axis=1)
    nearest: dict[tuple[int, ...], int] = {}
    for place in np.argsort(-away, kind="stable").tolist():  # the last one that is written stays
        nearest[tuple(fields[place].tolist())] = place
    return {
        "x": np.rint(unit[:, 0] * MAP_UNITS).astype(int).tolist(),
        "y": np.rint((1 - unit[:, 1]) * MAP_UNITS).astype(int).tolist(),
        "shares": [round(share, 4) for share in plane.shares],
        "thumbs": sorted(nearest.values()),
    }


# ---------------------------------------------------------------------------------------------------------------------
# Pictures


def opened(data: bytes | None) -> Image.Image | None:
    """A picture of a database; None when it has none."""
    return Image.open(io.BytesIO(data)).convert("RGB") if data else None


def box_of(picture: Image.Image, grid: Grid, row: int, col: int, cells: int = 1) -> tuple[float, float, float, float]:
    """The pixels of a square of cells: left, top, right and bottom."""
    across, down = picture.width / grid.width, picture.height / grid.height
    return col * across, row * down, (col + cells) * across, (row + cells) * down


def thumb(database: Database, image: int) -> RGB | None:
    """A picture [THUMB, THUMB, 3] of an image."""
    picture = opened(database.picture(image))
    return None if picture is None else np.asarray(picture.resize((THUMB, THUMB), Image.Resampling.BOX), np.uint8)


def sheet(tiles: Sequence[RGB | None], exact: bool = False) -> str:
    """Square tiles as one picture in base64, ATLAS_COLUMNS in a row; "" when there is nothing to see.

    exact: no colour of a tile runs into the next one, as it does in a picture with losses.
    """
    there = [tile for tile in tiles if tile is not None]
    if not there:
        return ""
    grey: RGB = np.full_like(there[0], 128)
    table = table_of(np.stack([grey if tile is None else tile for tile in tiles]))
    return text_of(encoded(table, 80) if not exact else lossless(table))


def lossless(picture: RGB) -> bytes:
    """A picture [H, W, 3] as WebP without losses."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", lossless=True, method=2)
    return file.getvalue()


def text_of(data: bytes | None) -> str:
    """A file in base64, "" for none."""
    return base64.b64encode(data).decode() if data else ""


def named(database: Database, image: int) -> dict[str, Any]:
    """What an image is called, and a small picture of it."""
    info, picture = database.image_info(image), database.picture(image)
    thumbnail = text_of(small(picture, 64)) if picture else ""
    return {"image": image, **asdict(info), "licence": licence_said(database, image, info.source), "thumb": thumbnail}


def licence_said(database: Database, image: int, source: str) -> str:
    """The licence of an image, as its database keeps it or as that of a collection that ships; "" for neither."""
    kept = licence_of(database, image) if isinstance(database, SegmentedDatabase) else ""
    return kept or licences().get(source, "")


# ---------------------------------------------------------------------------------------------------------------------
# One picture


def image_of(database: Database, image: object) -> int:
    """The number of an image of a database; ConfigError for anything else."""
    wanted = image if isinstance(image, int) and not isinstance(image, bool) else -1
    place = int(np.searchsorted(database.images, min(max(wanted, -1), 2**62)))
    if place >= len(database.images) or database.images[place] != wanted:
        last = int(database.images[-1])
        raise ConfigError(f"image: got no. {image!r:.20}, expected one of {len(database.images)} up to {last}")
    return int(database.images[place])


def portrait(database: Database, image: int, trace: Trace | None) -> dict[str, Any]:
    """A picture with its codes, and what its entries were used for in a run of the same database."""
    return {
        **named(database, image),
        "picture": text_of(database.picture(image)),
        "codes": database.image_codes(image).ravel().tolist(),
        "used": None if trace is None else [asdict(use) for use in holdings.uses(trace, image)],
    }


def cell_context(database: Database, codes: CodeArray, position: int, inner: bool = False) -> IntArray:
    """The context [n] of a position of a token grid [H, W]; ConfigError where nothing is looked up, with the reason."""
    if not 0 <= position < database.grid.positions:
        raise ConfigError(f"position: got {position}, expected 0 to {database.grid.positions - 1}")
    if reason := skip_reason(database.context, database.grid, position):
        raise ConfigError(f"Nothing is looked up at position {position}: {reason}.")
    if inner and position not in holdings.known_positions(database.context, database.grid, inner):
        raise ConfigError(f"position {position}: its context reaches to the edge, whose codes this database lacks")
    found: IntArray = context_codes(database.context, codes[None], np.array([position]))[0, 0]
    return found


def run_context(database: Database, trace: Trace, position: int) -> IntArray:
    """The context [n] of a position of a run, for a database with the same codes; ConfigError where there is none."""
    if trace.origin.codebook != database.codebook.fingerprint or trace.grid != database.grid:
        raise ConfigError("this run has other codes than this database: its patches cannot be looked up there")
    codes = np.zeros(trace.grid.positions, np.uint16)
    codes[: len(trace.steps)] = trace.codes  # what comes after the position is never read
    if not 0 <= position <= len(trace.steps):
        raise ConfigError(f"position: got {position}, expected 0 to {len(trace.steps) - 1}")
    return cell_context(database, codes.reshape(trace.grid.height, trace.grid.width), position)


# ---------------------------------------------------------------------------------------------------------------------
# Where something stands


def standing(database: Database, sampled: Sampled, query: IntArray, limit: int) -> dict[str, Any]:
    """The entries of all of a database nearest to a context, and how often exactly this one stands in the sample."""
    near = database.search(query[None], min(limit, len(database)))[0]
    places = zip(*(part.tolist() for part in database.provenance(near.entries)), strict=True)
    rows = zip(places, near.entries.tolist(), near.codes.tolist(), near.distances.tolist(), strict=True)
    at, positions = holdings.standing(sampled.grids, database.context, sampled.positions, query)
    next_codes = sampled.grids.reshape(len(sampled.grids), -1)[at, positions].tolist()
    followed = Counter(next_codes).most_common()
    return {
        "query": query.tolist(),
        "exact": len(at),
        "exact_images": len(np.unique(at)),
        "followers": [list(pair) for pair in followed[:6]],
        "different": len(followed),
        "sampled": len(sampled.images),
        "found": [
            {
                **asdict(database.image_info(image)), "image": image, "row": row, "column": col, "entry": entry,
                "code": code, "distance": distance,
            }
            for (image, row, col), entry, code, distance in rows
        ],
    }  # fmt: skip


def with_crops(database: Database, found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Found entries with a crop around each: base64, "" without pictures, and its first row and column."""
    grid, cells = database.grid, 2 * CROP_REACH + 1
    shown = []
    for one in found:
        top = min(max(one["row"] - CROP_REACH, 0), max(grid.height - cells, 0))
        left = min(max(one["column"] - CROP_REACH, 0), max(grid.width - cells, 0))
        picture = opened(database.picture(one["image"]))
        crop = ""
        if picture:
            x, y, right, bottom = map(round, box_of(picture, grid, top, left, cells))
            cut = picture.crop((x, y, right, bottom))
            crop = text_of(encoded(np.asarray(cut, np.uint8), quality=85))
        shown.append({**one, "crop": crop, "top": top, "left": left, "cells": cells})
    return shown


def words_of(text: object) -> list[str]:
    """The words of a search, in lower case; ConfigError unless there are some."""
    if not isinstance(text, str) or len(text) > MOST_LETTERS:
        raise ConfigError(f"words: got more than {MOST_LETTERS} letters or no text; say it in a few words")
    words = re.findall(r"\w+", text.casefold())[:MOST_WORDS]
    if not words:
        raise ConfigError("words: got none; type a word of a caption, such as heart")
    return words


def containing(database: Database, words: Sequence[str], limit: int) -> dict[str, Any]:
    """Images of whose caption or style every word is a part; those with all of them as whole words come first.

    ConfigError for a database that knows no captions.
    """
    if not database.knows_images:
        raise ConfigError("This database has no captions: it knows its pictures by their numbers alone.")
    images = holdings.sample(database.images, SEARCHED_CAPTIONS)
    whole: list[int] = []
    parts: list[int] = []
    for image in images.tolist():
        text = _said(database.image_info(image))
        if all(word in text for word in words):
            (whole if set(words) <= set(re.findall(r"\w+", text)) else parts).append(image)
    return {"searched": len(images), "total": len(whole) + len(parts), "found": [*whole, *parts][:limit]}


def _said(info: ImageInfo) -> str:
    """What a word is looked for in."""
    return f"{info.caption} {info.style}".casefold()
