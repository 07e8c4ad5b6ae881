"""What the stage shows: one prompt and one seed, drawn alone, with a little and with strong look-ups, as one JSON file.

`python -m app.record` draws it anew. Every figure follows from the traces (core.analysis), none is written by hand.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from app import looks, pictures
from app.examples import Tile, examples
from app.sources import shown_sources
from app.summary import summary_of
from app.views import Array, step_arrays
from core.analysis.explain import Explanation, explain
from core.assets import ASSETS
from core.backends.protocol import Backend
from core.engine import generate
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.types import DecodeSettings

FILE: Final = ASSETS / "stage.json"
TELLING: Final = 3
"""Changes at which the drawing is slowed down: those that one sees most, not beside each other."""

LITTLE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Strength:
    """How much of it look-ups decide: its name in the file, its label, and its settings."""

    name: str
    label: str
    settings: DecodeSettings


def example() -> Tile:
    """The example that the stage shows: a model, and a database with what it has never seen."""
    return examples().swap[-1]


def strengths() -> tuple[Strength, ...]:
    """From the model alone to the example as it is."""
    strong = example().asked.settings
    return (
        Strength("off", "Off", replace(strong, method="model")),
        Strength("little", "A little", replace(strong, retrieval_weight=LITTLE)),
        Strength("strong", "Strong", strong),
    )


def record(backend: Backend, database: PatchDatabase) -> dict[str, Any]:
    """All recordings as they go into the file."""
    tile = example()
    sources: dict[int, str] = {}
    runs = []
    for strength in strengths():
        settings = strength.settings
        trace = generate(backend, database if settings.retrieves else None, tile.prompt, settings)
        runs.append({"name": strength.name, "label": strength.label, **_run(trace, tile, backend, sources)})
    order = sorted(sources)
    for run in runs:
        run["from"] = [[order.index(image), cell] if image >= 0 else None for image, cell in run["from"]]
    return {
        "prompt": tile.prompt,
        "grid": {"height": backend.grid.height, "width": backend.grid.width},
        "context": [list(offset) for offset in database.context.offsets],
        "pictures": len(database.images),
        "columns": pictures.ATLAS_COLUMNS,
        "sources": [{"caption": sources[image], "picture": _text(database.picture(image) or b"")} for image in order],
        "runs": runs,
    }


def _run(trace: Trace, tile: Tile, backend: Backend, sources: dict[int, str]) -> dict[str, Any]:
    """One recording; sources: gets the pictures that it refers to.

    from: image and cell of the nearest neighbour that says what was taken, or else of the nearest, null without
    look-up; says: whether it says so; taken, other: chances in percent [model alone, look-up, mix] of what was taken,
    and of what had been taken with nothing looked up; tiles: the two patches in place of each change, by their number
    in the sheet.
    """
    arrays = step_arrays(trace)
    origin = shown_sources(trace, replace(tile.asked, settings=trace.settings))
    places = looks.places_of(trace, arrays, backend.decode_codes, seconds=math.inf)  # whole pictures: exact
    told = summary_of(
        trace, {**arrays, **origin.arrays}, {**origin.header, "places": list(range(len(origin.images)))}, places.seen
    )
    steps = [explain(trace, step.position) for step in trace.steps]
    flips = [int(p) for p in np.flatnonzero(np.isfinite(places.seen))]
    nearest = [_nearest(here, trace.grid.width) for here in steps]
    for image, _ in nearest:
        if image >= 0:
            sources[image] = trace.sources[image].caption
    grid = pictures.continued_grid(trace.codes.tolist(), trace.grid)
    sheet = [_pair(arrays, places, p) for p in flips]
    used = sorted({number for pair in sheet for number in pair})
    return {
        "picture": _text(pictures.encoded(backend.decode_codes(grid[None])[0])),
        "changed": told.changed,
        "share": round(told.share, 3),
        "start": told.start,
        "telling": telling(places.seen, trace.grid.width),
        "from": nearest,
        "says": [int(here.found is not None and here.step.code in here.found.codes) for here in steps],
        "taken": [_chances(here, here.step.code) for here in steps],
        "other": {p: _chances(steps[p], int(arrays["without"][p])) for p in flips},
        "tiles": {p: [used.index(number) for number in pair] for p, pair in zip(flips, sheet, strict=True)},
        "sheet": _text(pictures.encoded(pictures.table_of(places.patches[used]), quality=85) if used else b""),
    }


def telling(seen: Array, width: int, count: int = TELLING) -> list[int]:
    """The changes [count] that one sees most, in their order, none within two rows and columns of another."""
    chosen: list[int] = []
    for position in np.argsort(-np.nan_to_num(seen, nan=-1.0), kind="stable"):
        row, col = divmod(int(position), width)
        near = [p for p in chosen if abs(p // width - row) <= 2 and abs(p % width - col) <= 2]
        if np.isfinite(seen[position]) and not near:
            chosen.append(int(position))
        if len(chosen) == count:
            break
    return sorted(chosen)


def _nearest(here: Explanation, width: int) -> tuple[int, int]:
    """Image and cell of the nearest neighbour that says what was taken, or else of the nearest one."""
    if not here.found:
        return -1, -1
    said = np.flatnonzero(here.found.codes == here.step.code)
    rank = int(said[0]) if len(said) else 0
    image, row, col = (int(part[rank]) for part in here.places)
    return image, row * width + col


def _chances(here: Explanation, code: int) -> list[float]:
    """Percent of a code under the model alone, the look-up and their mix."""
    shown = (here.blend.model, here.blend.retrieval, here.blend.blended)
    return [round(100 * float(part[code]), 2) if part is not None else 0.0 for part in shown]


def _pair(arrays: Mapping[str, Array], places: looks.Places, position: int) -> list[int]:
    """Which patches in place the code that was taken and the other one are."""
    listed = arrays["top_code"][position]
    return [int(places.index[position, listed == arrays[name][position]][0]) for name in ("pick", "without")]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def save(found: Mapping[str, Any]) -> None:
    """Write the file that the page serves."""
    FILE.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
