"""The search by two orderings as machine code. Import it only where numba is there, see `search.OrderingsIndex`.

O1 holds the unique contexts sorted by (TL, TR, T, L), O2 by (T, L, TL, TR): the cells of the first pair tell the least
of each other. A directory cuts each into runs that have their first code and a cell of similar second codes in common;
what the code costs, and the nearest one of the cell, is the least that the first pair of a run can cost. All runs of
O1 for which that is at most p1 are looked at, and all of O2 for which it is at most p2. A context that was seen in
neither costs more than p1 + p2, so that once this reaches the K-th distance, nothing nearer is left (the threshold of
Fagin, Lotem & Naor 2003, with pairs of cells as attributes). Any p1 and p2 will do: the one that has been the cheaper
to raise is raised. A run is looked at once, and a context that the other ordering has seen is passed over, as its codes
tell: each context is offered exactly once.

Distances are float32 and summed in the order TL, T, TR, L, as `table_sum` does. Adding what is not negative never makes
a float smaller, so that leaving out a pair that costs more than the K-th distance is exact; what is added in another
order needs SLACK.

Loops that run often take the arrays that they need out of their tuples first: numba counts references to arrays, and
each of these counts takes longer than reading some ten contexts.
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

FARTHEST: Final = np.float32(9)
"""More than a pair of cells can cost: code vectors have length 1."""

COLUMNS: Final = 2048
"""Codes whose distances are added up at a time, so that they stay in the nearest cache."""

BATCH: Final = 256
"""Runs that are listed before they are read."""


class Ordering(NamedTuple):
    """Unique contexts [U, 3] in one order, without their first code; where each (first code, cell) begins."""

    records: Any
    directory: Any


class Wanted(NamedTuple):
    """What is searched for among the lists of entries; heap: the k best keys (distance bits << 32 | tie rank).

    scratch: [2] a float that is looked at as bits, and what reading ahead has come to.
    """

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
    nearest_cells: Any


class Runs(NamedTuple):
    """Runs of an ordering that are to be read: code, first and end [BATCH, 3], and what their pairs cost at least."""

    places: Any
    bounds: Any


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
def _goal(kth: Any, cheapest: Any) -> Any:
    """What a context may cost that could still be among the k best, rounding included."""
    return kth - cheapest + SLACK + kth * ROUNDING


@compiled()
def _number(tl: Any, tr: Any, t: Any, left: Any, query: Any, first: Any) -> Any:
    """Number of a context, which is its place in O1: it is known to be there."""
    cell, records = np.int64(tl) * query.cells + query.cell_of[tr], first.records
    low, high = np.int64(first.directory[cell]), np.int64(first.directory[cell + 1])
    sought = np.int64(tr) << 32 | np.int64(t) << 16 | np.int64(left)
    while low < high:
        middle = (low + high) >> 1
        here = np.int64(records[middle, 0]) << 32 | np.int64(records[middle, 1]) << 16 | np.int64(records[middle, 2])
        if here < sought:
            low = middle + 1
        else:
            high = middle
    return low


@compiled()
def _touched(records: Any, places: Any, count: Any) -> Any:
    """Touches both ends of some runs, so that the memory fetches them at the same time; the answer means nothing."""
    codes = np.uint16(0)
    for number in range(count):
        codes |= records[places[number, 1], 0] | records[places[number, 2] - 1, 0]
    return codes


@compiled()
def _read(which: Any, runs: Any, count: Any, seen: Any, query: Any, first: Any, second: Any, wanted: Any) -> Any:
    """Offer what is near enough in some runs of an ordering; how many contexts were read.

    seen: what the first pair of a run costs at most that was looked at in the other ordering.
    """
    one, two, three, four = (0, 2, 1, 3) if which == 0 else (1, 3, 0, 2)  # the slots, in the order of the codes there
    t_one, t_two, t_three, t_four = query.tables[one], query.tables[two], query.tables[three], query.tables[four]
    records = first.records if which == 0 else second.records
    cell_of, cell_lows, cheapest = query.cell_of, query.cell_lows[four], wanted.cheapest
    elsewhere = max(seen, np.float32(0))
    places, bounds, kth, read = runs.places, runs.bounds, _kth(wanted), 0
    wanted.scratch[1] = _touched(records, places, count)
    limit = _goal(kth, cheapest) - elsewhere
    for number in range(count):
        if bounds[number] > limit:
            continue
        code, low, high = places[number, 0], places[number, 1], places[number, 2]
        base = t_one[code]
        read += high - low
        for place in range(low, high):
            second_cost = t_two[records[place, 0]]
            if base + second_cost > limit:
                continue  # nearly always
            third, fourth = records[place, 1], records[place, 2]
            third_cost = t_three[third]
            if which == 0:
                distance = ((base + third_cost) + second_cost) + t_four[fourth]
            else:
                distance = ((base + third_cost) + t_four[fourth]) + second_cost
            if distance + cheapest <= kth and third_cost + cell_lows[cell_of[fourth]] > seen:
                context = place if which == 0 else _number(third, fourth, code, records[place, 0], query, first)
                kth = _offer(distance, context, wanted)
                limit = _goal(kth, cheapest) - elsewhere
    return read


@compiled()
def _pass(which: Any, upto: Any, done: Any, runs: Any, query: Any, first: Any, second: Any, wanted: Any) -> Any:
    """Look at all runs of an ordering (0, 1) whose first pair costs at most `upto`, and was not looked at before.

    How many contexts were read.
    """
    one, two = (0, 2) if which == 0 else (1, 3)
    directory = first.directory if which == 0 else second.directory
    table, nearest, lows, clusters = query.tables[one], query.nearest[one], query.lows[one], query.clusters
    cells, nearest_cells, cell_lows = query.cells, query.nearest_cells[two], query.cell_lows[two]
    places, bounds, cheapest, looked_at, seen = runs.places, runs.bounds, wanted.cheapest, done[which], done[1 - which]
    read, count, elsewhere = 0, 0, max(seen, np.float32(0))
    limit = min(upto, _goal(_kth(wanted), cheapest) - elsewhere)
    for cluster in nearest:
        if lows[cluster] > limit:
            break
        for code in range(clusters[cluster], clusters[cluster + 1]):
            base = table[code]
            if base > limit:
                continue
            for cell in nearest_cells:
                bound = base + cell_lows[cell]
                if bound > limit:
                    break
                low, high = np.int64(directory[code * cells + cell]), np.int64(directory[code * cells + cell + 1])
                if low == high or bound <= looked_at:
                    continue
                places[count, 0], places[count, 1], places[count, 2], bounds[count] = code, low, high, bound
                count += 1
                if count == BATCH:
                    read += _read(which, runs, count, seen, query, first, second, wanted)
                    count, limit = 0, min(upto, _goal(_kth(wanted), cheapest) - elsewhere)
    return read + _read(which, runs, count, seen, query, first, second, wanted)


@compiled()
def _query(tables: Any, order: Any, clusters: Any, cells: Any) -> Any:
    """Tables and clusters of a query, see Query."""
    count, wide = len(clusters) - 1, (len(clusters) - 1) // cells
    ordered = np.empty(tables.shape, np.float32)
    lows, cell_lows = np.empty((4, count), np.float32), np.full((4, cells), np.inf, np.float32)
    nearest, nearest_cells = np.empty((4, count), np.int64), np.empty((4, cells), np.int64)
    cell_of = np.empty(len(order), np.int64)
    t_0, t_1, t_2, t_3 = tables[0], tables[1], tables[2], tables[3]
    o_0, o_1, o_2, o_3 = ordered[0], ordered[1], ordered[2], ordered[3]
    for cluster in range(count):
        low_0 = low_1 = low_2 = low_3 = np.float32(np.inf)  # side by side: a minimum waits for the one before it
        for place in range(clusters[cluster], clusters[cluster + 1]):
            code = order[place]
            cost_0, cost_1, cost_2, cost_3 = t_0[code], t_1[code], t_2[code], t_3[code]
            o_0[place], o_1[place], o_2[place], o_3[place] = cost_0, cost_1, cost_2, cost_3
            low_0, low_1, low_2, low_3 = min(low_0, cost_0), min(low_1, cost_1), min(low_2, cost_2), min(low_3, cost_3)
            cell_of[place] = cluster // wide
        lows[0, cluster], lows[1, cluster], lows[2, cluster], lows[3, cluster] = low_0, low_1, low_2, low_3
    for slot in range(4):
        for cluster in range(count):
            cell_lows[slot, cluster // wide] = min(cell_lows[slot, cluster // wide], lows[slot, cluster])
        nearest[slot] = np.argsort(lows[slot])
        nearest_cells[slot] = np.argsort(cell_lows[slot])
    return Query(ordered, clusters, lows, nearest, cells, cell_of, cell_lows, nearest_cells)


@compiled()
def _fill(query: Any, first: Any, second: Any, wanted: Any, step: Any, growth: Any) -> Any:
    """Fill the heap, in one ordering or in two; how many contexts were read."""
    done = np.full(2, -1, np.float32)  # what the first pair of a run costs at most that was looked at
    upto = np.full(2, step, np.float32)
    rates = np.zeros(2)  # contexts that were read last for how much more of a pair's cost
    runs = Runs(np.empty((BATCH, 3), np.int64), np.empty(BATCH, np.float32))
    if len(second.directory) == 0:
        rates[1] = np.inf
    total = 0
    while True:
        which = 0 if rates[0] <= rates[1] else 1
        goal = _goal(_kth(wanted), wanted.cheapest)
        reach = min(upto[which], goal - max(done[1 - which], np.float32(0)))
        if reach <= done[which]:
            return total  # p1 + p2 has reached what is wanted
        read = _pass(which, reach, done, runs, query, first, second, wanted)
        rates[which] = (read + 1) / (reach - max(done[which], np.float32(0)))
        total += read
        done[which], upto[which] = reach, reach * growth
        if reach >= FARTHEST:
            return total


@compiled(types.float32[:, ::1](types.float32[:, ::1], types.int64[::1]))
def distance_tables(vectors: Any, query: Any) -> Any:
    """As `index.distance_tables`, to the last bit: squares are added in the same order. [n, V + 1]."""
    size, codes = len(query), vectors.shape[1]
    tables = np.empty((size, codes), np.float32)
    for slot in range(size):
        for start in range(0, codes, COLUMNS):
            part = tables[slot, start : start + COLUMNS]
            part[:] = np.float32(0)
            for row in vectors:
                there, columns = row[query[slot]], row[start : start + COLUMNS]
                for place in range(len(part)):
                    difference = columns[place] - there
                    part[place] += difference * difference
    return tables


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
        starts, entries, shift, positions, allowed, penalties, cheapest, heap, np.zeros(2, np.float32)
    )  # fmt: skip
    first, second = Ordering(records, directory), Ordering(second_records, second_directory)
    return _fill(query, first, second, wanted, step, growth)


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
