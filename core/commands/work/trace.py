"""Tell what a recorded run holds, and why one of its positions has its code; needs no model."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from ...analysis.explain import Explanation, explain
from ...analysis.inside import lens_at, look_at
from ...backends.protocol import Inspection
from ...draw import Distribution
from ...trace import Trace
from ...types import ConfigError

CANDIDATES = 5
"""How many of the likeliest codes are told."""


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.trace` for what is chosen."""
    trace = Trace.load(chosen.file)
    print(json.dumps(_info(trace) if chosen.action == "info" else _explanation(trace, chosen.position)))
    return 0


def _info(trace: Trace) -> dict[str, Any]:
    """What a trace is of, and what retrieval changed in it; flips: null where the trace does not tell."""
    return {
        "prompt": trace.prompt,
        "settings": asdict(trace.settings),
        "changes": [asdict(change) for change in trace.changes],
        "origin": asdict(trace.origin),
        "draw": trace.rule,
        "grid": [trace.grid.height, trace.grid.width],
        "steps": len(trace.steps),
        "given": trace.given,
        "passes": trace.passes,
        "settled": [step.position for step in trace.steps if step.settled],
        "retrieving_positions": trace.retrieving_positions,
        "incomplete": list(trace.incomplete),
        "sources": len(trace.sources),
        "flips": trace.flips().tolist() if trace.flips_known else None,
        "codes_sha256": trace.codes_sha256,
        "inside": trace.inside is not None,
    }


def _explanation(trace: Trace, position: int | None) -> dict[str, Any]:
    """What decided the code of a position; null stands for what the trace does not tell."""
    if position is None or not 0 <= position < len(trace.steps):
        got = "nothing" if position is None else position
        raise ConfigError(f"position: got {got}, expected 0 to {len(trace.steps) - 1}; give --position")
    here = explain(trace, position)
    row, column = trace.grid.row_col(position)
    return {
        "position": position,
        "row": row,
        "column": column,
        "code": here.step.code,
        "drawn": here.drawn,
        "guess": here.step.guess,
        "pass_begins": here.step.begins,
        "settled": here.step.settled,
        "not_retrieved": here.reason,
        "retrieval_weight": here.blend.weight,
        "code_without_retrieval": here.without,
        "code_without_blenders": here.unblended,
        "flip": here.flip if here.nothing is not None else None,
        "shift": here.shift if here.bare is not None and here.nothing is not None else None,
        "likeliest": {
            "model": _likeliest(here.blend.model),
            "retrieval": _likeliest(here.blend.retrieval),
            "blended": _likeliest(here.blend.blended),
            "nothing_retrieved": _likeliest(here.nothing),
        },
        "neighbours": _neighbours(here),
        "inside": _inside(trace.inside, position) if trace.inside else None,
    }


def _likeliest(distribution: Distribution | None) -> list[dict[str, Any]] | None:
    """The likeliest codes of a distribution [V] with their probabilities."""
    if distribution is None:
        return None
    order = np.argsort(-distribution, kind="stable")[:CANDIDATES].tolist()
    return [{"code": code, "probability": float(distribution[code])} for code in order if distribution[code] > 0]


def _inside(inside: Inspection, position: int) -> dict[str, Any]:
    """What the model looked at there, as the mean over layers and heads, and what the lens reads of each stage."""
    look = look_at(inside, position)
    order = np.argsort(-look.cells, kind="stable")[:CANDIDATES].tolist()
    return {
        "words": [[word, weight] for word, weight in zip(inside.words, look.words.tolist(), strict=True)],
        "looked_at_most": [{"position": place, "weight": float(look.cells[place])} for place in order],
        "stages": [
            {
                "layer": lens.stage.layer, "place": lens.stage.place, "taken": lens.taken,
                "likeliest": [
                    {"code": code, "probability": chance}
                    for code, chance in zip(lens.codes.tolist(), lens.chances.tolist(), strict=True)
                ],
            }
            for lens in lens_at(inside, position)
        ],
        "note": inside.note,
    }  # fmt: skip


def _neighbours(here: Explanation) -> list[dict[str, Any]]:
    """The nearest neighbours of a position, and where they come from."""
    if not here.found:
        return []
    images, rows, columns = (part.tolist() for part in here.places)
    sources = here.trace.sources
    return [
        {
            "code": int(here.found.codes[n]), "distance": float(here.found.distances[n]),
            "share": float(here.shares[n]), "row": rows[n], "column": columns[n], "image": images[n],
            "caption": sources[images[n]].caption, "style": sources[images[n]].style,
        }
        for n in range(min(CANDIDATES, len(here.found)))
    ]  # fmt: skip
