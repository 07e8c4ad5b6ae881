"""What all views of an open database of segments share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...codebook import Codebook
from ...types import CodeArray, IntArray
from ..index import DistanceTables
from .manifest import Manifest
from .segment import Segment


@dataclass(frozen=True)
class Opened:
    """What all views of an open database share."""

    folder: Path
    codebook: Codebook
    manifest: Manifest
    segments: tuple[Segment, ...]
    tables: DistanceTables

    @cached_property
    def firsts(self) -> IntArray:
        """Number of the first image of each segment."""
        return np.array([segment.first_image for segment in self.segments])

    def by_segment(self, images: IntArray) -> Iterator[tuple[Segment, IntArray, IntArray]]:
        """(segment, places in `images`, numbers within the segment) of images that are there."""
        if len(self.segments) == 1:
            if len(images):
                yield self.segments[0], np.arange(len(images)), images - self.firsts[0]
            return
        owners = np.searchsorted(self.firsts, images, side="right") - 1
        for owner in np.unique(owners):
            places = np.flatnonzero(owners == owner)
            yield self.segments[owner], places, images[places] - self.firsts[owner]

    def grids_of(self, images: IntArray) -> CodeArray:
        """Token grids [M, H, W]."""
        grid = self.manifest.header.grid
        grids = np.empty((len(images), grid.height, grid.width), np.uint16)
        for segment, places, rows in self.by_segment(images):
            grids[places] = segment.grids[rows]
        return grids
