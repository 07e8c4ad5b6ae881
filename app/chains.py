"""How a picture goes on from its sources, as the stepper gets it: which neighbours continue others, and the chains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from app.views import SHOWN_NEIGHBOURS, Array
from core.analysis.following import Continued, following_of
from core.trace import Trace
from core.types import Followed, Retrieval, StepRecord, Way

WAYS: tuple[Way, ...] = get_args(Way)


@dataclass(frozen=True, slots=True)
class Chained:
    """What the stepper gets of it.

    images: [C] number of the picture that each chain comes from; arrays: see `chained`; offsets: [C] rows and columns
    from a patch to where it comes from.
    """

    images: tuple[int, ...]
    arrays: dict[str, Array]
    offsets: tuple[tuple[int, int], ...]


def chained(trace: Trace) -> Chained:
    """The chains of a trace as small arrays.

    near_way: of each shown neighbour 1 if it continues one of the patch to the left, 2 above, 3 both; near_chain: how
    many patches its chain has up to here; continuing: how many neighbours continue one; chain: number of the chain that
    leads at a step, -1 for none, and chain_size: how long it is there; chain_ends [C], chain_cells and chain_taken: the
    positions of each chain, one after the other, and whether its picture's code was taken there. follow: 1 + number of
    the way in which a look-up was answered, 0 where nothing was followed; not there for a run that follows nothing.
    """
    seen = following_of(trace)
    leading = [here.sizes[here.leading] if here.leading >= 0 else 0 for here in seen.continued]
    cells = [cell for chain in seen.chains for cell in chain.positions]
    taken = [same for chain in seen.chains for same in chain.taken]
    arrays: dict[str, Array] = {
        "near_way": _rows([here.ways for here in seen.continued]).astype(np.uint8),
        "near_chain": _rows([here.sizes for here in seen.continued]).astype(np.uint16),
        "continuing": np.array([_continuing(here) for here in seen.continued], np.uint16),
        "chain": seen.leading.astype(np.int16),
        "chain_size": np.array(leading, np.uint16),
        "chain_ends": np.cumsum([len(chain.positions) for chain in seen.chains], dtype=np.int32),
        "chain_cells": np.array(cells, np.uint16),
        "chain_taken": np.array(taken, np.uint8),
    }
    followed = [followed_at(step) for step in trace.steps]
    if any(followed):
        arrays["follow"] = np.array([0 if one is None else 1 + WAYS.index(one.way) for one in followed], np.uint8)
    return Chained(
        tuple(chain.image for chain in seen.chains), arrays, tuple(chain.offset for chain in seen.chains)
    )  # fmt: skip


def packed(chains: Chained, shown: Array) -> list[tuple[Any, ...]]:
    """Of each chain the place of its picture among those that are shown, and its offset."""
    places = np.searchsorted(shown, np.array(chains.images, np.int64)).tolist()
    return list(zip(places, chains.offsets, strict=True))


def followed_at(step: StepRecord) -> Followed | None:
    """What following did at a step, None where nothing was followed."""
    return step.retrieval.followed if isinstance(step.retrieval, Retrieval) else None


def _continuing(here: Continued) -> int:
    """How many neighbours of a position continue another one."""
    return int((here.ways > 0).sum())


def _rows(values: list[Any]) -> Array:
    """Values of the shown neighbours [n, SHOWN_NEIGHBOURS], 0 where there are fewer."""
    rows = np.zeros((len(values), SHOWN_NEIGHBOURS), np.int64)
    for row, here in zip(rows, values, strict=True):
        row[: min(len(here), SHOWN_NEIGHBOURS)] = here[:SHOWN_NEIGHBOURS]
    return rows
