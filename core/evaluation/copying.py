"""How much is copied when nobody copies: `python -m core evaluate copying` writes assets/copying.json.

The measure of core/analysis/copying.py says little alone: plain ground and common shapes are found in any database. So
it is taken of pictures that cannot be copies, held-out real ones of which the databases hold no variant, and of
pictures that the models draw without retrieval; both are looked up in a database as a run with retrieval would look
them up.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from .. import threads
from ..analysis.copying import MEASURED, Copying, Quantiles, Reference, copied_regions, copying
from ..backends import EMBEDDED, Backend, load_backend
from ..patches.catalogue import DATABASES, open_database
from ..patches.database import PatchDatabase
from ..types import CodeArray, DecodeSettings
from .identify import SIDES, drawn, generate, subjects_of
from .likelihood import HeldOut, retrieve

DEFAULT, EXAMPLE = DecodeSettings(), DecodeSettings(caption_filter=1, position_weight=0.3)
WHOLE = DecodeSettings(caption_filter=0)
LOOKUPS = {"emoji": (DEFAULT, EXAMPLE, WHOLE), "seen": (DEFAULT, EXAMPLE), "unseen": (DEFAULT, EXAMPLE)}
"""How pictures are looked up in each database: as by default, as in the first example, and without a caption filter;
the last not in those with large contexts, where a search takes ten times as long."""

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Token grids [N, H, W] and what each of them was asked to show."""

    grids: npt.NDArray[np.integer]
    prompts: tuple[str, ...]


def real_pictures(backend: Backend, count: int) -> Pictures:
    """About `count` real pictures, spread evenly over the held-out sides."""
    sides = [HeldOut(backend, side, limit=-(-count // len(SIDES))) for side in SIDES]
    prompts = tuple(prompt for side in sides for prompt in side.prompts)
    return Pictures(np.concatenate([side.grids for side in sides]), prompts)


def drawn_alone(backend: Backend, database: PatchDatabase, count: int) -> Pictures:
    """Pictures that a model draws without retrieval, of concepts that the database holds."""
    subjects = drawn(subjects_of(database, tuning=False), count)
    grids: CodeArray = generate(backend, None, subjects, DecodeSettings(method="model"), seeds=1).grids
    return Pictures(grids, tuple(subject.prompt for subject in subjects))


def measured(
    backend: Backend, database: PatchDatabase, pictures: Pictures, settings: DecodeSettings
) -> Iterator[Copying]:
    """The measure of each picture, with what its prompt may retrieve from the database."""
    for grid, prompt in zip(pictures.grids, pictures.prompts, strict=True):
        view = database
        if settings.caption_filter:
            vector = backend.embed_captions([prompt])[0]
            view = view.subset(view.nearest_captions(vector, settings.caption_filter))
        found = retrieve(grid, view, settings)
        regions = copied_regions(grid.ravel().tolist(), found, view.context, view.grid)
        yield copying(regions, sum(near is not None for near in found))


def summary(model: str, database: str, settings: DecodeSettings, figures: Sequence[Copying]) -> Reference:
    """The quantiles of the figures of all pictures."""
    return Reference(
        model,
        database,
        settings.n_neighbours,
        settings.caption_filter,
        settings.position_weight,
        len(figures),
        largest=quantiles([figure.largest for figure in figures]),
        share=quantiles([figure.share for figure in figures]),
        sources=quantiles([figure.sources for figure in figures]),
    )


def quantiles(values: Sequence[float]) -> Quantiles:
    """The values that 10, 50 and 90 % of all do not exceed."""
    low, middle, high = (round(float(v), 4) for v in np.quantile(values, QUANTILES, method="inverted_cdf"))
    return low, middle, high


def references(count: int) -> Iterator[Reference]:
    """Everything that ships is measured: real pictures and those of every model, in every database, in every way."""
    backends = {name: load_backend(name) for name in EMBEDDED}
    first = next(iter(backends.values()))
    databases = {name: open_database(name, first) for name in DATABASES}
    everything = next(iter(databases.values()))
    sets = {"": real_pictures(first, count)}
    sets |= {name: drawn_alone(backend, everything, count) for name, backend in backends.items()}
    lookups = [(name, settings) for name in databases for settings in LOOKUPS[name]]
    for (model, pictures), (name, settings) in tqdm([(drawer, how) for drawer in sets.items() for how in lookups]):
        yield summary(model, name, settings, list(measured(first, databases[name], pictures, settings)))


def fingerprints() -> dict[str, str]:
    """Hashes of the models and databases that ship; figures hold for these alone."""
    backends = {name: load_backend(name) for name in EMBEDDED}
    first = next(iter(backends.values()))
    found = {f"model {name}": backend.fingerprint for name, backend in backends.items()}
    return found | {f"database {name}": open_database(name, first).fingerprint for name in DATABASES}


def run(chosen: argparse.Namespace) -> int:
    """Measure everything, write it to a file, and print a line of JSON for each model, database and way of looking."""
    threads.pin()
    rows = [asdict(reference) for reference in references(chosen.count)]
    made = {
        "how": "python -m core evaluate copying",
        "quantiles": QUANTILES,
        "measured_with": fingerprints(),
        "references": rows,
    }
    (chosen.out or MEASURED).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(json.dumps(row))
    return 0
