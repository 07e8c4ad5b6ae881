"""Following a source: entries that go on from those found one step before need no search.

An entry found for the patch to the left goes on with the entry one cell to its right in the same picture, one found for
the patch above with the entry below it. What goes on from there is near as long as a picture follows its source.
Source: RetoMaton (Alon et al. 2022, arXiv 2201.12431), which follows pointers from one word to the next; two
directions, and the exact form, are this project's own.
"""

from __future__ import annotations

import numpy as np

from ..context import Context, shifted_entries
from ..types import ConfigError, DecodeSettings, Followed, Grid, IntArray, Neighbours, Way
from .protocol import Database, Followable


def going_on(left: IntArray | None, above: IntArray | None, context: Context, grid: Grid) -> IntArray:
    """Numbers, ascending, of the entries that go on from those found for the left and for the upper patch.

    left, above: entries that were found there, None where nothing was looked up.
    """
    right = [] if left is None else [shifted_entries(context, grid, left, 0, 1)]
    below = [] if above is None else [shifted_entries(context, grid, above, 1, 0)]
    known = np.unique(np.concatenate([np.zeros(0, np.int64), *right, *below]))
    return known[known >= 0]


def search_following(
    view: Database, query: IntArray, position: int, settings: DecodeSettings, known: IntArray
) -> tuple[Neighbours, Followed]:
    """The neighbours of one query [n] at a position, when the entries `known` go on from what was found beside it.

    With follow "exact" the answer of `search`: where `known` holds K entries of the view, the K-th nearest of them
    bounds the search, and a bound of 0 spares it. With "near" the nearest ones of `known`, K at most, are the answer
    wherever the very nearest is within follow_within and the bound is not 0.
    """
    wanted, weight = settings.n_neighbours, settings.position_weight
    if not wanted or not len(known) or not isinstance(view, Followable):
        return view.search(query[None], wanted, position, weight)[0], Followed(len(known), "searched")
    wanted = min(wanted, len(view))
    near = view.nearest_of(query, known, wanted, position, weight)
    bound = near.distances[-1:] if len(near) == wanted else np.full(1, np.inf, np.float32)
    if settings.follow == "near" and len(near) and near.distances[0] <= settings.follow_within and bound[0] > 0:
        return near, Followed(len(known), "kept")
    found = view.search_within(query[None], wanted, position, weight, bound)[0]
    way: Way = "searched" if np.isinf(bound[0]) else "named" if bound[0] == weight == 0 else "bounded"
    return found, Followed(len(known), way)


def check_following(view: Database, settings: DecodeSettings) -> None:
    """ConfigError for settings that follow sources over a database that cannot tell how far a given entry is."""
    if settings.follow != "off" and not isinstance(view, Followable):
        got = f"got {settings.follow}, but this database cannot tell how far a given patch is"
        raise ConfigError(f"follow: {got}; set it to off")
