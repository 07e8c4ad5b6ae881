"""How much of pictures is copied from a database: regions, shared codes, and SSCD's descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ..analysis.copying import copied_regions, copying
from ..backends.protocol import Backend
from ..patches.protocol import Database
from ..types import CodeArray, DecodeSettings, FloatArray
from .extractors import Extractor
from .held import HeldPicture, found_for, spread
from .real import grids_of, of_database
from .suite import Pixels

MOST: Final = 20_000
"""Images that a picture is compared with code by code; of a larger database, as many that are spread over it."""


@dataclass(frozen=True)
class Sources:
    """What pictures may be copied from.

    images: numbers [M]; grids: their token grids [M, h, w]; settings: how positions are looked up, the same for all
    pictures, whatever drew them; descriptors: SSCD's of the database's pictures [K, D], None without its weights.
    """

    backend: Backend
    database: Database
    images: npt.NDArray[np.integer]
    grids: CodeArray
    settings: DecodeSettings
    sscd: Extractor | None = None
    descriptors: FloatArray | None = None

    @classmethod
    def of(cls, backend: Backend, database: Database, settings: DecodeSettings, sscd: Extractor | None) -> Sources:
        """Of a database; reads all of its pictures where SSCD sees them."""
        images = database.images[spread(len(database.images), MOST)]
        looked_up = replace(settings, method="daid")
        sources = cls(backend, database, images, grids_of(backend, database, images.tolist()), looked_up, sscd)
        if sscd is None:
            return sources
        real = of_database(backend, database, MOST)
        shots = [shot for shot in map(real.read, range(len(real))) if not isinstance(shot, str)]
        return replace(sources, descriptors=sscd.features(np.stack(shots)))

    def copied(self, codes: CodeArray, prompt: str) -> dict[str, float]:
        """Figures of a token grid [h, w]: of its copied regions, and the share of codes that its nearest image has."""
        picture = HeldPicture("", 0, prompt, "", codes)
        found = found_for(self.backend, self.database, picture, self.settings)
        view = self.database
        regions = copied_regions(codes.ravel().tolist(), found, view.context, view.grid)
        measure = copying(regions, sum(near is not None for near in found))
        shared = self.shared(codes)
        return {
            "largest": float(measure.largest),
            "share": measure.share,
            "sources": float(measure.sources),
            "nearest": float(shared.max()),
        }

    def shared(self, codes: CodeArray) -> FloatArray:
        """Share [M] of codes of a token grid that each image has at the same place (`judges.copied_share`)."""
        found: FloatArray = (self.grids == codes).mean(axis=(1, 2), dtype=np.float32)
        return found

    def nearest(self, codes: CodeArray) -> int:
        """Number of the image that shares most codes."""
        return int(self.images[int(self.shared(codes).argmax())])

    def similar(self, pictures: Pixels) -> Sequence[float]:
        """SSCD's cosine of each picture with the nearest one of the database; nothing without its weights."""
        if self.sscd is None or self.descriptors is None:
            return []
        best = (self.sscd.features(pictures) @ self.descriptors.T).max(axis=1)
        return [float(value) for value in best]
