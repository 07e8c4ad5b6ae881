"""What the page and the endpoints show of the inside of a model at one position: pure functions; imports no gradio."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image

from app.pictures import RGB, continued_grid
from app.views import Array
from app.visits import Kept
from core.analysis.inside import lens_at, look_at
from core.backends.protocol import Inspection
from core.trace import Trace
from core.types import CodeArray, Grid

AROUND = 3
"""Rows and columns of the piece of the picture in which a patch is shown."""

PIECE = 96
"""Side in pixels of such a piece."""

DIGITS = 6


def answer(kept: Kept, inspection: Inspection, position: int, layer: int | None, head: int | None) -> dict[str, Any]:
    """Attention and lens of a position as a JSON object; ConfigError for a place, layer or head that is not there."""
    look, trace = look_at(inspection, position, layer, head), kept.trace
    layers, heads = inspection.attention.shape[:2]
    return {
        "run": kept.id,
        "step": position,
        "code": trace.steps[position].code,
        "layers": layers,
        "heads": heads if heads == inspection.heads else 0,
        "words": [[word, weight] for word, weight in zip(inspection.words, rounded(look.words), strict=True)],
        "cells": rounded(look.cells),
        "stages": [
            {**asdict(lens.stage), "codes": lens.codes.tolist(), "chances": rounded(lens.chances), "taken": lens.taken}
            for lens in lens_at(inspection, position)
        ],
        "note": inspection.note,
    }


def rounded(values: np.ndarray[Any, np.dtype[np.float32]]) -> list[float]:
    """Weights or probabilities with as many digits as they have."""
    return [round(value, DIGITS) for value in values.tolist()]


def different(inspection: Inspection, position: int) -> list[int]:
    """The likeliest codes of all stages of a position, each once, ascending."""
    return sorted({int(code) for code in inspection.codes[:, position, 0]})


def tried(trace: Trace, position: int, codes: list[int]) -> CodeArray:
    """Token grids [N, H, W] of the picture with each of the codes at a position."""
    grids = np.repeat(continued_grid(trace.codes.tolist(), trace.grid)[None], len(codes), axis=0)
    row, column = trace.grid.row_col(position)
    grids[:, row, column] = codes
    return grids


def corner(grid: Grid, position: int) -> tuple[int, int]:
    """Row and column where the piece around a position begins, which stays inside of the picture."""
    row, column = grid.row_col(position)
    rows, columns = (max(0, size - AROUND) for size in (grid.height, grid.width))
    return min(max(row - AROUND // 2, 0), rows), min(max(column - AROUND // 2, 0), columns)


def pieces(pictures: RGB, grid: Grid, position: int) -> RGB:
    """The surroundings of a position in each picture [N, H, W, 3], side by side in one: [PIECE, N * PIECE, 3]."""
    top, left = corner(grid, position)
    side = pictures.shape[1] // grid.height
    cut = pictures[:, top * side : (top + AROUND) * side, left * side : (left + AROUND) * side]
    resized = [np.asarray(Image.fromarray(one).resize((PIECE, PIECE), Image.Resampling.NEAREST)) for one in cut]
    strip: RGB = np.concatenate(resized, axis=1)
    return strip


# ---------------------------------------------------------------------------------------------------------------------
# In the file that the stepper fetches


MOST_WEIGHTS = 200_000
"""Weights of attention that a file holds, two bytes each; where all layers would be more, it has their mean alone."""

UNIT = 65535
"""Weights are packed as whole numbers of 1 / UNIT."""


def packed(trace: Trace) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of what a trace keeps of the inside of its model, for a page that replays it; else nothing.

    inside_look: for each layer, or for their mean alone (layers 0), and each position p in turn, the T + p weights of
    the words and of the codes before it; inside_code, inside_chance: [S, n, C]; inside_taken: [S, n].
    """
    seen = trace.inside
    if seen is None:
        return {}, {}
    layers, words, positions = len(seen.attention), len(seen.words), seen.codes.shape[1]
    weights = seen.attention.astype(np.float32).mean(axis=1)
    there = np.arange(weights.shape[-1]) < words + np.arange(positions)[:, None]
    if layers * there.sum() > MOST_WEIGHTS:
        layers, weights = 0, weights.mean(axis=0, keepdims=True)
    stages = [[stage.layer, stage.place] for stage in seen.stages]
    header = {"words": seen.words, "layers": layers, "stages": stages, "likeliest": seen.codes.shape[-1]}
    arrays = {
        "inside_look": np.rint(weights[:, there] * UNIT).astype(np.uint16),
        "inside_code": seen.codes,
        "inside_chance": seen.chances,
        "inside_taken": seen.taken,
    }
    return {"inside": {**header, "unit": UNIT, "note": seen.note}}, arrays
