"""retrieval: whether what is retrieved for real pictures is right, where there is any, and which index finds it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...context import context_codes, retrieving_positions
from ...inputs.arguments import at_least_one
from ...patches.protocol import Database
from ...patches.segments.tune import own_queries
from ...types import CodeArray, ConfigError, DecodeSettings, IntArray
from ..findings import Section
from ..held import HeldPicture, found_for, pictures_of, sides_of, spread
from ..indexes import Ask1, hindrances, kept, tell
from ..real import grids_of
from ..retrieval_findings import found
from ..retrieved import answers, at_random, covered, figures
from ..suite import Item, Measured, Options, Row, Subject

READ: Final = 8
"""Pictures of an item."""

POOL: Final = 500
"""Images whose codes stand for any entry."""

WITHIN: Final = 0.5
"""How near a context is to be where the settings have no gate."""


class RetrievalWork:
    """See `Work`."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if subject.database is None or not subject.database.knows_images:
            got = "got no database whose images are known"
            raise ConfigError(f"database: {got}, expected one to retrieve from; give --database")
        self._subject, self._options, self._database = subject, options, subject.database
        given = str(options["held_out"])
        self._sides = sides_of(subject.backend, {"given": given} if given else {})
        self._within = subject.settings.gate or WITHIN

    def items(self) -> Sequence[Item]:
        """Batches of held-out pictures, and the kinds of indexes."""
        held = [
            Item(f"held-{side}-{first:05d}", {"kind": "held", "side": side, "first": first, "within": self._within})
            for side, pictures in self._held.items()
            for first in range(0, len(pictures), READ)
        ]
        return [*held, Item("indexes", {"kind": "indexes"})] if int(self._options["queries"]) else held

    def measure(self, item: Item) -> Measured:
        """Look pictures up, or ask every index."""
        if item.about["kind"] == "indexes":
            return self._indexes()
        first = int(item.about["first"])
        pictures = self._held[item.about["side"]][first : first + READ]
        said: dict[str, list[dict[str, float]]] = {}
        rows: dict[str, list[Any]] = {}
        for picture in pictures:
            for arm, one in self._looked_up(picture).items():
                said.setdefault(arm, []).append(figures(picture.codes.ravel().tolist(), one, self._database.codebook))
                rows.setdefault(arm, []).append(covered(one, self._database.grid.width, self._within))
        arrays: dict[str, npt.NDArray[np.generic]] = {f"rows-{arm}": np.stack(each) for arm, each in rows.items()}
        means = {arm: _means(each) for arm, each in said.items()}
        return Measured(means, arrays=arrays, details={"retrieved": said})

    def _looked_up(self, picture: HeldPicture) -> dict[str, list[Any]]:
        """What every position retrieves: from the whole database, from what its caption finds, and at random."""
        backend, settings = self._subject.backend, self._settings
        seen = {"whole": answers(found_for(backend, self._database, picture, replace(settings, caption_filter=0)))}
        if settings.caption_filter:
            seen["filtered"] = answers(found_for(backend, self._database, picture, settings))
        rng = np.random.default_rng([picture.number, *picture.side.encode()])
        return seen | {"random": at_random(seen["whole"], self._pool, rng)}

    def _indexes(self) -> Measured:
        """Recall and time of every kind of index, over images of the database."""
        chosen = self._database.images[spread(len(self._database.images), int(self._options["images"]))]
        grids, context = grids_of(self._subject.backend, self._database, chosen.tolist()), self._database.context
        positions = retrieving_positions(context, self._database.grid)
        k = min(self._settings.n_neighbours or 64, len(grids) * len(positions))
        told = dict(tell(Ask1(grids, self._database.codebook, context, self._queries(grids, positions), k)))
        details = {
            "kinds": list(told),
            "images": len(grids),
            "entries": len(grids) * len(positions),
            "k": k,
            "build": [each.build_seconds for each in told.values()],
            "bytes": [each.bytes for each in told.values()],
        }
        return Measured({"indexes": {"kinds": float(len(told))}}, {}, kept(told), details, hindrances(context))

    def _queries(self, grids: CodeArray, positions: IntArray) -> IntArray:
        """Contexts of held-out pictures, spread over them; of the database's own where there are none."""
        count = int(self._options["queries"])
        held = [picture.codes for pictures in self._held.values() for picture in pictures]
        if not held:
            return own_queries(grids, self._database.context, count)
        codes = context_codes(self._database.context, np.stack(held), positions).reshape(
            -1, self._database.context.size
        )
        return codes[spread(len(codes), count)]

    @property
    def _settings(self) -> DecodeSettings:
        return self._subject.settings

    @cached_property
    def _held(self) -> dict[str, list[HeldPicture]]:
        return pictures_of(self._sides, int(self._options["count"]))

    @cached_property
    def _pool(self) -> IntArray:
        """Codes of entries of some images."""
        return pool_of(self._subject, self._database)


def pool_of(subject: Subject, database: Database) -> IntArray:
    """Codes [M] of all entries of some images of a database."""
    chosen = database.images[spread(len(database.images), POOL)]
    grids = grids_of(subject.backend, database, chosen.tolist())
    positions = retrieving_positions(database.context, database.grid)
    codes: IntArray = grids.reshape(len(grids), -1)[:, positions].ravel().astype(np.int64)
    return codes


def _means(each: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means of the figures that all pictures have."""
    shared = set.intersection(*map(set, each))
    return {name: float(np.mean([one[name] for one in each])) for name in sorted(shared)}


class RetrievalSuite:
    """See `Suite`."""

    name: Final = "retrieval"
    help: Final = "whether what held-out pictures retrieve is right, and recall and time of every kind of index"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which pictures."""
        parser.add_argument("--count", type=int, default=32, help="pictures of a side, 0: all (default: %(default)s)")
        parser.add_argument("--held-out", default="", help="a database of pictures that are looked up")
        parser.add_argument("--queries", type=int, default=200, help="of every index, 0: none (default: %(default)s)")
        parser.add_argument(
            "--images", type=at_least_one, default=2000, help="images that indexes are built of (default: %(default)s)"
        )

    def open(self, subject: Subject, options: Options) -> RetrievalWork:
        """See `Suite.open`."""
        return RetrievalWork(subject, options)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """See `retrieval_findings`."""
        return found(rows)


SUITE: Final = RetrievalSuite()
