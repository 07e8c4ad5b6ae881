"""Describe a database."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

import numpy as np

from ....analysis import holdings
from ....patches.catalogue import check_codebook, check_name, find_database, is_segmented, whole_folder
from ....patches.database import PatchDatabase
from ....patches.protocol import Database
from ....patches.released import ReleasedDatabase
from ....patches.segments.database import SegmentedDatabase
from ....types import DecodeSettings
from ..loading import loaded

SAMPLE: Final = 4096
"""Images whose codes are counted in a database of segments, so that its size does not matter."""


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.info` for what is chosen."""
    check_name(chosen.database)
    if is_segmented(chosen.database):  # it keeps its codebook: no model is needed
        print(json.dumps(segmented(SegmentedDatabase.open(whole_folder(chosen.database)))))
        return 0
    check_codebook(chosen.database, chosen.backend)
    print(json.dumps(_any(find_database(chosen.database, loaded(chosen)))))
    return 0


def _any(database: Database) -> dict[str, Any]:
    """What a database of any kind holds."""
    if isinstance(database, ReleasedDatabase):
        return _released(database)
    if isinstance(database, SegmentedDatabase):
        return segmented(database)
    return described(database) if isinstance(database, PatchDatabase) else _shared(database)


def _shared(database: Database) -> dict[str, Any]:
    """What every kind knows of itself."""
    return {
        "images": len(database.images), "entries": len(database), "styles": list(database.styles),
        "context_radius": database.context.radius, "border": database.context.border, "notice": database.notice,
        "fingerprint": database.fingerprint,
    }  # fmt: skip


def described(database: PatchDatabase) -> dict[str, Any]:
    """What a patch database holds."""
    styles = {s: int(np.sum([i.style == s for i in database.metadata])) for s in database.styles}
    counts = holdings.code_counts(database.grids[database.images], database.codebook.size)
    return {
        "images": len(database.images), "entries": len(database), "unique_contexts": database.unique_contexts,
        "repeated_contexts": database.repeated_contexts,
        "codes_used": int((counts > 0).sum()), "codes_of_half_the_cells": holdings.codes_of_half(counts),
        "styles": styles, "context_radius": database.context.radius, "border": database.context.border,
        "index": database.index_kind, "fingerprint": database.fingerprint,
    }  # fmt: skip


def segmented(database: SegmentedDatabase) -> dict[str, Any]:
    """What a database of segments holds: of its manifest, and the codes of a sample of its images."""
    header, files = database.manifest.header, [f for s in database.manifest.segments for f in s.files.values()]
    sampled = holdings.sample(database.images, SAMPLE)
    counts = holdings.code_counts(database.grids_of(sampled), database.codebook.size)
    return {
        "version": 2, "images": database.image_count, "entries": len(database), "segments": len(database.segments),
        "index": database.index_kind, "bytes": sum(file.size for file in files), "sampled_images": len(sampled),
        "codes_used": int((counts > 0).sum()), "codes_of_half_the_cells": holdings.codes_of_half(counts),
        "styles": database.style_counts, "columns": header.columns, "captions": header.captions,
        "caption_encoder": header.caption_encoder, "pictures": header.pictures,
        "context_radius": header.context.radius, "border": header.context.border, "codebook": header.codebook,
        "fingerprint": database.fingerprint,
    }  # fmt: skip


def _released(database: ReleasedDatabase) -> dict[str, Any]:
    """What a released database holds; recall only where the token grids are beside it."""
    neighbours = DecodeSettings().n_neighbours
    return {
        "images": len(database.images), "entries": len(database), "index": "approximate", "lists": database.lists,
        f"recall_at_{neighbours}": database.recall(neighbours), "notice": database.notice,
        "fingerprint": database.fingerprint,
    }  # fmt: skip
