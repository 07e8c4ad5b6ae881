"""Held-out likelihood without retrieval, with DAiD, FAiD and both, in nats per code: `core evaluate likelihood`.

Teacher-forced, at temperature 1 and without guidance or truncation, which makes it a proper likelihood. The command
chooses lambda, tau, K, aggregation, gate and caption filter on the validation side and reports the others with them.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from .. import threads
from ..assets import ASSETS
from ..backends import Backend, load_backend
from ..backends.complete import reader
from ..context import context_codes, retrieving_positions
from ..daid import blend, blend_step, gated_weight, retrieval_distribution
from ..patches.catalogue import open_database
from ..patches.database import PatchDatabase
from ..patches.protocol import Database
from ..types import Aggregate, DecodeSettings, FloatArray, Neighbours

PLAIN = DecodeSettings(temperature=1.0, top_p=1.0, cfg_scale=1.0)  # what makes the blend a likelihood
# the best on the validation side; for pictures of trained concepts it is too much
CHOSEN = replace(PLAIN, retrieval_weight=0.3, retrieval_temperature=0.3, n_neighbours=256, gate=0.0, caption_filter=0)
CHOSEN_FAID = replace(PLAIN, method="faid", n_neighbours=PLAIN.faid_neighbours, caption_filter=0)
CHOSEN_BOTH = replace(CHOSEN, retrieval_weight=0.2)
AT_ONCE = 8
"""Pictures that are read in one pass."""

Found = Sequence[Neighbours | None]
"""What every position of one picture retrieved."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One held-out code: the model's logits [V] for it, its value, and what its context retrieved."""

    logits: FloatArray
    code: int
    neighbours: Neighbours | None


def grid_logits(
    backend: Backend,
    prompts: Sequence[str],
    grids: npt.NDArray[np.integer],
    found: Sequence[Found] | None = None,
    faid_neighbours: int = 0,
) -> FloatArray:
    """Conditional logits [N, S, V] of every code of token grids [N, H, W], given the ones before it.

    found: with FAiD, what each position of each picture retrieved, of which the nearest `faid_neighbours` are blended.
    In passes of a few pictures where the model reads a picture in one, else code by code.
    """
    whole = reader(backend)
    if whole is None:
        return logits_in_turn(backend, prompts, grids, found, faid_neighbours)
    codes, rows = grids.reshape(len(grids), -1).astype(np.int64), list[FloatArray]()
    for first in range(0, len(codes), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        blended = None if found is None else list(zip(*found[part], strict=True))
        rows.append(whole.read(prompts[part], codes[part], blended, faid_neighbours))
    return np.concatenate(rows)


def logits_in_turn(
    backend: Backend,
    prompts: Sequence[str],
    grids: npt.NDArray[np.integer],
    found: Sequence[Found] | None = None,
    faid_neighbours: int = 0,
) -> FloatArray:
    """As `grid_logits`, one position after the other, as pictures are drawn."""
    codes = grids.reshape(len(grids), -1).astype(np.int64)
    logits = np.empty((*codes.shape, backend.codebook.size), np.float32)
    decoding = backend.start(prompts, guided=False, faid_neighbours=faid_neighbours)
    try:
        for position in tqdm(range(codes.shape[1]), desc="held-out codes", leave=False):
            here = None if found is None else [picture[position] for picture in found]
            logits[:, position] = decoding.logits(here).conditional
            decoding.append(codes[:, position])
    finally:
        decoding.close()
    return logits


def prompts_of(database: PatchDatabase) -> list[str]:
    """What each image of a held-out side is called, style included."""
    return [f"{info.caption}, {info.style} style" for info in database.metadata]


def retrieve(grid: npt.NDArray[np.integer], view: Database, settings: DecodeSettings) -> Found:
    """What each position of a token grid [H, W] retrieves from `view`, with the settings' K and position term."""
    places = retrieving_positions(view.context, view.grid)
    queries = context_codes(view.context, grid[None], places)[0]
    found: list[Neighbours | None] = [None] * grid.size
    for place, query in zip(places.tolist(), queries, strict=True):
        found[place] = view.search(query[None], settings.n_neighbours, place, settings.position_weight)[0]
    return found


def random_entries(found: Found, database: PatchDatabase, rng: np.random.Generator) -> Found:
    """As many neighbours wherever there were some, but any entries of the database."""
    changed: list[Neighbours | None] = []
    for neighbours in found:
        if neighbours is None:
            changed.append(None)
            continue
        entries = rng.integers(len(database), size=len(neighbours))
        images, rows, columns = database.provenance(entries)
        codes = np.asarray(database.grids)[images, rows, columns].astype(np.int64)
        changed.append(replace(neighbours, codes=codes, entries=entries))
    return changed


def nats_per_code(observations: Iterable[Observation], settings: DecodeSettings) -> float:
    """Mean negative log-likelihood of the codes under the blend."""
    losses = [-np.log(blend_step(o.logits, o.neighbours, settings).blended[o.code]) for o in observations]
    return float(np.mean(losses))


class HeldOut:
    """A held-out side: token grids and prompts, of all pictures or of `limit` that are spread over it.

    styles: only the pictures in these, none for all.
    """

    def __init__(self, backend: Backend, side: str, limit: int = 0, styles: Sequence[str] = ()) -> None:
        held = PatchDatabase.load(ASSETS / "heldout" / side, backend.codebook)
        images = held.with_styles(styles).images
        count = min(limit or len(images), len(images))
        keep = images[np.linspace(0, len(images) - 1, count).astype(int)]
        self.backend = backend
        self.grids = np.asarray(held.grids)[keep]
        self.prompts = [prompts_of(held)[n] for n in keep]

    def found(self, database: PatchDatabase, settings: DecodeSettings) -> list[Found]:
        """What every picture retrieves; with a caption filter each has its own view."""
        collected = []
        for grid, prompt in zip(self.grids, self.prompts, strict=True):
            view = database.with_styles(settings.styles)
            if settings.caption_filter:
                vector = self.backend.embed_captions([prompt])[0]
                view = view.subset(view.nearest_captions(vector, settings.caption_filter))
            collected.append(retrieve(grid, view, settings))
        return collected

    def logits(self, blended: Sequence[Found] | None = None, faid_neighbours: int = 0) -> FloatArray:
        """Logits [N, S, V] of all codes: the model's, or those of FAiD with what is to be blended."""
        return grid_logits(self.backend, self.prompts, self.grids, blended, faid_neighbours)

    def observations(self, logits: FloatArray, found: Sequence[Found]) -> list[Observation]:
        """One for each code of each picture."""
        collected = []
        for rows, grid, picture in zip(logits, self.grids, found, strict=True):
            parts = zip(rows, grid.ravel().tolist(), picture, strict=True)
            collected += [Observation(row, code, neighbours) for row, code, neighbours in parts]
        return collected


def faid_nats(held: HeldOut, database: PatchDatabase, faid: DecodeSettings, both: DecodeSettings) -> dict[str, float]:
    """Nats per code of a side with FAiD, with random neighbours in it, with none, and with FAiD and DAiD.

    faid: what is retrieved for the blenders; both: what is retrieved and mixed by DAiD besides. Raises ConfigError for
    a model without FAiD weights.
    """
    count, plain, found = faid.faid_neighbours, replace(faid, method="model"), held.found(database, faid)
    rng = np.random.default_rng(0)
    kinds: dict[str, Sequence[Found]] = {
        "nll_faid": found,
        "nll_faid_random": [random_entries(picture, database, rng) for picture in found],
        "nll_faid_off": [[None] * len(picture) for picture in found],
    }
    logits = {name: held.logits(blended, count) for name, blended in kinds.items()}
    nats = {name: nats_per_code(held.observations(rows, found), plain) for name, rows in logits.items()}
    mixed = held.observations(logits["nll_faid"], held.found(database, both))
    return nats | {"nll_faid_daid": nats_per_code(mixed, replace(both, method="daid"))}


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of settings and what it scored on the validation side."""

    nats: float
    settings: DecodeSettings


WEIGHTS, GATES = (0.05, 0.1, 0.2, 0.3, 0.5), (0.0, 0.125, 0.25, 0.5, 1.0)
TEMPERATURES = (0.03, 0.1, 0.3)
AGGREGATES: tuple[Aggregate, ...] = ("sum", "nearest")
FILTERS, COUNTS = (0, 32, 128), (16, 64, 256)


def trials(held: HeldOut, logits: FloatArray, database: PatchDatabase) -> list[Trial]:
    """All combinations of a small grid for DAiD over these logits, best first."""
    tried = []
    for caption_filter, n_neighbours in tqdm(list(itertools.product(FILTERS, COUNTS)), desc="choose settings"):
        base = replace(PLAIN, caption_filter=caption_filter, n_neighbours=n_neighbours)
        tried += blend_trials(held.observations(logits, held.found(database, base)), base)
    return sorted(tried, key=lambda trial: trial.nats)


def faid_trials(held: HeldOut, database: PatchDatabase) -> list[Trial]:
    """What FAiD scores with the neighbours of every caption filter, best first."""
    tried = []
    for caption_filter in FILTERS:
        settings = replace(PLAIN, method="faid", caption_filter=caption_filter, n_neighbours=PLAIN.faid_neighbours)
        found = held.found(database, settings)
        logits = held.logits(found, settings.faid_neighbours)
        tried.append(Trial(nats_per_code(held.observations(logits, found), settings), settings))
    return sorted(tried, key=lambda trial: trial.nats)


def blend_trials(observations: Sequence[Observation], base: DecodeSettings) -> list[Trial]:
    """Every blend of what was retrieved once; as nats_per_code, but only over the probability of the true code."""
    model = np.array([blend_step(o.logits, None, base).model[o.code] for o in observations])
    shares = {gate: np.array([_full_weight(o, gate) for o in observations]) for gate in GATES}
    tried = []
    for tau, aggregate in itertools.product(TEMPERATURES, AGGREGATES):
        retrieved = np.array([_retrieved(o, tau, aggregate) for o in observations])
        for weight, gate in itertools.product(WEIGHTS, GATES):
            nats = float(-np.log(blend(model, retrieved, weight * shares[gate])).mean())
            chosen = replace(base, retrieval_weight=weight, retrieval_temperature=tau, gate=gate, aggregate=aggregate)
            tried.append(Trial(nats, chosen))
    return tried


def _full_weight(observation: Observation, gate: float) -> float:
    """What a gate leaves of the retrieval weight 1, 0 where nothing was retrieved."""
    return gated_weight(1.0, gate, observation.neighbours.distances) if observation.neighbours else 0.0


def _retrieved(observation: Observation, tau: float, aggregate: Aggregate) -> float:
    """Probability of the true code under retrieval, 0 where nothing was retrieved."""
    if observation.neighbours is None:
        return 0.0
    size = len(observation.logits)
    return float(retrieval_distribution(observation.neighbours, size, tau, aggregate)[observation.code])


def run(chosen: argparse.Namespace) -> int:
    """Print the best combinations, chosen by some validation pictures, then every side with the very best ones."""
    threads.pin()
    backend = load_backend("emoji")
    database = open_database("emoji", backend)
    held = HeldOut(backend, "validation", chosen.count)
    daid = show("daid", trials(held, held.logits(), database)[: chosen.show])
    faid = both = daid
    if backend.faid is not None:
        faid = show("faid", faid_trials(held, database))
        blended = held.logits(held.found(database, faid), faid.faid_neighbours)
        both = show("faid+daid", trials(held, blended, database)[: chosen.show])
    for name in ("validation", "test", "pair"):
        side = HeldOut(backend, name)
        seen = side.observations(side.logits(), side.found(database, daid))
        figures = {
            "nll_model": nats_per_code(seen, replace(daid, method="model")), "nll_daid": nats_per_code(seen, daid)
        }  # fmt: skip
        if backend.faid is not None:
            figures |= faid_nats(side, database, faid, both)
        print(json.dumps({"side": name} | {key: round(value, 4) for key, value in figures.items()}))
    return 0


def show(method: str, ranked: Sequence[Trial]) -> DecodeSettings:
    """Print trials and give the settings of the first."""
    for trial in ranked:
        print(f"{method} {trial.nats:.4f} {_changed(trial.settings)}")
    return ranked[0].settings


def _changed(settings: DecodeSettings) -> str:
    names = ("retrieval_weight", "retrieval_temperature", "n_neighbours", "aggregate", "gate", "caption_filter")
    return ", ".join(f"{name} {getattr(settings, name)}" for name in names)
