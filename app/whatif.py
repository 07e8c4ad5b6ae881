"""What the tab "What if" shows of one position, as a JSON object: a pure function of a kept run and of a change."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from app.branches import change_from, describe
from app.views import top_codes
from app.visits import Kept
from core.daid import Blend, neighbour_shares
from core.draw import Distribution, Luck, Race
from core.trace import Trace, entropy, neighbours
from core.types import Change, ConfigError, DecodeSettings, Neighbours, Skipped, StepRecord
from core.whatif import WhatIf, what_if

SHOWN_CODES, SHOWN_NEIGHBOURS = 12, 24
SETTINGS = ("method", "retrieval_weight", "retrieval_temperature", "n_neighbours", "gate", "aggregate")
"""Those that the tab offers to change."""


def trace_for(kept: Kept, step: int) -> Trace:
    """The trace that has this step: of a paused run, the next one is there too, undecided. ConfigError for others."""
    if 0 <= step < len(kept.trace.steps):
        return kept.trace
    if kept.ahead is not None and step == len(kept.trace.steps):
        return kept.ahead
    raise ConfigError(f"position: got {step}, expected 0 to {len(kept.trace.steps) - 1}; step to a drawn patch")


def wanted(trace: Trace, step: int, values: object) -> Change:
    """The change that somebody entered, or without one what the run itself changed here, but for its settings."""
    before = trace.settings_at(step)
    if values is not None:
        return change_from(values, before, step)
    old = trace.change_at(step)
    return replace(old, settings=None, code=None) if old else Change(step)


def answer(kept: Kept, step: int, values: object) -> dict[str, Any]:
    """What a change would do at a step; see `wanted` for the change, and whatif.js for what becomes of the answer."""
    trace = trace_for(kept, step)
    change = wanted(trace, step, values)
    told, record = what_if(trace, step, change), trace.steps[step]
    before = trace.settings_at(step)
    settings = change.settings or before
    row, column = trace.grid.row_col(step)
    return {
        "run": kept.id,
        "step": step,
        "ahead": step == len(kept.trace.steps),
        "place": [row, column],
        "rule": trace.rule,
        "settings": {name: getattr(settings, name) for name in SETTINGS},
        "recorded": {name: getattr(before, name) for name in SETTINGS},
        "change": asdict(replace(change, settings=None)),
        "said": "" if change == Change(step) else describe(change, before),
        "before": _outcome(told.before, told.codes[0]),
        "after": _outcome(told.after, told.codes[1]),
        "taken": record.code,
        "codes": _codes(told, record, trace.luck(step)),
        "skipped": record.retrieval.reason if isinstance(record.retrieval, Skipped) else "",
        "found": len(told.neighbours) if told.neighbours else 0,
        "neighbours": _near(trace, step, told.neighbours, before, settings),
        "beyond": list(told.beyond),
    }


def _outcome(blend: Blend, code: int) -> dict[str, float | int]:
    """What one blend picks, and how sure it is."""
    chance, model = float(blend.blended[code]), float(blend.model[code])
    return {
        "code": code,
        "chance": chance,
        "model": model,
        "weight": blend.weight,
        "entropy": entropy(blend.blended),
    }


def _codes(told: WhatIf, record: StepRecord, luck: Luck) -> list[list[float]]:
    """The likeliest codes: number, then the shares of model, retrieval and both blends, then the noise.

    Those that truncation has excluded come last, in the order of their logits: they can be chosen by hand.
    """
    keep = sorted({*told.codes, record.code})
    likely = top_codes(told.after, keep, SHOWN_CODES, [told.before.blended])
    before, after = told.before.blended, told.after.blended
    nothing = np.zeros(len(after))
    noise = luck.noise if isinstance(luck, Race) else nothing
    retrieval = nothing if told.after.retrieval is None else told.after.retrieval
    columns = (told.after.model, retrieval, before, after, noise)
    share = np.maximum.reduce(columns[:4])
    codes = [int(code) for code in likely if share[code] > 0 or code in keep]
    others = [int(code) for code in np.argsort(-record.logits, kind="stable")[: 2 * SHOWN_CODES] if code not in codes]
    codes += others[: SHOWN_CODES - len(codes)]
    return [[code, *(float(column[code]) for column in columns)] for code in codes]


def _near(
    trace: Trace, step: int, weighed: Neighbours | None, before: DecodeSettings, after: DecodeSettings
) -> list[dict[str, Any]]:
    """The nearest neighbours with their shares before and after the change."""
    found = neighbours(trace.steps[step])
    if found is None:
        return []
    old = neighbour_shares(found, before.retrieval_temperature, before.aggregate)
    new: Distribution = np.zeros(len(found))
    if weighed is not None:
        shares = neighbour_shares(weighed, after.retrieval_temperature, after.aggregate)
        new[: len(shares)] = shares
    images, rows, columns = trace.provenance(step)
    shown = min(SHOWN_NEIGHBOURS, len(found))
    return [
        {
            "entry": int(found.entries[i]),
            "code": int(found.codes[i]),
            "distance": float(found.distances[i]),
            "shares": [float(old[i]), float(new[i])],
            "caption": trace.sources[int(images[i])].caption,
            "style": trace.sources[int(images[i])].style,
            "place": [int(images[i]), int(rows[i]), int(columns[i])],
        }
        for i in range(shown)
    ]
