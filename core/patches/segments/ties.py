"""The order among entries at the same distance, for entry numbers of 64 bits.

An entry's tie rank is the pair (`index.tie_rank` of its lower 32 bits, its upper bits): as in a small database below
2^32 entries, and whatever the segments.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...types import FloatArray, IntArray
from ..index import SCATTER, tie_rank

LARGEST_SEGMENT = 2**32
"""Entries of a segment at most: within one, no two have the same first half of a tie rank."""


def ordered(distances: FloatArray, entries: IntArray, k: int) -> IntArray:
    """Places of the k first by (distance, tie rank) among entries [M] of the whole database."""
    if len(entries) > 4 * k:
        near = np.flatnonzero(distances <= np.partition(distances, k - 1)[k - 1])
        return near[np.lexsort((entries[near] >> 32, tie_rank(entries[near]), distances[near]))[:k]]
    return np.lexsort((entries >> 32, tie_rank(entries), distances))[:k]


def local_order(entries: IntArray) -> IntArray:
    """Tie ranks of entries that are counted from the beginning of their segment, which an index sorts by."""
    return tie_rank(entries)


def first_rank(first_entry: int) -> int:
    """The local tie rank from which the ranks in the whole database ascend.

    tie_rank(first + local) = tie_rank(first) + tie_rank(local) modulo 2^32: where a segment stands only turns the order
    of its entries around. In a list sorted by `local_order`, the order in the whole database begins with the first one
    from this rank on, and goes on from the beginning of the list after its end.
    """
    return -(first_entry * SCATTER) % LARGEST_SEGMENT


def first_in_order(ranks: npt.NDArray[np.integer], first_entry: int, k: int) -> IntArray:
    """Places of the k first ones by the order in the whole database, in a list of ascending local tie ranks [M]."""
    start = int(np.searchsorted(ranks, first_rank(first_entry)))
    return (start + np.arange(min(k, len(ranks)))) % len(ranks)
