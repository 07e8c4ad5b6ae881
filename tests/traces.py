"""Small traces, made by hand (a grid of 4 x 6 codes, three source images, four codes) or drawn by the tiny model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.backends.emoji.backend import EmojiBackend
from core.context import Context, retrieving_positions
from core.engine import decode
from core.patches.database import PatchDatabase
from core.trace import Origin, Source, Trace
from core.types import DecodeSettings, Grid, Neighbours, Retrieval, Seconds, Skipped, StepRecord

GRID, CONTEXT = Grid(4, 6), Context()
PLACES = retrieving_positions(CONTEXT, GRID).tolist()  # rows 1 to 3, columns 1 to 4
PLAIN = DecodeSettings(
    temperature=1.0, top_p=1.0, retrieval_weight=0.5, retrieval_temperature=1.0, gate=0.0, n_neighbours=3
)
LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))


def entry(image: int, position: int) -> int:
    """Number of the entry of an image at a raster position."""
    return image * len(PLACES) + PLACES.index(position)


def near(*entries: tuple[int, int, int], distances: Sequence[float] = ()) -> Neighbours:
    """Neighbours from (image, position, code), as near as each other or at the given distances."""
    return Neighbours(
        np.array([code for _, _, code in entries], np.int64),
        np.array(distances or [0.0] * len(entries), np.float32),
        np.array([entry(image, position) for image, position, _ in entries], np.int64),
    )


def trace_of(found: dict[int, Neighbours], codes: dict[int, int], settings: DecodeSettings = PLAIN) -> Trace:
    """A trace of the whole grid; positions without neighbours retrieved nothing, codes that are not given are 0."""
    steps = []
    for position in range(GRID.positions):
        answer = Retrieval(np.zeros(4, np.int64), found[position]) if position in found else Skipped("edge")
        steps.append(StepRecord(position, LOGITS, answer, codes.get(position, 0), None, Seconds(0, 0, 0)))
    sources = {i: Source(i, f"caption {i}", "flat", "", "here", np.zeros((4, 6), np.uint16)) for i in (3, 5, 8)}
    return Trace("a prompt", settings, Origin("fake", "m", None, "c", 4, "d", CONTEXT), GRID, tuple(steps), sources)


SETTINGS = DecodeSettings(seed=2, retrieval_weight=0.5, n_neighbours=6, gate=0.0, styles=("3d",), cfg_scale=2.0)
FAID = replace(SETTINGS, method="faid", faid_neighbours=5, record_unblended=True)


def traced(backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings) -> Trace:
    """A run of the tiny model."""
    records = [step[0] for step in decode(backend, database, ["a red heart"], settings)]
    return Trace.record(backend, database, "a red heart", settings, records)
