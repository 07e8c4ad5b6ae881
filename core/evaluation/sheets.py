"""Contact sheets for docs/ and the pictures of the page's first example: `python -m core evaluate sheets`.

Nothing is picked by hand or by luck: the subjects follow from a fixed order, every picture is the first one drawn.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from .. import threads
from ..assets import ASSETS
from ..backends import Backend, load_backend
from ..contact_sheet import contact_sheet
from ..engine import decode
from ..patches.catalogue import open_database
from ..patches.database import PatchDatabase
from ..training.data import NOVEL, UNSEEN_STYLE
from ..types import DecodeSettings
from .identify import UNSEEN_BLEND, Subject, combinations, drawn, generate, original, subjects_of
from .judges import Pictures

MODEL_ALONE = DecodeSettings(method="model", seed=1)
TRAINED, RECOMBINED, UNSEEN = 60, 24, 24
COLUMNS = 12


def sheet(rows: Sequence[tuple[str, Pictures]], columns: int, path: Path) -> None:
    """Captioned pictures in rows of `columns`, as webp; a caption has two lines at most."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(rows, columns).save(path, "WEBP", quality=85, method=6)


def trained(backend: Backend, database: PatchDatabase, folder: Path) -> None:
    """Trained prompts, and recombinations of concept and colour that were held out of training; the model alone."""
    for name, subjects in (
        ("trained", drawn(subjects_of(database, tuning=False), TRAINED)),
        ("recombined", drawn(combinations(database, tuning=False), RECOMBINED)),
    ):
        sample = generate(backend, None, subjects, MODEL_ALONE, 1)
        captions = [subject.prompt.replace(" style", "") for subject in subjects]
        sheet(list(zip(captions, sample.pictures, strict=True)), COLUMNS, folder / f"{name}.webp")


def unseen_subjects(database: PatchDatabase) -> list[Subject]:
    """Trained concepts in the unseen style, and unseen concepts in any; half of each, of a database of all concepts."""
    subjects = subjects_of(database, tuning=False)
    flat = [s for s in subjects if s.style == UNSEEN_STYLE and s.concept not in NOVEL]
    novel = [s for s in subjects if s.concept in NOVEL and s.style != UNSEEN_STYLE]
    return drawn(flat, UNSEEN // 2) + drawn(novel, UNSEEN // 2)


def unseen(backend: Backend, folder: Path) -> None:
    """Each subject three times: the novice alone, with the unseen database, and the database's own picture of it."""
    database = open_database("unseen", backend)
    subjects = unseen_subjects(open_database("emoji", backend))
    alone = generate(backend, None, subjects, MODEL_ALONE, 1).pictures
    helped = generate(backend, database, subjects, replace(UNSEEN_BLEND, seed=MODEL_ALONE.seed), 1).pictures
    rows = []
    for subject, *pictures in zip(subjects, alone, helped, strict=True):
        name = subject.prompt.replace(" style", "")
        captions = (name, "with the database", "in the database")
        rows += list(zip(captions, [*pictures, original(database, subject)], strict=True))
    sheet(rows, COLUMNS, folder / "unseen.webp")


def swap(assets: Path) -> None:
    """The pictures of the page's first example, drawn with the settings in examples.json."""
    for tile in json.loads((assets / "examples.json").read_text(encoding="utf-8"))["swap"]:
        backend = load_backend(tile["model"])
        settings = DecodeSettings.from_json(tile["settings"])
        database = open_database(tile["database"], backend) if settings.retrieves else None
        codes = [step[0].code for step in decode(backend, database, [tile["prompt"]], settings)]
        picture = backend.decode_codes(np.array([codes], np.uint16).reshape(1, *_shape(backend)))[0]
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "WEBP", quality=90, method=6)
        path = assets / "examples" / tile["picture"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())


def _shape(backend: Backend) -> tuple[int, int]:
    return backend.grid.height, backend.grid.width


def run(chosen: argparse.Namespace) -> int:
    """Draw everything."""
    threads.pin()
    folder, backend = chosen.out or ASSETS.parent / "docs", load_backend("emoji")
    trained(backend, open_database("emoji", backend), folder)
    unseen(load_backend("novice"), folder)
    swap(ASSETS)
    return 0
