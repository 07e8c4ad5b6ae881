"""What judges and networks see of pictures, as arrays that an item keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from PIL import Image

from ..backends.protocol import Backend
from ..patches.database import PatchDatabase
from ..patches.protocol import Database
from ..types import CodeArray, ConfigError, DatabaseError, FloatArray
from .extractors import KNOWN, Extractor, load, missing
from .identify import Judges, held_out_sides
from .judges import described, in_parts, palette, surface
from .suite import Drawn, Options, Pixels
from .wanted import Wanted

SHAPES, SURFACE = "shapes", "surface"
"""What the judges here look at: layout and gradients, by which concepts are told; colours and texture, by which styles
are. No weights are learned for either."""

SIDE: Final = 128
"""Pixels a side that the judges take, or a multiple of it."""

EVERY: Final = 4
"""The judges of style and colour learn from every fourth picture, in a minute instead of four; how good they are then
stands beside what they say."""


@dataclass(frozen=True)
class Eyes:
    """Features of pictures by name: of the judges here, and of the networks whose weights are given.

    unavailable: figures that cannot be had, with what to fetch.
    """

    given: Mapping[str, Extractor] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, options: Options, kinds: Sequence[str]) -> Eyes:
        """Those of the options; CheckpointError or ConfigError for weights that are given and cannot be had."""
        paths = {kind: str(options.get(kind) or "") for kind in kinds}
        given = {kind: load(kind, path) for kind, path in paths.items() if path}
        return cls(given, {KNOWN[kind].figures: missing(kind) for kind, path in paths.items() if not path})

    @property
    def names(self) -> dict[str, str]:
        """Which network each kind is."""
        return {kind: extractor.name for kind, extractor in self.given.items()}

    def arrays(self, arm: str, pictures: Pixels) -> dict[str, FloatArray]:
        """Arrays "FEATURES-ARM" [N, F] of pictures [N, H, W, 3]."""
        fitting = fitted(pictures)
        seen = {SHAPES: in_parts(described, fitting), SURFACE: in_parts(surface, fitting)}
        seen |= {kind: extractor.features(pictures) for kind, extractor in self.given.items()}
        return {f"{kind}-{arm}": features for kind, features in seen.items()}


def fitted(pictures: Pixels) -> Pixels:
    """Pictures [N, H, W, 3] at a size that the judges take."""
    if pictures.shape[1] == pictures.shape[2] and pictures.shape[1] % SIDE == 0:
        return pictures
    boxed = [Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BOX) for one in pictures]
    return np.stack([np.asarray(one, np.uint8) for one in boxed])


def judges_of(backend: Backend, database: Database | None) -> Judges | str:
    """Judges that learn from a database, or why there are none: they need its pictures in two styles at least."""
    if not isinstance(database, PatchDatabase):
        return "the judges learn from a database in memory (version 1); give one as --judges"
    if len(database.styles) < 2 or "" in database.styles or any(not database.picture(n) for n in database.images):
        return "the judges learn from a database with pictures of known styles, two at least; give one as --judges"
    if backend.pixels % SIDE:
        return f"the judges take pictures of {SIDE} pixels or multiples of it, and the model's have {backend.pixels}"
    try:
        held = held_out_sides(backend)
    except DatabaseError:  # those that ship are of another codebook
        held = []
    try:
        return Judges(backend, database, held, EVERY)
    except ConfigError as error:
        return str(error)


def judged(judges: Judges, wanted: Sequence[Wanted], drawn: Sequence[Drawn]) -> dict[str, list[float]]:
    """What judges say of drawn pictures, a number for each: reciprocal rank of the concept, style and colour right.

    Only what is asked for and what the judges know is judged, for all of the pictures or for none.
    """
    pictures = fitted(np.stack([one.pixels for one in drawn]))
    grids: CodeArray = np.array([one.codes for one in drawn], np.uint16)
    concepts, styles = [one.concept for one in wanted], [one.style for one in wanted]
    found: dict[str, list[float]] = {}
    if all(one.colour for one in wanted):
        told = judges.colour.predict(in_parts(palette, pictures))
        return {"colour": [float(a == one.colour) for a, one in zip(told, wanted, strict=True)]}
    if set(concepts) <= set(judges.gallery.concepts):
        found["concept"] = (1 / judges.gallery.ranks(pictures, concepts, styles)).tolist()
    if set(styles) <= set(judges.style.names):
        told = judges.style.predict(judges.looks(pictures, grids))
        found["style"] = [float(a == b) for a, b in zip(told, styles, strict=True)]
    return found
