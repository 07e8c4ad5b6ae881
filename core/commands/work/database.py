"""Describe a database, or build one from a folder of pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from tqdm import tqdm

from ... import threads
from ...analysis import holdings
from ...backends import EMBEDDED, Backend
from ...context import Context
from ...patches.build import collect
from ...patches.catalogue import check_codebook, check_name, find_database
from ...patches.database import PatchDatabase
from ...patches.released import ReleasedDatabase
from ...types import ConfigError, DecodeSettings
from ..model import load_model
from .progress import loading


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.database` for what is chosen."""
    print(json.dumps(_found(chosen) if chosen.action == "info" else _built(chosen)))
    return 0


def _found(chosen: argparse.Namespace) -> dict[str, Any]:
    """What the chosen database holds."""
    check_name(chosen.database)
    check_codebook(chosen.database, chosen.backend)
    found = find_database(chosen.database, _loaded(chosen))
    return _info(found) if isinstance(found, PatchDatabase) else _released_info(found)


def _built(chosen: argparse.Namespace) -> dict[str, Any]:
    """Build a database, and say what it holds."""
    for name, given in (("images", chosen.images), ("out", chosen.out)):
        if given is None:
            raise ConfigError(f"{name}: got nothing, expected a folder; give --{name}")
    context = Context(chosen.radius, chosen.border)
    _check_output_folder(chosen.out)
    made = collect(_loaded(chosen), chosen.images, context, lambda p: tqdm(p, unit="picture", desc="encode"))
    made.save(chosen.out)
    return {"out": str(chosen.out), **_info(made)}


def _loaded(chosen: argparse.Namespace) -> Backend:
    with loading(chosen.backend):
        threads.pin(large=chosen.backend not in EMBEDDED)
        return load_model(chosen)


def _check_output_folder(path: Path) -> None:
    """Raise ConfigError before any work when a database could not be written to a folder, which need not be there."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"out: got {str(path)!r}, but {there} cannot be written ({error.strerror})") from None


def _info(database: PatchDatabase) -> dict[str, Any]:
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


def _released_info(database: ReleasedDatabase) -> dict[str, Any]:
    """What a released database holds; recall only where the token grids are beside it."""
    neighbours = DecodeSettings().n_neighbours
    return {
        "images": len(database.images), "entries": len(database), "index": "approximate", "lists": database.lists,
        f"recall_at_{neighbours}": database.recall(neighbours), "notice": database.notice,
        "fingerprint": database.fingerprint,
    }  # fmt: skip
