"""The part of the bench that measures FAiD: the collapsed form, the overhead of decoding and of training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..backends.emoji.backend import CONTROL, EmojiBackend, load_control
from ..backends.emoji.transformer import conditions
from ..faid import Blender, CollapsedLayer, ContextMemory, collapse, direct
from ..patches.database import PatchDatabase
from ..training.train_faid import Batch, FaidSettings, tuned_nats
from ..types import Grid
from .likelihood import CHOSEN_BOTH, CHOSEN_FAID, Found, HeldOut, faid_nats, nats_per_code

NEIGHBOURS, HOPS, ROWS = 10, (1, 2), 4
SIZES = {256: Grid(16, 16), 2048: Grid(24, 24)}
"""Widths that are measured, with the grid that goes with them: the embedded model's and Janus-Pro 1B's."""


def figures(backend: EmojiBackend, database: PatchDatabase, runs: int) -> dict[str, float]:
    """Everything that is measured of FAiD, but the time of an image."""
    return collapse_figures(4 * runs) | likelihood_figures(backend, database) | training_figures(backend, runs)


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """How long it takes by a clock."""
    begin = clock()
    work()
    return clock() - begin


@torch.inference_mode()
def collapse_speedup(
    width: int,
    grid: Grid,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    dtype: torch.dtype = torch.float32,
    rows: int = 1,
) -> tuple[float, float]:
    """How many times faster the collapsed form is than the definition, per token, and its largest relative error.

    One thread, one image; the definition in float32, the collapsed form in `dtype`. rows: 2 lets the definition compute
    the unconditional row of guidance, too, as the released decoding does, which drops the result. The collapsed form is
    timed over whole rows of the grid, so that entering them is in it; both include the context, the smoothing and the
    score. The two take turns; the median of the ratios counts.
    """
    torch.manual_seed(0)
    blender = Blender(width, HOPS).eval()
    cells, centres = torch.randn(1, grid.positions, width), torch.randn(1, NEIGHBOURS, width)
    layer = CollapsedLayer(0, torch.ones(width), collapse(blender)).to(dtype)
    typed, both = centres.to(dtype), (cells.expand(rows, -1, -1), centres.expand(rows, -1, -1))
    memory = ContextMemory(layer.blender, grid, 1)
    for position in range(grid.positions):
        memory.write(position, cells[:, position])
    row = grid.height // 2
    places = range(row * grid.width, (row + ROWS) * grid.width)

    def whole_rows() -> list[Tensor]:
        outputs = []
        for place in places:
            memory.write(place - 1, cells[:, place - 1])
            outputs.append(layer.blender.blend(memory.context(place), typed).features)
        return outputs

    expected = [direct(blender, grid, cells, centres, place).features for place in (places[0], places[-1])]
    got = whole_rows()
    error = max(float((a - b).norm() / a.norm()) for a, b in zip(expected, (got[0], got[-1]), strict=True))
    ratios = []
    for turn in range(rounds):
        place = places[turn % len(places)]
        slow = seconds(lambda place=place: direct(blender, grid, *both, place), clock)  # type: ignore[misc]
        ratios.append(slow / (seconds(whole_rows, clock) / len(places)))
    return float(np.median(ratios)), error


def collapse_figures(rounds: int) -> dict[str, float]:
    """Speed-ups and errors of the collapsed form."""
    threads, figures = torch.get_num_threads(), {}
    torch.set_num_threads(1)
    try:
        for width, grid in tqdm(SIZES.items(), desc="collapse"):
            speedup, error = collapse_speedup(width, grid, rounds if width < 1024 else max(3, rounds // 4))
            figures[f"faid_collapse_speedup_{width}"] = round(speedup, 2)
            figures[f"faid_collapse_error_{width}"] = float(f"{error:.2g}")
    finally:
        torch.set_num_threads(threads)
    return figures


def likelihood_figures(backend: EmojiBackend, database: PatchDatabase) -> dict[str, float]:
    """Nats per code on the test side with FAiD, with random and without neighbours, and of the control.

    The control has the same parameters and was tuned equally long on the same pictures, but never retrieved; its
    figure is left out where it was not trained.
    """
    held = HeldOut(backend, "test")
    measured = faid_nats(held, database, CHOSEN_FAID, CHOSEN_BOTH)
    if CONTROL.is_dir():
        control = HeldOut(load_control(), "test")
        nothing: list[Found] = [[None] * backend.grid.positions for _ in held.grids]
        logits = control.logits(nothing, 1)
        off = replace(CHOSEN_FAID, method="model")
        measured["nll_control"] = nats_per_code(control.observations(logits, nothing), off)
    return {name: round(value, 4) for name, value in measured.items()}


def training_figures(backend: EmojiBackend, runs: int) -> dict[str, float]:
    """Time of a training step of the whole transformer with blenders, as a multiple of one without; median of pairs.

    All weights of the transformer get gradients on both sides, as if it were not frozen.
    """
    settings, tuned = FaidSettings(), backend.tuned
    if tuned is None:
        return {}
    model = backend.transformer.requires_grad_(True)
    grids = HeldOut(backend, "test").grids[: settings.batch]
    target = torch.from_numpy(grids.astype(np.int64)).flatten(1)
    neighbours = target.unsqueeze(-1).repeat(1, 1, settings.neighbours)
    captions = [backend.encoder.encode("pizza")] * len(target)
    batch = Batch(target, target, conditions(captions, backend.encoder, model), neighbours)
    ratios = []
    for _ in tqdm(range(runs + 1), desc="training steps"):
        pair = [
            seconds(lambda blend=blend: tuned_nats(model, tuned, batch, guided=blend).backward())  # type: ignore[misc, no-untyped-call]
            for blend in (True, False)
        ]
        ratios.append(pair[0] / pair[1])
    model.requires_grad_(False)
    return {"faid_train_step_ratio": round(float(np.median(ratios[1:])), 3)}
