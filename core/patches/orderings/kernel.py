"""The search by two orderings as machine code. Import it only where numba is there, see `search.OrderingsIndex`.

O1 holds the unique contexts sorted by (TL, TR, T, L), O2 by (T, L, TL, TR): the cells of the first pair tell the least
of each other. All contexts whose first pair costs at most p1 are looked at in O1, and those whose first pair costs at
most p2 in O2. A context that was seen in neither costs more than p1 + p2, so that once this reaches the K-th distance,
nothing nearer is left (the threshold of Fagin, Lotem & Naor 2003, with pairs of cells as attributes). Each ordering
passes over what the other one, or it itself, has completed: a context is offered exactly once.

Distances are float32 and summed in the order TL, T, TR, L, as `table_sum` does. Adding what is not negative never makes
a float smaller, so that leaving out a pair that costs more than the K-th distance is exact; p1 + p2 needs SLACK.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import types

from .compiled import compiled

SCATTER: Final = 2654435761
"""As in `tie_rank`."""

MASK: Final = 0xFFFFFFFF
SLACK: Final = np.float32(1e-5)
"""More than sums of four distances, each of at most 4, differ by when they are added up in another order."""

ROUNDING: Final = np.float32(1e-6)
"""More than the share of a float32 sum that is lost by rounding."""


class Ordering(NamedTuple):
    """Unique contexts [U, 3] in one order, without their first code; where each (first code, cell) begins."""

    records: Any
    directory: Any


class Wanted(NamedTuple):
    """What is searched for among the lists of entries; heap: the k best keys (distance bits << 32 | tie rank)."""

    starts: Any
    entries: Any
    shift: Any
    positions: Any
    allowed: Any
    penalties: Any
    cheapest: Any
    heap: Any
    scratch: Any


class Query(NamedTuple):
    """Tables [4, V + 1] in the order of the codes; of each slot the clusters, nearest first, and how near they are.

    cells: into how many cells the second codes of a row are cut; cell_of: [V + 1] the one of each code.
    """

    tables: Any
    clusters: Any
    lows: Any
    nearest: Any
    cells: Any
    cell_of: Any
    cell_lows: Any
    cell_highs: Any
    nearest_cells: Any


@compiled()
def _replace_largest(heap: Any, key: Any) -> None:
    """Put a smaller key in the place of the largest one, which stands at 0."""
    place, size = 0, len(heap)
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= key:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = key


@compiled()
def _first_by_rank(entries: Any, low: Any, high: Any, shift: Any) -> Any:
    """Place of the first entry by tie rank among low..high, whose ranks are all moved by shift modulo 2^32."""
    begin, end, wrap = low, high, (1 << 32) - shift
    while low < high:
        middle = (low + high) >> 1
        if ((np.int64(entries[middle]) * SCATTER) & MASK) < wrap:
            low = middle + 1
        else:
            high = middle
    return low if low < end else begin


@compiled()
def _offer(distance: Any, number: Any, wanted: Any) -> Any:
    """Put the entries of a context among the k best as far as they belong there; what a context may now cost."""
    low, high = np.int64(wanted.starts[number]), np.int64(wanted.starts[number + 1])
    place = _first_by_rank(wanted.entries, low, high, wanted.shift) if high - low > 1 else low
    bits = wanted.scratch.view(np.int32)
    for _ in range(high - low):
        entry = np.int64(wanted.entries[place])
        place = low if place + 1 == high else place + 1
        if len(wanted.allowed) > 0 and not wanted.allowed[entry // wanted.positions]:
            continue
        wanted.scratch[0] = distance
        if len(wanted.penalties) > 0:
            wanted.scratch[0] = distance + wanted.penalties[entry % wanted.positions]
        key = (np.int64(bits[0]) << 32) | ((entry * SCATTER + wanted.shift) & MASK)
        if key < wanted.heap[0]:
            _replace_largest(wanted.heap, key)
        elif len(wanted.penalties) == 0:
            break  # all others of this context come after it
    return _kth(wanted)


@compiled()
def _kth(wanted: Any) -> Any:
    """The distance of the k-th best entry so far."""
    bits = wanted.scratch.view(np.int32)
    bits[0] = np.int32(wanted.heap[0] >> 32)
    return wanted.scratch[0]


@compiled()
def _goal(wanted: Any) -> Any:
    """What a context may cost that could still be among the k best, rounding included."""
    kth = _kth(wanted)
    return kth - wanted.cheapest + SLACK + kth * ROUNDING


@compiled()
def _number(tl: Any, tr: Any, t: Any, left: Any, query: Any, first: Any) -> Any:
    """Number of a context, which is its place in O1: it is known to be there."""
    cell = np.int64(tl) * query.cells + query.cell_of[tr]
    low, high = np.int64(first.directory[cell]), np.int64(first.directory[cell + 1])
    sought = np.int64(tr) << 32 | np.int64(t) << 16 | np.int64(left)
    while low < high:
        middle = (low + high) >> 1
        here = first.records[middle]
        if (np.int64(here[0]) << 32 | np.int64(here[1]) << 16 | np.int64(here[2])) < sought:
            low = middle + 1
        else:
            high = middle
    return low


@compiled()
def _second_cost(base: Any, upto: Any, kth: Any) -> Any:
    """What the second code of a pair may cost at most beside the first one, with something to spare for rounding."""
    return (min(upto, kth) - base) + SLACK + min(upto, kth) * ROUNDING


@compiled()
def _scan_first(
    code: Any, low: Any, high: Any, upto: Any, done: Any, kth: Any, query: Any, first: Any, wanted: Any
) -> Any:
    """Look at the contexts low..high of O1, whose TL is the code; the k-th distance afterwards."""
    records = first.records
    t_t, t_tr, t_l = query.tables[1], query.tables[2], query.tables[3]
    base, cheapest = query.tables[0, code], wanted.cheapest
    most = _second_cost(base, upto, kth)
    for place in range(low, high):
        tr = t_tr[records[place, 0]]
        if tr > most:
            continue  # nearly always: one comparison that is easily foreseen
        pair = base + tr
        if pair > upto or pair <= done[0] or pair + cheapest > kth:
            continue
        t, left = t_t[records[place, 1]], t_l[records[place, 2]]
        distance = ((base + t) + tr) + left
        if distance + cheapest <= kth and t + left > done[1]:
            kth = _offer(distance, place, wanted)
            most = _second_cost(base, upto, kth)
    return kth


@compiled()
def _scan_second(
    code: Any, low: Any, high: Any, upto: Any, done: Any, kth: Any, query: Any, first: Any, second: Any, wanted: Any
) -> Any:
    """Look at the contexts low..high of O2, whose T is the code; the k-th distance afterwards."""
    records = second.records
    t_tl, t_tr, t_l = query.tables[0], query.tables[2], query.tables[3]
    base, cheapest = query.tables[1, code], wanted.cheapest
    most = _second_cost(base, upto, kth)
    for place in range(low, high):
        left = t_l[records[place, 0]]
        if left > most:
            continue
        pair = base + left
        if pair > upto or pair <= done[1] or pair + cheapest > kth:
            continue
        tl, tr = t_tl[records[place, 1]], t_tr[records[place, 2]]
        distance = ((tl + base) + tr) + left
        if distance + cheapest <= kth and tl + tr > done[0]:
            number = _number(records[place, 1], records[place, 2], code, records[place, 0], query, first)
            kth = _offer(distance, number, wanted)
            most = _second_cost(base, upto, kth)
    return kth


@compiled()
def _pass(which: Any, upto: Any, done: Any, query: Any, first: Any, second: Any, wanted: Any) -> Any:
    """Look at all contexts of an ordering (0, 1) whose first pair costs at most `upto`; how many were read."""
    one, two = (0, 2) if which == 0 else (1, 3)
    directory = first.directory if which == 0 else second.directory
    kth, read = _kth(wanted), 0
    limit = min(upto, _goal(wanted))
    for cluster in query.nearest[one]:
        if query.lows[one, cluster] > limit:
            break
        for code in range(query.clusters[cluster], query.clusters[cluster + 1]):
            base = query.tables[one, code]
            if base > limit:
                continue
            for cell in query.nearest_cells[two]:
                if base + query.cell_lows[two, cell] > limit:
                    break
                place = code * query.cells + cell
                low, high = np.int64(directory[place]), np.int64(directory[place + 1])
                if low == high or base + query.cell_highs[two, cell] <= done[which]:
                    continue
                read += high - low
                before = kth
                if which == 0:
                    kth = _scan_first(code, low, high, upto, done, kth, query, first, wanted)
                else:
                    kth = _scan_second(code, low, high, upto, done, kth, query, first, second, wanted)
                if kth < before:
                    limit = min(upto, _goal(wanted))
    return read


@compiled()
def _query(tables: Any, order: Any, clusters: Any, cells: Any) -> Any:
    """Tables and clusters of a query, see Query."""
    count, wide = len(clusters) - 1, (len(clusters) - 1) // cells
    ordered = np.empty(tables.shape, np.float32)
    lows = np.full((4, count), np.inf, np.float32)
    cell_lows, cell_highs = np.full((4, cells), np.inf, np.float32), np.full((4, cells), -1, np.float32)
    nearest, nearest_cells = np.empty((4, count), np.int64), np.empty((4, cells), np.int64)
    cell_of = np.empty(len(order), np.int64)
    for cluster in range(count):
        cell_of[clusters[cluster] : clusters[cluster + 1]] = cluster // wide
    for slot in range(4):
        for cluster in range(count):
            cell, low, high = cluster // wide, np.float32(np.inf), np.float32(-1)
            for place in range(clusters[cluster], clusters[cluster + 1]):
                cost = tables[slot, order[place]]
                ordered[slot, place] = cost
                low, high = min(low, cost), max(high, cost)
            lows[slot, cluster] = low
            cell_lows[slot, cell] = min(cell_lows[slot, cell], low)
            cell_highs[slot, cell] = max(cell_highs[slot, cell], high)
        nearest[slot] = np.argsort(lows[slot])
        nearest_cells[slot] = np.argsort(cell_lows[slot])
    return Query(ordered, clusters, lows, nearest, cells, cell_of, cell_lows, cell_highs, nearest_cells)


@compiled()
def _two_orderings(query: Any, first: Any, second: Any, wanted: Any, step: Any, growth: Any) -> Any:
    """Fill the heap by both orderings in turn; how many contexts were read."""
    done = np.full(2, -1, np.float32)  # what a first pair may cost to have been seen
    both, read = len(second.directory) > 0, 0
    most = np.float32(max(query.cell_highs[0].max() + query.cell_highs[2].max(), SLACK))
    while True:
        goal = _goal(wanted)
        upto = min(step, goal)
        if both:
            upto = min(step, max(goal / np.float32(2), done[0]))
            upto = min(upto, goal - max(done[1], np.float32(0)))
        if upto > done[0]:
            read += _pass(0, upto, done, query, first, second, wanted)
            done[0] = upto
            goal = _goal(wanted)
        if done[0] >= min(goal, most):
            return read
        if both:
            upto = min(step, goal - done[0])
            if upto > done[1]:
                read += _pass(1, upto, done, query, first, second, wanted)
                done[1] = upto
                goal = _goal(wanted)
            if done[0] + done[1] >= goal:
                return read
        step *= growth


def _mapped(kind: Any, dimensions: int) -> Any:
    """Type of an array in a file."""
    return types.Array(kind, dimensions, "C", readonly=True)


_ORDERING = (_mapped(types.uint16, 2), _mapped(types.uint32, 1))


@compiled(
    types.int64(
        _mapped(types.float32, 2), _mapped(types.uint16, 1), _mapped(types.int64, 1),
        *_ORDERING, *_ORDERING, _mapped(types.uint32, 1), _mapped(types.uint32, 1),
        types.int64, types.int64, _mapped(types.boolean, 1), _mapped(types.float32, 1),
        types.float32, types.float32, types.int64[::1],
    )
)  # fmt: skip
def search(
    tables: Any, order: Any, clusters: Any,
    records: Any, directory: Any, second_records: Any, second_directory: Any, starts: Any, entries: Any,
    shift: Any, positions: Any, allowed: Any, penalties: Any, step: Any, growth: Any, heap: Any,
) -> Any:  # fmt: skip
    """Fill a heap [k] of keys (distance bits << 32 | tie rank), the largest first, with the k smallest there are.

    It comes filled with the key that all must stay below. tables: [4, V + 1] distances of each slot's code to every
    code; order, clusters: see `code_order` and `cluster_starts`; the second ordering may be empty; shift is added to
    every tie rank modulo 2^32; allowed: [images] or empty; penalties: [positions] or empty; step: the first threshold,
    which grows by a factor. Returns how many contexts were read.
    """
    cells = (len(directory) - 1) // len(order)
    cheapest = penalties.min() if len(penalties) > 0 else np.float32(0)
    query = _query(tables, order, clusters, cells)
    wanted = Wanted(
        starts, entries, shift, positions, allowed, penalties, cheapest, heap, np.zeros(1, np.float32)
    )  # fmt: skip
    return _two_orderings(
        query, Ordering(records, directory), Ordering(second_records, second_directory), wanted, step, growth
    )


@compiled()
def _scatter(keys: Any, ranks: Any, to_keys: Any, to_ranks: Any, byte: Any, targets: Any) -> None:
    """Put pairs where their byte says, in the order that they have."""
    for place in range(len(keys)):
        if byte < 4:
            digit = np.int64((ranks[place] >> np.uint32(8 * byte)) & np.uint32(255))
        else:
            digit = np.int64((keys[place] >> np.uint64(8 * (byte - 4))) & np.uint64(255))
        target = targets[digit]
        targets[digit] += 1
        to_keys[target], to_ranks[target] = keys[place], ranks[place]


@compiled(types.void(types.uint64[::1], types.uint32[::1]))
def sort_pairs(keys: Any, ranks: Any) -> None:
    """Sort pairs (key, rank) [E] in place, by one byte after the other from the last one on."""
    spare_keys, spare_ranks = np.empty_like(keys), np.empty_like(ranks)
    counts = np.zeros((12, 256), np.int64)
    for place in range(len(keys)):
        for byte in range(4):
            counts[byte, (ranks[place] >> np.uint32(8 * byte)) & np.uint32(255)] += 1
        for byte in range(8):
            counts[4 + byte, (keys[place] >> np.uint64(8 * byte)) & np.uint64(255)] += 1
    swapped = False
    for byte in range(12):
        if counts[byte].max() == len(keys):
            continue  # all have the same one
        targets = np.cumsum(counts[byte]) - counts[byte]
        if swapped:
            _scatter(spare_keys, spare_ranks, keys, ranks, byte, targets)
        else:
            _scatter(keys, ranks, spare_keys, spare_ranks, byte, targets)
        swapped = not swapped
    if swapped:
        keys[:], ranks[:] = spare_keys, spare_ranks
