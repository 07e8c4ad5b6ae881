"""What the tab "What if" shows of one position, as a JSON object: a pure function of a kept run and of a change."""

from __future__ import annotations

import base64
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from app.branches import change_from, describe, differing
from app.controls import KNOBS
from app.pictures import small
from app.views import METHOD_NAMES
from app.visits import Kept
from core.analysis.explain import largest, top_codes
from core.analysis.whatif import WhatIf, what_if
from core.daid import Blend
from core.draw import Luck, Race
from core.trace import Trace, entropy
from core.types import Change, ConfigError

SHOWN_CODES, SHOWN_NEIGHBOURS = 12, 24
OUTCOME_PICTURE = 256
"""Side in pixels of the picture of the run that a branch came from."""

SYMBOLS = {"retrieval_weight": "λ", "retrieval_temperature": "τ", "n_neighbours": "K", "gate": "gate"}
SETTINGS = ("method", *SYMBOLS, "aggregate")
"""Those that the tab offers to change; numbers go by their symbols there."""


def offers() -> dict[str, Any]:
    """What the tab can change, with the ranges of the page: see the constructor in whatif.js."""
    knobs = {knob.field: knob for knob in KNOBS}
    rows = [(knobs[name], symbol) for name, symbol in SYMBOLS.items()]
    return {
        "knobs": [[knob.field, symbol, knob.info, knob.low, knob.high, knob.step] for knob, symbol in rows],
        "methods": [[name, label] for name, label in METHOD_NAMES.items()],
    }


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
    asked = what_if(trace, step, change)
    before = asked.was.settings
    settings = change.settings or before
    return {
        "run": kept.id,
        "step": step,
        "ahead": step == len(kept.trace.steps),
        "place": list(trace.grid.row_col(step)),
        "rule": trace.rule,
        "settings": {name: getattr(settings, name) for name in SETTINGS},
        "recorded": {name: getattr(before, name) for name in SETTINGS},
        "change": asdict(replace(change, settings=None)),
        "said": "" if change == Change(step) else describe(change, before),
        "before": _outcome(asked.before, asked.codes[0]),
        "after": _outcome(asked.after, asked.codes[1]),
        "taken": asked.was.step.code,
        "codes": _codes(asked, trace.luck(step)),
        "skipped": asked.was.reason or "",
        "found": len(asked.neighbours) if asked.neighbours else 0,
        "neighbours": _near(asked),
        "beyond": list(asked.beyond),
    }


def outcome(kept: Kept, parent: Kept) -> dict[str, Any]:
    """A branch beside the run that it came from: where their codes differ, of how many that both have."""
    return {
        "run": kept.id,
        "parent": parent.id,
        "name": parent.name,
        "places": differing(kept.trace.codes, parent.trace.codes),
        "both": min(len(kept.trace.steps), len(parent.trace.steps)),
        "picture": base64.b64encode(small(parent.picture, OUTCOME_PICTURE)).decode(),
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


def _codes(asked: WhatIf, luck: Luck) -> list[list[float]]:
    """The likeliest codes: number, then the shares of model, retrieval and both blends, then the noise.

    Those that truncation has excluded come last, in the order of their logits: they can be chosen by hand.
    """
    record = asked.was.step
    keep = sorted({*asked.codes, record.code})
    likely = top_codes(asked.after, keep, SHOWN_CODES, [asked.before.blended])
    before, after = asked.before.blended, asked.after.blended
    nothing = np.zeros(len(after))
    noise = luck.noise if isinstance(luck, Race) else nothing
    retrieval = nothing if asked.after.retrieval is None else asked.after.retrieval
    columns = (asked.after.model, retrieval, before, after, noise)
    share = np.maximum.reduce(columns[:4])
    codes = [int(code) for code in likely if share[code] > 0 or code in keep]
    others = [int(code) for code in largest(record.logits, 2 * SHOWN_CODES) if code not in codes]
    codes += others[: SHOWN_CODES - len(codes)]
    return [[code, *(float(column[code]) for column in columns)] for code in codes]


def _near(asked: WhatIf) -> list[dict[str, Any]]:
    """The nearest neighbours with their shares before and after the change."""
    was, found = asked.was, asked.was.found
    if found is None:
        return []
    new = np.zeros(len(found))
    new[: len(asked.shares)] = asked.shares
    images, rows, columns = was.places
    return [
        {
            "entry": int(found.entries[i]),
            "code": int(found.codes[i]),
            "distance": float(found.distances[i]),
            "shares": [float(was.shares[i]), float(new[i])],
            "caption": was.trace.sources[int(images[i])].caption,
            "style": was.trace.sources[int(images[i])].style,
            "place": [int(images[i]), int(rows[i]), int(columns[i])],
        }
        for i in range(min(SHOWN_NEIGHBOURS, len(found)))
    ]
