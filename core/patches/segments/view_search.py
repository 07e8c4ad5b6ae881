"""The search of one view of an open database, without what it remembers and what it checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np

from ...context import retrieving_positions
from ...types import CodeArray, FloatArray, IntArray, Neighbours
from ..index import table_sum
from ..queries import penalties
from ..store import read_only
from .ask import Ask, Near, SegmentIndex
from .opened import Opened
from .scan import FewIndex, columns_of
from .ties import ordered
from .view import BoolArray, View

AT_ONCE: Final = 16
"""Queries whose tables are made at a time: 4 MB at 16,384 codes."""


class ViewSearch:
    """Finds entries of a view of an open database. Safe to share between threads."""

    def __init__(self, opened: Opened, view: View) -> None:
        self._opened, self._view = opened, view
        self._header = opened.manifest.header
        self._positions = self._header.positions

    def nearest(
        self, queries: IntArray, k: int, places: Sequence[int | None], weight: float, bounds: FloatArray
    ) -> list[Neighbours]:
        """The k first of each query [B, n] within its bound [B], from its raster position, None for no position."""
        found = list[Neighbours]()
        for first in range(0, len(queries), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            asked = zip(places[part], bounds[part], strict=True)
            asks = [Ask(k, np.float32(bound), None, self._paid(place, weight)) for place, bound in asked]
            found += self._found(queries[part], asks)
        return found

    def nearest_of(self, query: IntArray, entries: IntArray, k: int, place: int | None, weight: float) -> Neighbours:
        """The same of some entries [E] alone, as far as they are of this view; k = 0: all of these."""
        images, slots = np.divmod(entries, self._positions)
        held = self._view.holds(images)
        entries, images, slots = entries[held], images[held], slots[held]
        totals = table_sum(self._opened.tables.of(query), self._contexts(images, slots))
        if (paid := self._paid(place, weight)) is not None:
            totals += paid[slots]
        return self._neighbours([_first_of(Near(totals, entries), k or max(1, len(entries)))])[0]

    def _found(self, queries: IntArray, asks: Sequence[Ask]) -> list[Neighbours]:
        """What some queries ask of all segments, or of the few images by themselves."""
        if asks[0].k == 0:
            return self._neighbours([Near(np.zeros(0, np.float32), np.zeros(0, np.int64))] * len(asks))
        tables = self._opened.tables.of(queries)
        if self._few is None:
            return self._neighbours([self._nearest(*asked) for asked in zip(queries, tables, asks, strict=True)])
        near = zip(self._few.near_all(tables, asks), asks, strict=True)
        return self._neighbours([_first_of(found, ask.k) for found, ask in near])

    def _nearest(self, query: IntArray, tables: FloatArray, ask: Ask) -> Near:
        """Ask every segment, each within the k-th distance of those before it."""
        best = Near(np.zeros(0, np.float32), np.zeros(0, np.int64))
        for index, allowed in self._parts:
            near = index.near(query, tables, replace(ask, allowed=allowed))
            within = near.distances <= ask.bound
            distances = np.concatenate([best.distances, near.distances[within]])
            best = _first_of(Near(distances, np.concatenate([best.entries, near.entries[within]])), ask.k)
            if len(best.entries) == ask.k:
                ask = replace(ask, bound=best.distances[-1])
        return best

    @cached_property
    def _few(self) -> FewIndex | None:
        """The entries of this view, where they are few enough to be searched by themselves."""
        if (numbers := self._view.numbers) is None:
            return None
        columns = columns_of(self._header.context, self._opened.grids_of(numbers), self._opened.codebook.size)
        entries = (numbers[:, None] * self._positions + np.arange(self._positions)).ravel()
        return FewIndex(columns, entries, self._positions)

    @cached_property
    def _parts(self) -> list[tuple[SegmentIndex, BoolArray | None]]:
        """The segments that a search asks, each with the images that may answer, None for all."""
        found = list[tuple[SegmentIndex, BoolArray | None]]()
        for segment in self._opened.segments:
            allowed = self._view.allowed(segment.first_image, segment.first_image + len(segment))
            if allowed is None or allowed.any():
                found.append((segment.index, allowed))
        return found

    def _contexts(self, images: IntArray, slots: IntArray) -> CodeArray:
        """Contexts [n, M] of entries by their images and positions."""
        distinct, owner = np.unique(images, return_inverse=True)
        grids = self._opened.grids_of(distinct)
        columns = columns_of(self._header.context, grids, self._opened.codebook.size)
        return columns[:, owner * self._positions + slots]

    def _paid(self, place: int | None, weight: float) -> FloatArray | None:
        """What entries pay by their position, None for nothing."""
        return None if place is None else penalties(self._header.context, self._header.grid, place, weight)

    def _neighbours(self, near: Sequence[Near]) -> list[Neighbours]:
        """Entries with their codes; read-only, because shared."""
        entries = np.concatenate([found.entries for found in near])
        images, slots = np.divmod(entries, self._positions)
        positions = retrieving_positions(self._header.context, self._header.grid)[slots]
        codes = np.zeros(len(entries), np.int64)
        for segment, places, rows in self._opened.by_segment(images):
            codes[places] = segment.codes(rows, positions[places])
        ends = np.cumsum([len(found.entries) for found in near])[:-1]
        return [
            Neighbours(read_only(part.copy()), read_only(found.distances), read_only(found.entries))
            for part, found in zip(np.split(codes, ends), near, strict=True)
        ]


def _first_of(near: Near, k: int) -> Near:
    """The k first of them by (distance, tie rank), in that order."""
    chosen = ordered(near.distances, near.entries, k)
    return Near(near.distances[chosen], near.entries[chosen])
