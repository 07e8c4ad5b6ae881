"""Speed, exactness, loss and sizes as measured on this machine: `python -m core bench --json`."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from .. import threads
from ..assets import ASSETS
from ..backends import Backend
from ..backends.emoji.backend import EmojiBackend
from ..context import context_codes, retrieving_positions
from ..context import keys as context_keys
from ..engine import decode
from ..patches.catalogue import open_database
from ..patches.database import PatchDatabase
from ..types import METHODS, DecodeSettings, IntArray
from . import bench_database, bench_draw, bench_faid, bench_speed
from .likelihood import CHOSEN, HeldOut, nats_per_code

PROMPT = "a red heart, 3d style"


def run(chosen: argparse.Namespace) -> int:
    """Measure everything and print it."""
    threads.pin()
    if chosen.suite == "database":
        return bench_database.run(chosen)
    if chosen.suite == "speed":
        return _told(bench_speed.figures(chosen.runs), chosen.json)
    figures: dict[str, float | int | bool] = {}
    if chosen.page:
        figures["app_start_seconds"] = page_start_seconds(chosen.page)
    backend = EmojiBackend.load()
    database = open_database("emoji", backend)
    figures |= image_seconds(backend, database, chosen.runs)
    figures |= bench_draw.flip_figures(backend, database)
    figures["draw_share_of_picture"] = bench_draw.draw_share(backend, database, chosen.runs)
    figures |= search_figures(backend, database)
    figures |= likelihood_figures(backend, database)
    if backend.tuned is not None:
        figures |= bench_faid.figures(backend, database, chosen.runs)
    figures["asset_bytes"] = sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file())
    return _told(figures, chosen.json)


def _told(figures: Mapping[str, float | int | bool], as_json: bool) -> int:
    """Print the figures; the exit status."""
    print(json.dumps(figures) if as_json else "\n".join(f"{name:28} {value}" for name, value in figures.items()))
    return 0


def image_seconds(backend: Backend, database: PatchDatabase, runs: int) -> dict[str, float]:
    """Median time of one image with guidance by every method; they take turns, after one warm-up each."""
    methods: tuple[str, ...] = tuple(name for name, method in METHODS.items() if backend.faid or not method.blends)
    times: list[list[float]] = []
    for turn in tqdm(range(runs + 1), desc="images"):
        times.append([])
        for method in methods:
            # a new view each time: its cache is as cold as for a first visitor
            fresh = database.subset(database.images)
            begin = time.perf_counter()
            for _ in decode(backend, fresh, [PROMPT], DecodeSettings(method=method, seed=turn)):
                pass
            times[-1].append(time.perf_counter() - begin)
    seconds = dict(zip(methods, np.array(times[1:]).T, strict=True))
    names = {method: method.replace("+", "_") for method in methods}
    figures = {f"image_seconds_{names[m]}": round(float(np.median(seconds[m])), 4) for m in methods}
    ratios = {m: round(float(np.median(seconds[m] / seconds["model"])) - 1, 4) for m in methods if m != "model"}
    return figures | {f"{names[method]}_overhead": ratio for method, ratio in ratios.items()}


def search_figures(backend: Backend, database: PatchDatabase) -> dict[str, float | int | bool]:
    """Median time of a query that nothing cached, over the whole database, and whether the answers are exact."""
    held = PatchDatabase.load(ASSETS / "heldout" / "test", backend.codebook)
    places = retrieving_positions(database.context, database.grid)
    codes = context_codes(database.context, np.asarray(held.grids), places)
    queries = np.unique(codes.reshape(-1, database.context.size), axis=0)
    queries = np.random.default_rng(0).permutation(queries)[:1000]
    neighbours = DecodeSettings().n_neighbours
    seconds = []
    for query in tqdm(queries, desc="searches"):
        begin = time.perf_counter()
        database.search(query[None], neighbours)
        seconds.append(time.perf_counter() - begin)
    exact = all(_is_exact(database, query, neighbours) for query in tqdm(queries[:50], desc="oracle"))
    return {
        "search_p50_ms": round(1000 * float(np.median(seconds)), 4),
        "search_exact": exact,
        "entries": len(database),
    }


def _is_exact(database: PatchDatabase, query: IntArray, k: int) -> bool:
    """Whether a search gives what a brute force over float keys gives: same distances, and entries at them."""
    places = retrieving_positions(database.context, database.grid)
    target = context_keys(database.codebook, query)
    contexts = (context_codes(database.context, grid[None], places)[0] for grid in np.asarray(database.grids))
    distances = np.concatenate([((context_keys(database.codebook, c) - target) ** 2).sum(-1) for c in contexts])
    found = database.search(query[None], k)[0]
    best = np.sort(distances)[:k]
    near = np.allclose(found.distances, best, atol=1e-5)
    return near and bool(np.allclose(distances[found.entries], found.distances, atol=1e-5))


def likelihood_figures(backend: Backend, database: PatchDatabase) -> dict[str, float]:
    """Nats per code on the test side, without and with DAiD at the settings that the validation side chose."""
    held = HeldOut(backend, "test")
    seen = held.observations(held.logits(), held.found(database, CHOSEN))
    return {
        "nll_model": round(nats_per_code(seen, replace(CHOSEN, method="model")), 4),
        "nll_daid": round(nats_per_code(seen, CHOSEN), 4),
    }


def page_start_seconds(page: Sequence[str], limit: float = 120.0) -> float:
    """Time from the start of a command, which is told the port, until the page that it serves answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    begin = time.perf_counter()
    command = [*page, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - begin < limit and server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                    return round(time.perf_counter() - begin, 3)
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
    finally:
        server.terminate()
        server.wait()
    return float("nan")
