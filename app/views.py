"""What the page shows, as pure functions of a trace: arrays, one packed file, partial grids, the code atlas."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.daid import Blend, Distribution, sample
from core.trace import Trace, entropy, kl_divergence, neighbours
from core.types import Aggregate, CodeArray, Grid, Neighbours, Skipped, StepRecord

MAGIC = b"LOUPE001"
SHOWN_NEIGHBOURS = 16
SHOWN_CODES = 12
ATLAS_COLUMNS = 32
FILE_LIMIT = 1_000_000
"""Most bytes of a packed trace; where source pictures do not fit, those of the farthest neighbours become small."""
THUMBNAIL, THUMBNAIL_BYTES = 64, 540
"""Side in pixels of a small source picture, and what one takes at most in a sheet of many, as measured."""

Array = npt.NDArray[Any]
RGB = npt.NDArray[np.uint8]
State = Literal["streaming", "ready", "stopped", "error"]
_KINDS = {"u1": "u8", "i1": "i8", "u2": "u16", "i2": "i16", "i4": "i32", "f4": "f32"}


@dataclass(frozen=True, slots=True)
class Update:
    """One message to the stepper; `run` and `number` let it drop what is out of date.

    picture: an encoded picture of what is drawn so far; file: the packed trace when the run is over; atlas: the
    patch pictures of all codes.
    """

    run: int
    number: int
    state: State
    message: str = ""
    prompt: str = ""
    steps: int = 0
    grid: Grid = field(default_factory=lambda: Grid(16, 16))
    picture: bytes = b""
    file: bytes = b""
    atlas: bytes = b""


# ---------------------------------------------------------------------------------------------------------------------
# Numbers of one step


def neighbour_shares(found: Neighbours, temperature: float, aggregate: Aggregate) -> Distribution:
    """Share [K] of the retrieval distribution that each neighbour brings; they sum to 1.

    Under "nearest" only the nearest neighbour with a code speaks for it, the others bring nothing.
    """
    distances = found.distances.astype(np.float64)
    mass = np.exp((distances.min() - distances) / temperature)
    if aggregate == "nearest":
        first = np.zeros(len(mass), dtype=bool)
        first[np.unique(found.codes, return_index=True)[1]] = True
        mass = np.where(first, mass, 0.0)
    shares: Distribution = mass / mass.sum()
    return shares


def top_codes(blend: Blend, keep: Sequence[int], count: int) -> npt.NDArray[np.int64]:
    """The `count` codes to list: those of `keep`, then the likeliest under any of the three distributions.

    Ordered by the blended probability, then by the model's, then by number.
    """
    retrieval = np.zeros_like(blend.model) if blend.retrieval is None else blend.retrieval
    score = np.maximum.reduce([blend.model, retrieval, blend.blended])
    score[list(keep)] = np.inf
    chosen = np.argsort(-score, kind="stable")[:count]
    order = np.lexsort((chosen, -blend.model[chosen], -blend.blended[chosen]))
    return chosen[order]


# ---------------------------------------------------------------------------------------------------------------------
# Arrays over all steps


def step_arrays(trace: Trace) -> dict[str, Array]:
    """Everything that the stepper shows of each step, as small arrays with one row a step."""
    blends = [trace.blend(step.position) for step in trace.steps]
    without = [sample(blend.model, step.u) for blend, step in zip(blends, trace.steps, strict=True)]
    return {**_choices(trace, blends, without), **_distributions(trace, blends, without), **_neighbours(trace)}


def _choices(trace: Trace, blends: Sequence[Blend], without: Sequence[int]) -> dict[str, Array]:
    """The codes that were taken, why, and the overlay values."""
    steps = trace.steps
    reasons = reason_table(steps)
    found = [neighbours(step) for step in steps]
    return {
        "code": np.array([step.code for step in steps], np.uint16),
        "without": np.array(without, np.uint16),
        "u": np.array([step.u for step in steps], np.float32),
        "mix": np.array([blend.weight for blend in blends], np.float32),
        "entropy": np.array([_entropies(blend) for blend in blends], np.float32),
        "kl": np.array([kl_divergence(blend.model, blend.blended) for blend in blends], np.float32),
        "reason": np.array([_reason(step, reasons) for step in steps], np.int8),
        "found": np.array([len(near) if near else 0 for near in found], np.int32),
        "nearest": np.array([near.distances[0] if near else np.nan for near in found], np.float32),
    }


def reason_table(steps: Sequence[StepRecord]) -> list[str]:
    """The different reasons for which positions retrieved nothing, sorted."""
    return sorted({step.retrieval.reason for step in steps if isinstance(step.retrieval, Skipped)})


def _reason(step: StepRecord, reasons: Sequence[str]) -> int:
    """Place of the reason in the table, -1 where something was retrieved."""
    return reasons.index(step.retrieval.reason) if isinstance(step.retrieval, Skipped) else -1


def _entropies(blend: Blend) -> tuple[float, float, float]:
    """Entropy of the model's, the retrieved (NaN without neighbours) and the blended distribution."""
    retrieved = np.nan if blend.retrieval is None else entropy(blend.retrieval)
    return entropy(blend.model), retrieved, entropy(blend.blended)


def _distributions(trace: Trace, blends: Sequence[Blend], without: Sequence[int]) -> dict[str, Array]:
    """The likeliest codes of each step with their probabilities and where they begin on the 0..1 ruler of the draw."""
    size = (len(trace.steps), min(SHOWN_CODES, trace.origin.codes))
    arrays: dict[str, Array] = {"top_code": np.zeros(size, np.uint16)}
    names = ("top_model", "top_retrieval", "top_blended", "top_model_from", "top_blended_from")
    arrays.update({name: np.zeros(size, np.float32) for name in names})
    for row, (blend, step) in enumerate(zip(blends, trace.steps, strict=True)):
        codes = top_codes(blend, (step.code, without[row]), size[1])
        arrays["top_code"][row] = codes
        arrays["top_model"][row] = blend.model[codes]
        arrays["top_retrieval"][row] = 0 if blend.retrieval is None else blend.retrieval[codes]
        arrays["top_blended"][row] = blend.blended[codes]
        arrays["top_model_from"][row] = (np.cumsum(blend.model) - blend.model)[codes]
        arrays["top_blended_from"][row] = (np.cumsum(blend.blended) - blend.blended)[codes]
    return arrays


def _neighbours(trace: Trace) -> dict[str, Array]:
    """The nearest neighbours of each step: image number (-1: none), cell, code, distance and share."""
    size = (len(trace.steps), SHOWN_NEIGHBOURS)
    arrays: dict[str, Array] = {
        "near_image": np.full(size, -1, np.int32),
        "near_row": np.zeros(size, np.uint8),
        "near_col": np.zeros(size, np.uint8),
        "near_code": np.zeros(size, np.uint16),
        "near_distance": np.zeros(size, np.float32),
        "near_share": np.zeros(size, np.float32),
    }
    settings = trace.settings
    for row, step in enumerate(trace.steps):
        if not (found := neighbours(step)):
            continue
        shown = slice(0, min(SHOWN_NEIGHBOURS, len(found)))
        places = [place[shown] for place in trace.provenance(step.position)]
        arrays["near_image"][row, shown], arrays["near_row"][row, shown], arrays["near_col"][row, shown] = places
        arrays["near_code"][row, shown] = found.codes[shown]
        arrays["near_distance"][row, shown] = found.distances[shown]
        shares = neighbour_shares(found, settings.retrieval_temperature, settings.aggregate)
        arrays["near_share"][row, shown] = shares[shown]
    return arrays


def facts(trace: Trace, arrays: dict[str, Array], seconds: float) -> list[tuple[str, str]]:
    """The run in a few numbers, as (name, text)."""
    settings = trace.settings
    always = [("method", settings.method), ("seed", str(settings.seed)), ("time", f"{seconds:.1f} s")]
    if not settings.retrieves:
        return always
    blend = [
        ("λ", f"{settings.retrieval_weight:g}"),
        ("τ", f"{settings.retrieval_temperature:g}"),
        ("K", str(settings.n_neighbours or "all")),
    ]
    looked_up = int((arrays["reason"] < 0).sum())
    flips = int((arrays["code"] != arrays["without"]).sum())
    return [*always, *blend, ("lookups", f"{looked_up} of {len(trace.steps)}"), ("flips", str(flips))]


# ---------------------------------------------------------------------------------------------------------------------
# The packed trace: magic, header length, JSON header, bytes


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where the stepper gets its pictures from.

    drawn: the finished image, encoded; source: encoded picture of an image of the database, None without one;
    thumbnail: a small picture [THUMBNAIL, THUMBNAIL, 3] of it.
    """

    drawn: bytes
    source: Callable[[int], bytes | None]
    thumbnail: Callable[[int], RGB | None]


def pack_trace(trace: Trace, trace_id: str, pictures: Pictures, seconds: float) -> bytes:
    """The one file that the stepper fetches: FILE_LIMIT bytes at most for grids of 256 codes.

    Sources of near and frequent neighbours come with their whole picture, the others, when there are too many, as
    tiles of one sheet of thumbnails.
    """
    arrays = step_arrays(trace)
    shown, places = np.unique(arrays["near_image"], return_inverse=True)
    sources = [trace.sources[int(image)] for image in shown if image >= 0]
    first = len(shown) - len(sources)  # 1 when some place of the table is empty, which then comes first
    arrays["near_image"] = (places.reshape(arrays["near_image"].shape) - first).astype(np.int16)
    origins = sorted({source.source for source in sources})
    header: dict[str, Any] = {
        "id": trace_id,
        "prompt": trace.prompt,
        "grid": asdict(trace.grid),
        "steps": len(trace.steps),
        "settings": asdict(trace.settings),
        "context": trace.origin.context.offsets,
        "reasons": reason_table(trace.steps),
        "facts": facts(trace, arrays, seconds),
        "shown": {"neighbours": SHOWN_NEIGHBOURS, "codes": arrays["top_code"].shape[1]},
        "atlas_columns": ATLAS_COLUMNS,
        "thumbnail": THUMBNAIL,
        "origins": origins,
        "sources": [(s.image, s.caption, s.style, origins.index(s.source)) for s in sources],
    }
    images = [source.image for source in sources]
    room = FILE_LIMIT - len(_pack(header, arrays, {"picture": pictures.drawn})) - 64 - 20 * len(images)
    whole = whole_pictures(importance(arrays["near_image"], len(images)), images, pictures.source, room)
    tiles = [place for place in range(len(images)) if place not in whole]
    sheet = thumbnail_sheet([pictures.thumbnail(images[place]) for place in tiles])
    header["tiles"] = tiles
    blobs = {"picture": pictures.drawn, "sheet": sheet, **{str(place): data for place, data in whole.items()}}
    return _pack(header, arrays, blobs)


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
    found = [(place, data) for place in order if (data := source(images[place]))]
    room -= len(found) * THUMBNAIL_BYTES
    chosen: dict[int, bytes] = {}
    for place, data in found:
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


# ---------------------------------------------------------------------------------------------------------------------
# Pictures


def continued_grid(codes: Sequence[int], grid: Grid) -> CodeArray:
    """Token grid of a picture that is still being drawn; each missing code repeats the one above it.

    Decoders look at the surroundings of a patch: this keeps the edge of the drawing free of foreign colours.
    """
    filled = list(codes[: grid.positions])
    for position in range(len(filled), grid.positions):
        above = position - grid.width
        filled.append(filled[above] if above >= 0 else filled[-1])
    return np.array(filled, dtype=np.uint16).reshape(grid.height, grid.width)


def encoded(image: RGB, quality: int = 90) -> bytes:
    """An RGB image [H, W, 3] as WebP."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def atlas_grids(size: int, grid: Grid) -> CodeArray:
    """Token grids in which every code of a codebook fills a block of 4x4 cells, so that it is seen among its like."""
    per_row, per_col = grid.width // 4, grid.height // 4
    count = -(-size // (per_row * per_col))
    codes = np.zeros(count * per_row * per_col, np.uint16)
    codes[:size] = np.arange(size)
    blocks = codes.reshape(count, per_col, per_row)
    grids: CodeArray = np.zeros((count, grid.height, grid.width), np.uint16)
    grids[:, : 4 * per_col, : 4 * per_row] = blocks.repeat(4, axis=1).repeat(4, axis=2)
    return grids


def atlas_picture(images: RGB, size: int, grid: Grid) -> RGB:
    """One picture [rows * side, ATLAS_COLUMNS * side, 3] of all codes' patches, from the decoded `atlas_grids`."""
    side = images.shape[2] // grid.width
    cells = images.reshape(len(images), grid.height, side, grid.width, side, 3)
    # a cell inside of each block
    inner = cells[:, 1 : 4 * (grid.height // 4) : 4, :, 1 : 4 * (grid.width // 4) : 4]
    patches = inner.transpose(0, 1, 3, 2, 4, 5).reshape(-1, side, side, 3)[:size]
    return table_of(patches)


def table_of(tiles: RGB) -> RGB:
    """One picture of square tiles [N, side, side, 3], ATLAS_COLUMNS in a row."""
    count, side = tiles.shape[:2]
    rows = -(-count // ATLAS_COLUMNS)
    padded = np.zeros((rows * ATLAS_COLUMNS, side, side, 3), np.uint8)
    padded[:count] = tiles
    table = padded.reshape(rows, ATLAS_COLUMNS, side, side, 3).transpose(0, 2, 1, 3, 4)
    picture: RGB = table.reshape(rows * side, ATLAS_COLUMNS * side, 3)
    return picture


def thumbnail(picture: bytes) -> RGB:
    """A small version [THUMBNAIL, THUMBNAIL, 3] of an encoded picture."""
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)
