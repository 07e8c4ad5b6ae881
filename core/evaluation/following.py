"""What following a source spares and changes: `python -m core evaluate following`.

For each database and each way of mixing, the same pictures are drawn with every way of following; then their look-ups
alone are done again over the codes that a plain search drew, for the CPU time. And held-out pictures are read: what the
codes are worth, in nats, when what follows is taken for the answer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import threads
from ..backends import Backend, load_backend
from ..engine import Request, decode_together
from ..lookup import look_up, remember
from ..patches.catalogue import open_database
from ..patches.database import PatchDatabase
from ..types import DecodeSettings, FloatArray, IntArray, Retrieval, Skipped, neighbours_of
from .bench_draw import PROMPTS
from .following_large import large
from .likelihood import CHOSEN, PLAIN, Found, HeldOut, nats_per_code

DEFAULT = DecodeSettings()
STRONG = replace(
    DEFAULT, retrieval_weight=0.6, retrieval_temperature=0.2, gate=2.0, caption_filter=8, position_weight=0.3
)
ONE_PICTURE = replace(
    DEFAULT, retrieval_weight=0.75, retrieval_temperature=0.3, gate=0.0, caption_filter=1, position_weight=0.3
)
WHOLE = replace(DEFAULT, retrieval_weight=0.3, retrieval_temperature=0.3, gate=0.0, caption_filter=0)
MIXES = {
    ("emoji", "default"): DEFAULT,
    ("emoji", "strong"): STRONG,
    ("emoji", "one picture"): ONE_PICTURE,
    ("emoji", "whole database"): WHOLE,
    ("unseen", "default"): DEFAULT,
    ("unseen", "whole database"): WHOLE,
}
"""Databases and how they are looked up: at the strengths of the page, and without a caption filter."""

WAYS: Mapping[str, Mapping[str, Any]] = {
    "exact": {"follow": "exact"},
    "near 0.1": {"follow": "near", "follow_within": 0.1},
    "near 0.3": {"follow": "near", "follow_within": 0.3},
    "near 1": {"follow": "near", "follow_within": 1.0},
}
READ = {"default": PLAIN, "K 256, filter 32": replace(CHOSEN, caption_filter=32)}
"""How held-out pictures are looked up and mixed."""

Answers = list[Retrieval | Skipped]


def answers_along(view: PatchDatabase, codes: IntArray, settings: DecodeSettings) -> Answers:
    """What every position of a picture [S] that is there already looks up, following what those before it found."""
    trail: dict[int, IntArray] = {}
    answers = []
    for position in range(len(codes)):
        answers.append(look_up(view, codes, position, settings, trail))
        remember(trail, position, answers[-1], view.grid.width)
    return answers


def view_of(backend: Backend, database: PatchDatabase, prompt: str, settings: DecodeSettings) -> PatchDatabase:
    """What a prompt may look up, anew: nothing of its answers is remembered yet."""
    chosen = database.images
    if settings.caption_filter:
        chosen = database.nearest_captions(backend.embed_captions([prompt])[0], settings.caption_filter)
    return database.subset(chosen)


def shares(answers: Sequence[Retrieval | Skipped]) -> dict[str, float]:
    """Share of the look-ups that were done in each way."""
    ways = Counter(a.followed.way for a in answers if isinstance(a, Retrieval) and a.followed is not None)
    return {way: round(ways[way] / max(1, ways.total()), 4) for way in ("named", "kept", "bounded", "searched")}


def cpu_ms(view: PatchDatabase, codes: IntArray, settings: DecodeSettings) -> tuple[float, Answers]:
    """CPU milliseconds of one look-up, the mean of a picture, and the answers."""
    begin = time.process_time()
    answers = answers_along(view, codes, settings)
    count = sum(isinstance(answer, Retrieval) for answer in answers)
    return 1000 * (time.process_time() - begin) / count, answers


def drawn(backend: Backend, database: PatchDatabase, base: DecodeSettings, count: int) -> Iterator[dict[str, Any]]:
    """Pictures with every way of following, beside those of a plain search; all of them are drawn together."""
    asked = [(PROMPTS[n % len(PROMPTS)], n) for n in range(count)]
    ways = {"off": base, **{name: replace(base, **changes) for name, changes in WAYS.items()}}
    requests = [
        Request(backend, database, prompt, replace(settings, seed=seed))
        for settings in ways.values()
        for prompt, seed in asked
    ]
    codes = np.array([[record.code for record in step] for step in decode_together(requests)]).T
    pictures = dict(zip(ways, codes.reshape(len(ways), count, -1), strict=True))
    for name, settings in ways.items():
        rows = zip(asked, pictures["off"], strict=True)
        looked = [cpu_ms(view_of(backend, database, prompt, base), one, settings) for (prompt, _), one in rows]
        other = pictures[name] != pictures["off"]
        yield {
            "way": name,
            **shares([answer for _, answers in looked for answer in answers]),
            "other_pictures": int(other.any(axis=1).sum()),
            "other_codes": round(float(other.mean()), 4),
            "ms": round(float(np.median([ms for ms, _ in looked])), 3),
        }


def read(held: HeldOut, logits: FloatArray, database: PatchDatabase, base: DecodeSettings) -> Iterator[dict[str, Any]]:
    """Nats per code of held-out pictures with every way of following, and with a plain search."""
    ways = {"off": base, **{name: replace(base, **changes) for name, changes in WAYS.items()}}
    for name, settings in ways.items():
        found: list[Found] = []
        answers: Answers = []
        for grid, prompt in zip(held.grids, held.prompts, strict=True):
            view = view_of(held.backend, database, prompt, base)
            here = answers_along(view, grid.ravel().astype(np.int64), settings)
            found.append([neighbours_of(answer) for answer in here])
            answers += here
        nats = nats_per_code(held.observations(logits, found), base)
        yield {"way": name, **shares(answers), "nats": round(nats, 4)}


def run(chosen: argparse.Namespace) -> int:
    """Print a line of JSON for each database, mix and way; with a number of entries, what a bound spares in so many."""
    threads.pin()
    if chosen.entries:
        for row in large(chosen.entries):
            print(json.dumps(row), flush=True)
        return 0
    backend = load_backend("emoji")
    for (name, mix), settings in MIXES.items():
        database = open_database(name, backend)
        for row in drawn(backend, database, settings, chosen.count):
            print(json.dumps({"drawn": name, "mix": mix, **row}), flush=True)
    held, database = HeldOut(backend, "validation", chosen.count), open_database("emoji", backend)
    logits = held.logits()
    for mix, settings in READ.items():
        for row in read(held, logits, database, settings):
            print(json.dumps({"read": "validation", "mix": mix, **row}), flush=True)
    return 0
