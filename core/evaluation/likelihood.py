"""Held-out likelihood of the model and of model + DAiD, in nats per code: `python -m core.evaluation.likelihood`.

Teacher-forced, at temperature 1 and without guidance or truncation, which makes it a proper likelihood. As a program it
chooses lambda, tau, K, aggregation, gate and caption filter on the validation side and reports the others with them.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from core.backends import Backend, load_backend
from core.context import context_codes, retrieving_positions
from core.daid import blend_step, retrieval_distribution
from core.database import PatchDatabase
from core.types import Aggregate, DecodeSettings, FloatArray, IntArray, Neighbours

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PLAIN = DecodeSettings(temperature=1.0, top_p=1.0, cfg_scale=1.0)  # what makes the blend a likelihood
CHOSEN = replace(  # the best on the validation side; for pictures of trained concepts it is too much
    PLAIN, retrieval_weight=0.3, retrieval_temperature=0.3, n_neighbours=256, gate=0.0, caption_filter=0
)


@dataclass(frozen=True, slots=True)
class Observation:
    """One held-out code: the model's logits [V] for it, its value, and what its context retrieved."""

    logits: FloatArray
    code: int
    neighbours: Neighbours | None


def teacher_forced(backend: Backend, prompt: str, codes: IntArray) -> FloatArray:
    """Conditional logits [S, V] of every code of a token grid [S], given the ones before it."""
    decoding = backend.start([prompt], guided=False)
    rows = []
    try:
        for code in codes:
            rows.append(decoding.logits()[0][0])
            decoding.append(np.array([code]))
    finally:
        decoding.close()
    return np.stack(rows)


def prompts_of(database: PatchDatabase) -> list[str]:
    """What each image of a held-out side is called, style included."""
    return [f"{info.caption}, {info.style} style" for info in database.metadata]


def observe(
    logits: FloatArray, grid: npt.NDArray[np.integer], view: PatchDatabase, settings: DecodeSettings
) -> list[Observation]:
    """Observations of one image, its neighbours taken from `view` with the settings' K and position term."""
    places = retrieving_positions(view.context, view.grid)
    queries = context_codes(view.context, grid[None], places)[0]
    found: dict[int, Neighbours] = {}
    for place, query in zip(places.tolist(), queries, strict=True):
        found[place] = view.search(query[None], settings.n_neighbours, place, settings.position_weight)[0]
    return [
        Observation(row, int(code), found.get(p))
        for p, (row, code) in enumerate(zip(logits, grid.ravel(), strict=True))
    ]


def nats_per_code(observations: Iterable[Observation], settings: DecodeSettings) -> float:
    """Mean negative log-likelihood of the codes under the blend."""
    losses = [-np.log(blend_step(o.logits, o.neighbours, settings).blended[o.code]) for o in observations]
    return float(np.mean(losses))


class HeldOut:
    """A held-out side with the model's logits, computed once."""

    def __init__(self, backend: Backend, side: str, limit: int = 0) -> None:
        held = PatchDatabase.load(ASSETS / "heldout" / side, backend.codebook)
        count = limit or len(held.images)
        keep = np.linspace(0, len(held.images) - 1, min(count, len(held.images))).astype(int)
        self.backend = backend
        self.grids = np.asarray(held.grids)[keep]
        self.prompts = [prompts_of(held)[n] for n in keep]
        pairs = zip(self.prompts, self.grids, strict=True)
        self.logits = [
            teacher_forced(backend, p, g.ravel().astype(np.int64)) for p, g in tqdm(pairs, desc=side, total=len(keep))
        ]

    def observations(self, database: PatchDatabase, settings: DecodeSettings) -> list[Observation]:
        """Observations of all images; with a caption filter each image has its own view."""
        collected = []
        for logits, grid, prompt in zip(self.logits, self.grids, self.prompts, strict=True):
            view = database.with_styles(settings.styles)
            if settings.caption_filter:
                vector = self.backend.embed_captions([prompt])[0]
                view = view.subset(view.nearest_captions(vector, settings.caption_filter))
            collected += observe(logits, grid, view, settings)
        return collected


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of settings and what it scored on the validation side."""

    nats: float
    settings: DecodeSettings


WEIGHTS, GATES = (0.05, 0.1, 0.2, 0.3, 0.5), (0.0, 0.125, 0.25, 0.5, 1.0)
TEMPERATURES = (0.03, 0.1, 0.3)
AGGREGATES: tuple[Aggregate, ...] = ("sum", "nearest")
FILTERS, COUNTS = (0, 8, 32, 128), (16, 64, 256)


def trials(held: HeldOut, database: PatchDatabase) -> list[Trial]:
    """All combinations of a small grid, best first."""
    tried = []
    for caption_filter, n_neighbours in tqdm(list(itertools.product(FILTERS, COUNTS)), desc="choose settings"):
        base = replace(PLAIN, caption_filter=caption_filter, n_neighbours=n_neighbours)
        tried += blend_trials(held.observations(database, base), base)
    return sorted(tried, key=lambda trial: trial.nats)


def blend_trials(observations: Sequence[Observation], base: DecodeSettings) -> list[Trial]:
    """Every blend of what was retrieved once; as nats_per_code, but only over the probability of the true code."""
    model = np.array([blend_step(o.logits, None, base).model[o.code] for o in observations])
    nearest = np.array([o.neighbours.distances[0] if o.neighbours else np.inf for o in observations])
    tried = []
    for tau, aggregate in itertools.product(TEMPERATURES, AGGREGATES):
        retrieved = np.array([_retrieved(o, tau, aggregate) for o in observations])
        for weight, gate in itertools.product(WEIGHTS, GATES):
            share = np.where(np.isfinite(nearest), weight, 0.0) * (np.exp(-nearest / gate) if gate else 1.0)
            nats = float(-np.log((1 - share) * model + share * retrieved).mean())
            chosen = replace(base, retrieval_weight=weight, retrieval_temperature=tau, gate=gate, aggregate=aggregate)
            tried.append(Trial(nats, chosen))
    return tried


def _retrieved(observation: Observation, tau: float, aggregate: Aggregate) -> float:
    """Probability of the true code under retrieval, 0 where nothing was retrieved."""
    if observation.neighbours is None:
        return 0.0
    size = len(observation.logits)
    return float(retrieval_distribution(observation.neighbours, size, tau, aggregate)[observation.code])


def main() -> int:
    """Print the best combinations, then every side with the very best one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=32, help="validation images to choose by")
    parser.add_argument("--show", type=int, default=12, help="combinations to print")
    chosen = parser.parse_args()
    backend = load_backend("emoji")
    database = PatchDatabase.load(ASSETS / "databases" / "emoji", backend.codebook)
    ranked = trials(HeldOut(backend, "validation", chosen.images), database)
    for trial in ranked[: chosen.show]:
        print(f"{trial.nats:.4f} {_changed(trial.settings)}")
    for side in ("validation", "test", "pair"):
        held = HeldOut(backend, side)
        seen = held.observations(database, ranked[0].settings)
        model = nats_per_code(seen, replace(ranked[0].settings, method="model"))
        print(json.dumps({"side": side, "nll_model": model, "nll_daid": nats_per_code(seen, ranked[0].settings)}))
    return 0


def _changed(settings: DecodeSettings) -> str:
    names = ("retrieval_weight", "retrieval_temperature", "n_neighbours", "aggregate", "gate", "caption_filter")
    return ", ".join(f"{name} {getattr(settings, name)}" for name in names)


if __name__ == "__main__":
    raise SystemExit(main())
