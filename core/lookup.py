"""What a position looks up, and what later positions can follow of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .context import context_codes, skip_reason
from .patches.following import going_on, search_following
from .patches.protocol import Database
from .types import DecodeSettings, IntArray, Neighbours, Retrieval, Skipped

Trail = list[dict[int, IntArray]]
"""What can be followed: for each row, by position, the entries that the last ones found, as far back as a row."""


def look_up(
    view: Database | None, codes: IntArray, position: int, settings: DecodeSettings, trail: Mapping[int, IntArray]
) -> Retrieval | Skipped:
    """What the position retrieves, from the codes [S] before it; trail: what can be followed there."""
    if view is None:
        return Skipped("retrieval is off")
    if (reason := skip_reason(view.context, view.grid, position)) is not None:
        return Skipped(reason)
    query = context_codes(view.context, codes.reshape(1, view.grid.height, -1), np.array([position]))[0]
    if settings.follow != "off":
        left = trail.get(position - 1) if position % view.grid.width else None
        known = going_on(left, trail.get(position - view.grid.width), view.context, view.grid)
        return Retrieval(query[0], *search_following(view, query[0], position, settings, known))
    neighbours = view.search(query, settings.n_neighbours, position, settings.position_weight)[0]
    return Retrieval(query[0], neighbours)


def remember(trail: dict[int, IntArray], position: int, answer: Retrieval | Skipped, width: int) -> None:
    """Add what a position found and has a say, and forget what no later one follows."""
    trail.pop(position - width, None)
    if (found := active(answer)) is not None:
        trail[position] = found.entries


def active(answer: Retrieval | Skipped) -> Neighbours | None:
    """The neighbours that have a say, for the blenders."""
    return answer.neighbours.active if isinstance(answer, Retrieval) else None
