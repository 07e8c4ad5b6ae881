"""What flips are worth, and what drawing costs, as measured on this machine: a part of `python -m core bench`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from ..backends import Backend
from ..daid import blend_step
from ..draw import Distribution, race
from ..engine import Request, decode, decode_together
from ..patches.database import PatchDatabase
from ..types import DecodeSettings, StepRecord, neighbours_of

PROMPTS = ("a red heart, 3d style", "pizza", "guitar", "a kitten", "purple house", "pineapple")
SEEDS = 8
WEIGHTS = (DecodeSettings(), DecodeSettings(retrieval_weight=0.3), DecodeSettings(retrieval_weight=0.8, gate=0.0))
"""The retrieval weight .1, which is the default, and .3, both with the default gate; .8 without one."""


def flip_figures(backend: Backend, database: PatchDatabase) -> dict[str, float | int]:
    """Flips of DAiD over PROMPTS, SEEDS and WEIGHTS, and how many there must be at least.

    flips_unsupported: flips to a code whose probability the blend did not raise by a larger factor than that of the
    code it takes the place of. flips_over_fewest: flips divided by the summed total variation of model and blend, which
    no way of drawing stays below on average; for the default weight alone, and for all.
    """
    flips, fewest, unsupported = np.zeros(len(WEIGHTS)), np.zeros(len(WEIGHTS)), 0
    for prompt in tqdm(PROMPTS, desc="flips"):
        requests = [
            Request(backend, database, prompt, replace(settings, seed=seed))
            for settings in WEIGHTS
            for seed in range(SEEDS)
        ]
        for step in decode_together(requests):
            for row, (record, request) in enumerate(zip(step, requests, strict=True)):
                flipped, distance, unfounded = _flip(record, request.settings)
                flips[row // SEEDS] += flipped
                fewest[row // SEEDS] += distance
                unsupported += unfounded
    return {
        "flips": int(flips.sum()),
        "flips_unsupported": unsupported,
        "flips_over_fewest_default": round(float(flips[0] / fewest[0]), 4),
        "flips_over_fewest": round(float(flips.sum() / fewest.sum()), 4),
    }


def _flip(record: StepRecord, settings: DecodeSettings) -> tuple[bool, float, bool]:
    """Whether retrieval changed the code, the total variation of model and blend, and whether the flip has no cause."""
    blend = blend_step(record.logits, neighbours_of(record.retrieval), settings)
    if blend.retrieval is None:
        return False, 0.0, False
    without = race(settings.seed, record.position, len(record.logits)).draw(blend.model)
    distance = 0.5 * float(np.abs(blend.model - blend.blended).sum())
    unfounded = without != record.code and not _raised_more(blend.model, blend.blended, record.code, without)
    return without != record.code, distance, unfounded


def _raised_more(before: Distribution, after: Distribution, code: int, other: int) -> bool:
    """Whether a code was raised by a larger factor than another one, which had a probability."""
    return bool(after[code] * before[other] > after[other] * before[code])


def draw_share(backend: Backend, database: PatchDatabase, runs: int) -> float:
    """Share of a picture's time (DAiD, guided) that its noise and its draws take: median of paired runs."""
    shares = []
    for seed in range(runs + 1):
        settings = DecodeSettings(seed=seed)
        begin = time.perf_counter()
        records = [step[0] for step in decode(backend, database, [PROMPTS[0]], settings)]
        drawn = time.perf_counter()
        blends = [blend_step(record.logits, neighbours_of(record.retrieval), settings).blended for record in records]
        shares.append(_seconds_of_draws(seed, blends) / (drawn - begin))
    return round(float(np.median(shares[1:])), 5)


def _seconds_of_draws(seed: int, blends: Sequence[Distribution]) -> float:
    """How long one picture's noise and draws take."""
    begin = time.perf_counter()
    for position, blended in enumerate(blends):
        race(seed, position, len(blended)).draw(blended)
    return time.perf_counter() - begin
