"""A row of an evaluation that was never written: what `findings` get, from what `measure` gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation.suite import Item, Measured, Work
from core.types import ConfigError


@dataclass(frozen=True)
class MemoryRow:
    """See `core.evaluation.suite.Row`; everything is what the item and its measurement say."""

    key: str
    about: Mapping[str, Any] = field(default_factory=dict)
    measured: Measured = field(default_factory=Measured)

    @property
    def figures(self) -> Mapping[str, Mapping[str, float]]:
        """Figures [arm][name]."""
        return self.measured.figures

    @property
    def details(self) -> Mapping[str, Any]:
        """As measured."""
        return self.measured.details

    @property
    def unavailable(self) -> Mapping[str, str]:
        """As measured."""
        return self.measured.unavailable

    def array(self, name: str) -> npt.NDArray[np.generic]:
        """An array; ConfigError where there is none."""
        if name not in self.measured.arrays:
            raise ConfigError(f"{self.key}: got no array {name}, expected one")
        return self.measured.arrays[name]

    def pixels(self, arm: str) -> Sequence[npt.NDArray[np.uint8]]:
        """The pictures of an arm."""
        return [drawn.pixels for drawn in self.measured.pictures.get(arm, ())]


def row_of(work: Work, item: Item) -> MemoryRow:
    """An item, measured now."""
    return MemoryRow(item.key, item.about, work.measure(item))


def rows_of(work: Work) -> list[MemoryRow]:
    """All items of a suite, measured now, sorted by key as `findings` expect."""
    return sorted((row_of(work, item) for item in work.items()), key=lambda row: row.key)
