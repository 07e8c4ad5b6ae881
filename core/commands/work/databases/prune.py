"""Leave out what held-out pictures hardly retrieve, and measure on further ones what is lost."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ....analysis import usage
from ....analysis.holdings import code_counts
from ....assets import ASSETS
from ....patches.segments.writer import check_target
from ....patches.tending.contents import Holding, batches, image_count
from ....patches.tending.copying import write_some
from ....types import CodeArray, ConfigError, DecodeSettings
from .opening import opened
from .report import tell


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.prune` for what is chosen."""
    settings = settings_of(chosen)
    for name in ("keep", "mass"):
        share = getattr(chosen, name)
        if share is not None and not 0 < share <= 1:
            raise ConfigError(f"{name}: got {share}, expected a share above 0 and up to 1")
    if chosen.out is not None:
        check_target(chosen.out)
    database = opened(chosen.database, chosen)
    grids, known = held_out(database, chosen)
    choosing, measuring = grids[::2], grids[1::2]
    total = int(database.images[-1]) + 1
    mass = usage.masses(database, total, choosing, settings, lambda p: tqdm(p, unit="picture", desc="look up"))
    kept = usage.kept_images(database.images, mass, chosen.keep, chosen.mass)
    lost = usage.loss(
        database, database.subset(kept), measuring, frequencies(database), settings,
        lambda p: tqdm(p, unit="picture", desc="measure"),
    )  # fmt: skip
    if chosen.out is not None:
        write_some(database, kept, chosen.out, progress=lambda p: tqdm(p, unit="block", desc="write"))
    counts = {"pictures_chosen_by": len(choosing), "pictures_measured_by": len(measuring)}
    tell(report(database, chosen.out, len(kept), lost, {**counts, "pictures_in_the_database": known}), chosen.json)
    return 0


def settings_of(chosen: argparse.Namespace) -> DecodeSettings:
    """K and the blend that are measured by; ConfigError for what no drawing could have."""
    given = {"retrieval_weight": chosen.retrieval_weight, "retrieval_temperature": chosen.retrieval_temperature}
    named = {name: value for name, value in given.items() if value is not None}
    return replace(DecodeSettings(), n_neighbours=chosen.neighbours, **named)


def held_out(database: Holding, chosen: argparse.Namespace) -> tuple[CodeArray, int]:
    """Token grids [M, H, W] of pictures that are not in the database, and how many others were left out."""
    shipped = ASSETS / "heldout" / "validation"
    held = opened(str(chosen.heldout or shipped), chosen)
    if (held.codebook.fingerprint, held.grid) != (database.codebook.fingerprint, database.grid):
        raise ConfigError("heldout: got pictures of another codebook or grid, expected a database of this model's")
    images = held.images[np.linspace(0, len(held.images) - 1, min(chosen.pictures, len(held.images))).astype(int)]
    grids = np.stack([held.image_codes(int(image)) for image in images])
    fresh = usage.unknown_grids(grids, (batch.grids for batch in batches(database, with_pictures=False)))
    if fresh.sum() < 2:
        raise ConfigError(f"heldout: got {int(fresh.sum())} pictures that are not in the database, expected 2 or more")
    return grids[fresh], int((~fresh).sum())


def frequencies(database: Holding) -> Any:
    """How probable each code is without retrieval."""
    counts = np.zeros(database.codebook.size, np.int64)
    for batch in batches(database, with_pictures=False):
        counts += code_counts(np.asarray(batch.grids), len(counts))
    return usage.frequencies_of(counts)


def report(database: Holding, out: Path | None, kept: int, lost: usage.Loss, counts: dict[str, int]) -> dict[str, Any]:
    """What is told: what was kept, and what held-out pictures lose by it."""
    images = image_count(database)
    return {
        "out": "(only measured)" if out is None else str(out),
        **{"images": images, "kept": kept, "share": round(kept / images, 4)},
        **counts,
        **{name: round(value, 5) for name, value in asdict(lost).items()},
        "nats_lost": round(lost.nats, 5),
    }
