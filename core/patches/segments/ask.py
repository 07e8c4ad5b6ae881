"""What a search asks of one segment, and what an index answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from ...codebook import Codebook
from ...context import Context
from ...types import CodeArray, FloatArray, IntArray

NO_BOUND: Final = np.float32(np.inf)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted of a segment besides the query.

    k: how many entries, from 1 on; bound: only entries at a distance <= bound are wanted (inf: all); allowed: [N] which
    images of the segment may answer, None for all; penalties: [P] what every entry pays by its position, added to its
    distance in float32, None for nothing. Both are read-only.
    """

    k: int
    bound: np.float32 = NO_BOUND
    allowed: npt.NDArray[np.bool_] | None = None
    penalties: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Near:
    """Candidates in any order: distances [M] with the penalty, and numbers [M] of the entries in the whole database.

    An exact index names every entry of its segment that may be among the k first by (distance, tie rank) and is within
    the bound; it may name more. None twice.
    """

    distances: FloatArray
    entries: IntArray


class SegmentIndex(Protocol):
    """Finds entries of one segment; safe to share between threads."""

    def near(self, query: IntArray, tables: FloatArray, ask: Ask) -> Near:
        """Candidates for a query [n] of context codes, given the tables [n, V + 1] of `index.distance_tables`."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What an index stands on: its folder, the token grids [N, H, W] (mapped), and the number of its first entry."""

    folder: Path
    grids: CodeArray
    codebook: Codebook
    context: Context
    first_entry: int
