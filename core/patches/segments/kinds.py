"""The table of index kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...codebook import Codebook
from ...context import Context
from ...types import CodeArray
from ..orderings import machine
from ..orderings.build import build as build_orderings
from ..orderings.search import OrderingsIndex
from .ask import Ground, SegmentIndex
from .quantizer import InvertedIndex, QuantizedIndex, build_lists
from .scan import ScanIndex, build_scan
from .ties import LARGEST_SEGMENT


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of index.

    build: writes files `*.npy` into a folder that is there and empty. They must not depend on where the segment stands
    in the database (see `ties.first_in_order`), so that a segment can be taken over into another one.
    open: the index over such a folder; reads no more than it must. exact: whether it keeps what `Near` promises.
    numba: whether it needs that package, which is optional.
    """

    build: Callable[[Path, CodeArray, Codebook, Context], None]
    open: Callable[[Ground], SegmentIndex]
    exact: bool = True
    numba: bool = False


def _two(folder: Path, grids: CodeArray, codebook: Codebook, context: Context) -> None:
    build_orderings(folder, grids, codebook, context, orderings=2)


def _one(folder: Path, grids: CodeArray, codebook: Codebook, context: Context) -> None:
    build_orderings(folder, grids, codebook, context, orderings=1)


KINDS: Final[Mapping[str, Kind]] = {
    "scan": Kind(build_scan, ScanIndex),
    "quantizer": Kind(build_scan, QuantizedIndex),
    "orderings": Kind(_two, OrderingsIndex, numba=True),
    "ordering": Kind(_one, OrderingsIndex, numba=True),
    "ivf": Kind(build_lists, InvertedIndex, exact=False),
}
"""All kinds by name. quantizer is the fastest below about 1e6 entries, orderings, by two orders of the contexts, above;
ordering is the same by one of them, smaller and slower; ivf is what is left above where numba is not installed."""

MANY: Final = 1_000_000
"""Entries from which on the orderings are faster than what looks at every context."""


LARGEST_IN_MEMORY: Final = 20_000_000
"""Entries up to which kinds that are built in memory (some 100 bytes an entry) are measured by `tune`."""


def choose_kind(entries: int, context: Context | None = None) -> str:
    """Kind for a segment of that many entries, here: of what is installed and can hold such contexts."""
    if entries < MANY:
        return "scan" if entries < 100_000 else "quantizer"
    fits = (context is None or context.radius == 1) and entries < LARGEST_SEGMENT
    return "orderings" if fits and machine.is_there() else "ivf"
