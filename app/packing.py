"""The one file that the stepper fetches, as a pure function of a trace: magic, header length, JSON header, bytes."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app import chains, inside
from app.looks import BUDGET_SECONDS, Decode, places_of
from app.pictures import ATLAS_COLUMNS, RGB, THUMBNAIL, THUMBNAIL_BYTES, encoded, table_of
from app.sources import shown_sources
from app.summary import summary_of
from app.views import (
    FRACTION,
    SHOWN_NEIGHBOURS,
    Array,
    Asked,
    facts,
    features_shown,
    first_blended,
    reason_table,
    step_arrays,
)
from core.analysis.explain import ceiling
from core.trace import Trace
from core.types import IntArray

MAGIC = b"LOUPE001"
FILE_LIMIT = 1_000_000
"""Most bytes of a packed trace; where source pictures do not fit, those of the farthest neighbours become small."""
_KINDS = {"u1": "u8", "i1": "i8", "u2": "u16", "i2": "i16", "i4": "i32", "f4": "f32"}


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where the stepper gets its pictures from.

    drawn: the finished image, encoded; source: encoded picture of an image of the database, None without one;
    thumbnail: a small picture [THUMBNAIL, THUMBNAIL, 3] of it; decode: makes pictures of token grids, None where no
    patch is to be shown in place; reach: as `looks.in_place` takes it; seconds: what these may take; each: what a whole
    picture takes, 0 where that is not known.
    """

    drawn: bytes
    source: Callable[[int], bytes | None]
    thumbnail: Callable[[int], RGB | None]
    decode: Decode | None = None
    reach: int | None = None
    seconds: float = BUDGET_SECONDS
    each: float = 0.0


NO_CODE = 65535


def pack_trace(
    trace: Trace, trace_id: str, pictures: Pictures, seconds: float | None, asked: Asked, parent: IntArray | None = None
) -> bytes:
    """The one file that the stepper fetches: FILE_LIMIT bytes at most for grids of 256 codes.

    The sources that shaped most, and those of near and frequent neighbours, come with their whole picture, the others,
    when there are too many, as tiles of one sheet of thumbnails. seconds: as in `facts`; parent: codes of the run that
    this one branched from, for comparison.
    """
    origin, (seen, inside_arrays) = shown_sources(trace, asked), inside.packed(trace)
    going_on = chains.chained(trace)
    arrays = {**step_arrays(trace), **origin.arrays, **inside_arrays, **going_on.arrays}
    if parent is not None:
        arrays["parent"] = np.full(len(trace.steps), NO_CODE, np.uint16)
        arrays["parent"][: len(parent)] = parent[: len(trace.steps)]
    near = arrays["near_image"]
    shown = np.union1d(near[near >= 0], np.array([*origin.images, *going_on.images], np.int64)).astype(np.int64)
    sources = [trace.sources[int(image)] for image in shown]
    arrays["near_image"] = np.where(near >= 0, np.searchsorted(shown, near), -1).astype(np.int16)
    origins = sorted({source.source for source in sources})
    provenance = {**origin.header, "places": np.searchsorted(shown, np.array(origin.images, np.int64)).tolist()}
    decode, reach, budget = pictures.decode, pictures.reach, pictures.seconds
    places = places_of(trace, arrays, decode, reach, budget, pictures.each) if decode else None
    if places is not None:
        arrays["in_place"] = places.index
    summary = summary_of(trace, arrays, provenance, places.seen if places else None)
    header = {
        **_header(trace, arrays, seconds, asked),
        **seen,
        "id": trace_id,
        "origins": origins,
        "provenance": provenance,
        "chains": chains.packed(going_on, shown),
        "summary": {**asdict(summary), "why": summary.why},
        "sources": [(s.image, s.caption, s.style, origins.index(s.source)) for s in sources],
    }
    images = [source.image for source in sources]
    room = FILE_LIMIT - len(_pack(header, arrays, {"picture": pictures.drawn})) - 64 - 20 * len(images)
    order = [*header["provenance"]["places"], *importance(arrays["near_image"], len(images))]
    whole = whole_pictures(list(dict.fromkeys(order)), images, pictures.source, room)
    tiles = [place for place in range(len(images)) if place not in whole]
    sheet = thumbnail_sheet([pictures.thumbnail(images[place]) for place in tiles])
    header["tiles"] = tiles
    patches = encoded(table_of(places.patches), quality=85) if places is not None and len(places.patches) else b""
    sources_whole = {str(place): data for place, data in whole.items()}
    blobs = {"picture": pictures.drawn, "sheet": sheet, "patches": patches, **sources_whole}
    return _pack(header, arrays, blobs)


def _header(trace: Trace, arrays: dict[str, Array], seconds: float | None, asked: Asked) -> dict[str, Any]:
    """What the stepper knows of the run besides its arrays, sources and pictures."""
    settings, first = trace.settings, first_blended(trace)
    return {
        "prompt": trace.prompt,
        "grid": asdict(trace.grid),
        "steps": len(trace.steps),
        "given": trace.given,
        "settings": asdict(settings),
        "retrieves": any(part.retrieves for part in trace.all_settings),
        "mixes": any(part.mixes for part in trace.all_settings),
        "flips_known": trace.flips_known,
        "kl_ceiling": kl_ceiling_of(trace),
        "rule": trace.rule,
        "blenders": first.layers.tolist() if first else [],
        "hops": first.hops.tolist() if first else [],
        "fraction": FRACTION,
        "context": trace.origin.context.offsets,
        "reasons": reason_table(trace.steps),
        "facts": facts(trace, arrays, seconds, asked),
        "shown": {
            "neighbours": SHOWN_NEIGHBOURS,
            "codes": arrays["top_code"].shape[1],
            "features": features_shown(trace),
        },
        "atlas_columns": ATLAS_COLUMNS,
        "thumbnail": THUMBNAIL,
    }


def kl_ceiling_of(trace: Trace) -> float | None:
    """The most that KL can be anywhere in a run, by the weights before the gate; None without a mix or a bound."""
    most = max((ceiling(trace, step.position) for step in trace.steps), default=0.0)
    return most if 0 < most < math.inf else None


def importance(near_image: Array, count: int) -> list[int]:
    """Places 0..count-1 of the table of sources, those of the nearest neighbours and then the frequent ones first."""
    best_rank = np.full(count, near_image.shape[1])
    steps, ranks = np.nonzero(near_image >= 0)
    np.minimum.at(best_rank, near_image[steps, ranks], ranks)
    uses = np.bincount(near_image[steps, ranks], minlength=count)
    return [int(place) for place in np.lexsort((-uses, best_rank))]


def whole_pictures(
    order: Sequence[int], images: Sequence[int], source: Callable[[int], bytes | None], room: int
) -> dict[int, bytes]:
    """Encoded pictures by place, in that order, while those that are left still fit as thumbnails."""
    room -= len(order) * THUMBNAIL_BYTES
    chosen: dict[int, bytes] = {}
    for place in order:  # one at a time: making one may cost a pass of the decoder
        data = source(images[place])
        if data is None:
            continue
        room -= len(data) + 8 - THUMBNAIL_BYTES
        if room < 0:
            break
        chosen[place] = data
    return chosen


def thumbnail_sheet(tiles: Sequence[RGB | None]) -> bytes:
    """One encoded picture with a tile for each thumbnail, ATLAS_COLUMNS in a row; grey where there is none."""
    if not tiles:
        return b""
    grey: RGB = np.full((THUMBNAIL, THUMBNAIL, 3), 128, np.uint8)
    return encoded(table_of(np.stack([grey if tile is None else tile for tile in tiles])), quality=50)


def _pack(header: dict[str, Any], arrays: dict[str, Array], blobs: dict[str, bytes]) -> bytes:
    """Magic, u32 header length, four zero bytes, the header padded to 8 bytes, then the body; all little-endian.

    The header gets `arrays` and `blobs`: by name, what lies where in the body. Whole source pictures are blobs named
    by their place in the table of sources.
    """
    body = bytearray()

    def place(data: bytes) -> tuple[int, int]:
        start = len(body)
        body.extend(data + bytes(-len(data) % 8))
        return start, len(data)

    places: dict[str, Any] = {"arrays": {}}
    for name, array in arrays.items():
        offset, _ = place(array.astype(array.dtype.newbyteorder("<")).tobytes())
        places["arrays"][name] = {"kind": _KINDS[array.dtype.str[1:]], "count": array.size, "offset": offset}
    places["blobs"] = {name: place(data) for name, data in blobs.items() if data}
    text = json.dumps({**header, **places}, ensure_ascii=False, separators=(",", ":")).encode()
    return MAGIC + struct.pack("<II", len(text), 0) + text + bytes(-len(text) % 8) + bytes(body)


def header_of(packed: bytes) -> dict[str, Any]:
    """The header of a packed trace."""
    length = struct.unpack_from("<I", packed, len(MAGIC))[0]
    header: dict[str, Any] = json.loads(packed[16 : 16 + length])
    return header


def array_of(packed: bytes, name: str) -> Array:
    """One of the arrays of a packed trace, flat."""
    place, kinds = header_of(packed)["arrays"][name], {kind: dtype for dtype, kind in _KINDS.items()}
    return np.frombuffer(packed, f"<{kinds[place['kind']]}", place["count"], _body(packed) + place["offset"])


def shown_codes(packed: bytes) -> Array:
    """The codes that the stepper lists of a packed trace, those that it lists most often first."""
    codes, counts = np.unique(array_of(packed, "top_code"), return_counts=True)
    return codes[np.argsort(-counts, kind="stable")]


def blob_of(packed: bytes, name: str) -> bytes:
    """One of the encoded pictures of a packed trace."""
    offset, size = header_of(packed)["blobs"][name]
    return packed[_body(packed) + offset :][:size]


def _body(packed: bytes) -> int:
    """Where the body begins, behind the header."""
    length: int = struct.unpack_from("<I", packed, len(MAGIC))[0]
    return 16 + length + -length % 8
