"""Where a picture came from, as the page shows it: its largest sources, what each shaped, what is copied.

Pure functions that import no gradio. Figures of copying come with those of pictures that are no copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from app.views import FRACTION, Array, Asked
from core.analysis.copying import Reference, Region, copying, nearest_reference, references, region_numbers, regions_of
from core.analysis.provenance import Provenance, provenance
from core.trace import Trace

LISTED = 16
"""Sources that are shown one by one; the others are added up."""

REGIONS = 8
"""Copied regions that are described one by one."""


@lru_cache(maxsize=1)
def shipped_references() -> tuple[Reference, ...]:
    """The references in assets/, read once; ConfigError when they are missing or damaged."""
    return references()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the stepper gets of the provenance of a run.

    images: [T] numbers of the listed sources, then those of the described regions; arrays: one row a step; header: the
    rest, in which a source is named by its place in `images`.
    """

    images: tuple[int, ...]
    arrays: dict[str, Array]
    header: dict[str, Any]


def shown_sources(trace: Trace, asked: Asked) -> Shown:
    """The provenance of a trace as small arrays and a header.

    owner: the listed source with most credit at a position, T for one that is not listed, -1 for none; credit: [T + 1]
    of each listed source and of the others together, in 1 / FRACTION; origin: [T] the cell in each listed source;
    copied: number of the copied region, from 1 for the largest, 0 for none.
    """
    seen, regions = provenance(trace), regions_of(trace)
    count = min(LISTED, int((seen.shares > 0).sum()))
    credit = np.column_stack([seen.credit[:, :count], seen.credit[:, count:].sum(axis=1)])
    arrays: dict[str, Array] = {
        "owner": np.minimum(seen.owners, count).astype(np.int16),
        "credit": np.rint(credit * FRACTION).astype(np.int16),
        "origin": seen.cells[:, :count].astype(np.int16),
        "copied": region_numbers(regions, len(trace.steps)).astype(np.int16),
    }
    images = list(dict.fromkeys([*seen.images[:count].tolist(), *(region.image for region in regions[:REGIONS])]))
    header = {
        "mixes": any(settings.mixes for settings in trace.all_settings),
        "listed": _listed(seen, count),
        "others": _others(seen, count),
        "regions": [_region(region, images) for region in regions[:REGIONS]],
        "copying": asdict(copying(regions, trace.retrieving_positions)),
        "references": references_of(trace, asked),
    }
    return Shown(tuple(images), arrays, header)


def _listed(seen: Provenance, count: int) -> list[dict[str, float]]:
    """Share of mass, share of credit and number of patches of the listed sources."""
    rows = zip(seen.shares[:count], seen.credits[:count], seen.patches[:count], strict=True)
    return [{"mass": round(float(m), 6), "credit": round(float(c), 6), "patches": int(p)} for m, c, p in rows]


def _others(seen: Provenance, count: int) -> dict[str, float]:
    """The same of all others together, and how many they are and own patches."""
    shares, patches = seen.shares[count:], seen.patches[count:]
    return {
        "images": int((shares > 0).sum()),
        "mass": round(float(shares.sum()), 6),
        "credit": round(float(seen.credits[count:].sum()), 6),
        "patches": int(patches.sum()),
        "owners": int((patches > 0).sum()),
    }


def _region(region: Region, images: Sequence[int]) -> dict[str, Any]:
    """A copied region without its positions, which `copied` holds."""
    return {"place": images.index(region.image), "offset": region.offset, "size": len(region.positions)}


def references_of(trace: Trace, asked: Asked) -> list[dict[str, Any]]:
    """What to compare the copying of a run with: held-out real pictures, and the model alone.

    same: whether they were looked up exactly like the run.
    """
    retrieving = [settings for settings in trace.all_settings if settings.retrieves]
    if not retrieving:
        return []
    last, known = retrieving[-1], shipped_references()
    found = [nearest_reference(known, model, asked.database, last) for model in ("", asked.model)]
    return [{**asdict(row), "same": row.looked_up_like(last)} for row in found if row]
