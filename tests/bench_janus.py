"""Speed of Janus at sizes that run anywhere: `python -m tests.bench_janus --json`; medians of runs that take turns.

Times are CPU time of one thread, so that other programs disturb them less; run with OMP_NUM_THREADS=1. What DAiD adds
on a database of a million entries; the collapsed blender against its definition at width 2048, its memory, and what
keeps both from being faster; a code and the start of a branch at Janus-Pro-1B's true shape, with matrices laid out as
measured at load against all of them transposed, as they once were (two layers, and what 24 take by these figures); and
both, with a branch that goes on from a snapshot, for a model as it is (`--part whole --model FOLDER`, which may have
all layers). The loop against transformers' `generate` is a part of `python -m core bench --suite janus`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from core.backends import ModelSource
from core.backends.janus.backend import JanusBackend
from core.backends.janus.llama import Cache
from core.backends.janus.matrices import Layout
from core.codebook import Codebook
from core.context import Context, context_codes, retrieving_positions
from core.daid import blend_step, model_distribution
from core.evaluation.bench_faid import NEIGHBOURS, collapse_speedup, seconds
from core.faid import Blender, CollapsedLayer, ContextMemory, collapse, direct
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.types import DecodeSettings, Grid, IntArray
from tests import real_janus
from tests.tiny_janus import Size

SIZE = Size(side=24, codes=16384, width=256, hidden=704, layers=8, heads=8, key_heads=8)
PROMPT = "a red heart"


def daid_figures(neighbours: int, images: int = 1977) -> dict[str, float]:
    """What retrieval and blending add at a position, on a million entries whose contexts hardly repeat."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(SIZE.codes, 8)).astype(np.float32)
    codebook = Codebook.from_vectors(vectors)
    coarse = rng.integers(0, SIZE.codes, (images, 12, 12)).repeat(2, axis=1).repeat(2, axis=2)
    grids = np.where(rng.random(coarse.shape) < 0.3, rng.integers(0, SIZE.codes, coarse.shape), coarse)
    database = PatchDatabase.build(codebook, grids.astype(np.uint16), [ImageInfo("")] * images)
    grid = np.where(rng.random((24, 24)) < 0.5, grids[0], rng.integers(0, SIZE.codes, (24, 24)))
    queries = context_codes(Context(), grid[None], retrieving_positions(Context(), Grid(24, 24)))[0]
    logits = rng.normal(size=SIZE.codes).astype(np.float32)
    with_it, without = DecodeSettings(caption_filter=0, n_neighbours=neighbours), DecodeSettings(method="model")
    added = []
    for query in queries:
        begin = time.process_time()
        found = database.search(query[None], neighbours)[0]
        searched = time.process_time()
        blend_step(logits, found, with_it)
        blended = time.process_time()
        blend_step(logits, None, without)
        added.append([searched - begin, (blended - searched) - (time.process_time() - blended)])
    search, blend = 1000 * np.array(added).T
    return {
        "entries": len(database), "unique_contexts": database.unique_contexts,
        f"daid_search_ms_p50_k{neighbours}": round(float(np.median(search)), 3),
        f"daid_search_ms_p10_k{neighbours}": round(float(np.quantile(search, 0.1)), 3),
        f"daid_blend_ms_p50_k{neighbours}": round(float(np.median(blend)), 3),
        f"daid_added_ms_p50_k{neighbours}": round(float(np.median(search + blend)), 3),
    }  # fmt: skip


def blender_figures(rounds: int) -> dict[str, float]:
    """The collapsed blender of width 2048: speed against the definition, error, bytes."""
    torch.set_num_threads(1)
    grid = Grid(24, 24)
    speedup, error = collapse_speedup(2048, grid, rounds, time.process_time)
    guided_speedup, _ = collapse_speedup(2048, grid, rounds, time.process_time, rows=2)
    half_speedup, half_error = collapse_speedup(2048, grid, rounds, time.process_time, torch.bfloat16)
    with torch.no_grad():
        layer = CollapsedLayer(0, torch.ones(2048), collapse(Blender(2048)))
    blender, score = layer.blender, layer.blender.score
    held = [layer.norm, blender.taps, blender.centre, blender.bias, score.hidden, score.hidden_bias, score.output]
    return {
        "blender_speedup_2048": round(speedup, 1), "blender_error_2048": float(f"{error:.1e}"),
        "blender_speedup_2048_guided": round(guided_speedup, 1),
        "blender_speedup_2048_bfloat16": round(half_speedup, 1),
        "blender_error_2048_bfloat16": float(f"{half_error:.1e}"),
        "blender_gb_float32": round(sum(tensor.nbytes for tensor in held) / 1e9, 3),
    }  # fmt: skip


@torch.inference_mode()
def limit_figures(rounds: int) -> dict[str, float]:
    """What keeps both forms of a blender from being faster: operations (two for a multiply-add) and weights read.

    For the definition and for each part of the collapsed form: 10^9 operations and 10^9 bytes of weights a second, of
    one core, beside a product of two large matrices and a sum over memory. The ratio of their multiply-adds for one
    token is what collapsing would gain if both were equally efficient.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    grid, width, place = Grid(24, 24), 2048, 12 * 24 + 12
    blender, square = Blender(width).eval(), torch.randn(width, width)
    cells, centres = torch.randn(1, grid.positions, width), torch.randn(1, NEIGHBOURS, width)
    collapsed = collapse(blender)
    left, above = blender.reach * square.numel(), (len(collapsed.taps) - blender.reach) * square.numel()
    memory, large = ContextMemory(collapsed, grid, 1), torch.randn(2**26)
    for position in range(place):
        memory.write(position, cells[:, position])
    context, pairs = memory.context(place), [(hop, blender.convolutions(hop)) for hop in blender.hops]
    window = sum(first.weight.numel() * (hop + 1) ** 2 + second.weight.numel() for hop, (first, second) in pairs)
    kernels = sum(first.weight.numel() + second.weight.numel() for _, (first, second) in pairs)
    parts: dict[str, tuple[Callable[[], object], int, int]] = {  # what runs, multiply-adds, weights
        "product": (lambda: square @ square, width**3, 0),
        "memory": (large.sum, 0, large.numel()),
        "definition": (
            lambda: direct(blender, grid, cells, centres, place),
            NEIGHBOURS * (window + square.numel()),
            kernels + square.numel(),
        ),
        "row": (lambda: memory.context(place - place % grid.width), grid.width * above + left, above + left),  # entered
        "left": (lambda: memory.context(place), left, left),
        "neighbours": (
            lambda: collapsed.blend(context, centres), NEIGHBOURS * 2 * square.numel(), 2 * square.numel(),
        ),
    }  # fmt: skip
    figures = {"multiply_adds_ratio": parts["definition"][1] / (above + left + parts["neighbours"][1])}
    for name, (work, multiplied, weights) in parts.items():
        work()
        taken = float(np.median([seconds(work, time.process_time) for _ in range(rounds)]))
        figures |= {f"{name}_ms": 1e3 * taken, f"{name}_gflops": 2e-9 * multiplied / taken}
        figures |= {f"{name}_gb_per_second": 4e-9 * weights / taken}
    return {f"blender_{name}": round(value, 2) for name, value in figures.items() if value}


REAL_LAYERS = 24
BRANCH = 560


def real_figures(folder: Path | None, runs: int, dtypes: Sequence[str], branch: bool) -> dict[str, float | str]:
    """At Janus-Pro-1B's true shape: milliseconds of a guided code or, if `branch`, seconds until a branch starts."""
    torch.set_num_threads(1)
    figures: dict[str, float | str] = {"processor": torch.backends.cpu.get_cpu_capability()}
    measure = branch_figures if branch else code_figures
    with tempfile.TemporaryDirectory() as made:
        source = folder or real_janus.save(Path(made), real_janus.config(2))
        for dtype in dtypes:
            models = loaded(source, dtype, Layout("columns")), loaded(source, dtype, None)
            figures[f"layout_{dtype}"] = models[1].parts.llama.layers[0].gates.layout.kind
            figures |= {f"{name}_{dtype}": value for name, value in measure(models, runs).items()}
    return figures


def code_figures(models: tuple[JanusBackend, JanusBackend], runs: int) -> dict[str, float]:
    """Of a code at position 560 with guidance: medians of pairs, and what 24 layers take by these."""
    times = np.array([[layers_and_rest(model) for model in models] for _ in range(runs + 1)])[1:]
    here = np.median(times.sum(axis=2), axis=0)
    layers, rest = np.median(times, axis=0).T
    whole = layers * REAL_LAYERS / len(models[0].parts.llama.layers) + rest
    return {
        "code_ms_before": round(1e3 * float(here[0]), 1), "code_ms": round(1e3 * float(here[1]), 1),
        "code_24_layers_ms_before": round(1e3 * float(whole[0])), "code_24_layers_ms": round(1e3 * float(whole[1])),
        "code_speedup": round(float(np.median(times[:, 0].sum(axis=1) / times[:, 1].sum(axis=1))), 2),
        "code_24_layers_speedup": round(float(whole[0] / whole[1]), 2),
    }  # fmt: skip


@torch.inference_mode()
def layers_and_rest(model: JanusBackend) -> tuple[float, float]:
    """CPU seconds of a code: in the layers, on keys and values that are zero; and for its feature and the head."""
    parts = model.parts
    cache = Cache(parts.llama.config, BRANCH + 16, torch.zeros(2, dtype=torch.long), parts.words)
    cache._held.zero_()
    begin = time.process_time()
    entries = parts.features(torch.zeros(2, 1, dtype=torch.long))
    entered = time.process_time()
    hidden = parts.llama(entries, BRANCH, cache)[:, 0]
    passed = time.process_time()
    parts.head(hidden)
    return passed - entered, time.process_time() - passed + entered - begin


def branch_figures(models: tuple[JanusBackend, JanusBackend], runs: int) -> dict[str, float]:
    """Until a branch at position 560 has its first logits: medians, and what 24 layers take by these."""
    codes = np.random.default_rng(0).integers(0, 16384, (1, BRANCH))
    before, after = np.median([[branch_seconds(model, codes) for model in models] for _ in range(runs)], axis=0)
    more = REAL_LAYERS / len(models[0].parts.llama.layers)
    return {
        "branch_seconds_before": round(float(before), 2), "branch_seconds": round(float(after), 2),
        "branch_24_layers_seconds_before": round(float(before * more), 1),
        "branch_24_layers_seconds": round(float(after * more), 1),
    }  # fmt: skip


def whole_figures(folder: Path | None, runs: int, dtypes: Sequence[str]) -> dict[str, float | str]:
    """Medians of CPU seconds of a model as it is loaded, which may be all of it.

    A code and a branch at position 560, read and from a snapshot, and a picture of codes.
    """
    torch.set_num_threads(1)
    codes = np.random.default_rng(0).integers(0, 16384, (1, BRANCH))
    figures: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        source = folder or real_janus.save(Path(temporary), real_janus.config(layers=2))
        for dtype in dtypes:
            model = loaded(source, dtype, None)
            code = [sum(layers_and_rest(model)) for _ in range(runs + 2)][2:]
            picture = [seconds(partial(model.decode_codes, np.zeros((1, 24, 24), np.uint16)), time.process_time)]
            kept = np.median([kept_seconds(model, codes) for _ in range(runs)], axis=0)
            found = {
                "layers": len(model.parts.llama.layers), "code_ms": round(1e3 * float(np.median(code)), 1),
                "branch_read_seconds": round(float(kept[0]), 2), "branch_seconds": round(float(kept[2]), 2),
                "snapshot_seconds": round(float(kept[1]), 2), "snapshot_gb": round(float(kept[3]) / 1e9, 3),
                "picture_seconds": round(float(np.median(picture)), 1),
            }  # fmt: skip
            figures |= {f"whole_{name}_{dtype}": value for name, value in found.items()}
    return figures


def kept_seconds(model: JanusBackend, codes: IntArray) -> tuple[float, float, float, float]:
    """CPU seconds until a branch predicts that reads its codes, to take a snapshot there, and until a branch predicts
    that goes on from that; and the bytes of the snapshot.

    Both branches predict the same.
    """
    begin = time.process_time()
    reading = model.start([PROMPT], guided=True)
    reading.replay(codes, None)
    expected = reading.logits()
    read = time.process_time()
    snapshot = reading.snapshot(0)
    taken = time.process_time()
    branch = model.start([PROMPT], guided=True)
    branch.resume([snapshot], codes, codes.shape[1])
    got = branch.logits()
    ended = time.process_time()
    assert np.array_equal(got.conditional, expected.conditional)
    return read - begin, taken - read, ended - taken, snapshot.nbytes


def branch_seconds(model: JanusBackend, codes: IntArray) -> float:
    """CPU seconds to read the codes so far, and to predict the next one."""
    begin = time.process_time()
    decoding = model.start([PROMPT], guided=True)
    decoding.replay(codes, None)
    decoding.logits()
    return time.process_time() - begin


def loaded(folder: Path, dtype: str, layout: Layout | None) -> JanusBackend:
    """The model with its matrices in one layout, or in the one that is fastest."""
    source = ModelSource(model=str(folder), device="cpu", dtype=dtype)
    if layout is None:
        return JanusBackend.load(source)
    with patch("core.backends.janus.loading.choose_layout", lambda *_: layout):
        return JanusBackend.load(source)


def truncation_figures(rounds: int = 200) -> dict[str, float]:
    """Milliseconds that top-p below 1 adds to a code, at three spreads of the logits of 16,384 codes."""
    rng = np.random.default_rng(0)
    added = []
    for spread in (1, 3, 6):
        logits = (spread * rng.normal(size=16384)).astype(np.float32)
        for _ in range(rounds):
            begin = time.process_time()
            model_distribution(logits, 1.0, top_p=0.95)
            truncated = time.process_time()
            model_distribution(logits, 1.0)
            added.append((truncated - begin) - (time.process_time() - truncated))
    return {"top_p_added_ms": round(1e3 * float(np.median(added)), 3)}


PARTS = ("daid", "blender", "limits", "real", "branch", "whole", "all")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--part", choices=PARTS, default="all")
    parser.add_argument("--model", type=Path, help="for real, branch and whole: a folder that tests.real_janus wrote")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], help="for real, branch and whole")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    figures: dict[str, float | str] = {}
    if chosen.part in ("daid", "all"):
        figures |= daid_figures(10) | daid_figures(64)
    if chosen.part in ("blender", "all"):
        figures |= blender_figures(chosen.runs)
    if chosen.part in ("limits", "all"):
        figures |= limit_figures(chosen.runs)
    if chosen.part in ("real", "all"):
        figures |= real_figures(chosen.model, chosen.runs, chosen.dtypes, branch=False) | truncation_figures()
    if chosen.part in ("branch", "all"):
        figures |= real_figures(chosen.model, chosen.runs, chosen.dtypes, branch=True)
    if chosen.part in ("whole", "all"):
        figures |= whole_figures(chosen.model, chosen.runs, chosen.dtypes)
    print(json.dumps(figures) if chosen.json else "\n".join(f"{name:32} {value}" for name, value in figures.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
