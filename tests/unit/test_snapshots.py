"""What models know of pictures is kept within bounds, fairly, and for a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.snapshots import Snapshots
from core.types import IntArray


@dataclass(frozen=True)
class Fake:
    nbytes: int


def numbers(*codes: int) -> IntArray:
    return np.array(codes, np.int64)


def keep(store: Snapshots, owner: str, first: int, nbytes: int = 10, spare: bool = False) -> None:
    """A snapshot of two codes, the first of which tells it from others."""
    store.of(owner).about("way").keep(numbers(first, 7), nbytes, lambda: Fake(nbytes), spare)


def known(store: Snapshots, owner: str) -> list[int]:
    """First codes of what is kept of an owner."""
    return [first for first in range(9) if store.of(owner).about("way").knows(numbers(first, 7)) == 2]


def test_the_longest_common_beginning_counts_and_only_of_the_same_owner_and_way() -> None:
    store = Snapshots(100)
    ann = store.of("ann").about("way")
    ann.keep(numbers(1, 2, 3, 4), 5, lambda: Fake(5), False)
    ann.keep(numbers(1, 2, 9), 6, lambda: Fake(6), False)
    assert [ann.knows(numbers(*codes)) for codes in ((1, 2, 3, 8, 8), (1, 2, 9, 1), (1, 2), (4, 2), ())] == [
        3,
        3,
        2,
        0,
        0,
    ]
    assert ann.recall(numbers(1, 2, 9, 1)) == (Fake(6), 3)
    assert ann.recall(numbers(5)) is None
    assert store.of("bob").about("way").knows(numbers(1, 2)) == 0
    assert store.of("ann").about("another way").knows(numbers(1, 2)) == 0


def test_what_is_known_is_not_made_again_and_less_of_the_same_is_freed() -> None:
    store, made = Snapshots(100), list[int]()
    ann = store.of("ann").about("way")

    def make(nbytes: int) -> Fake:
        made.append(nbytes)
        return Fake(nbytes)

    for codes, nbytes in (((1, 2), 10), ((1, 2), 11), ((1,), 12), ((1, 2, 3), 13), ((2,), 0)):
        ann.keep(numbers(*codes), nbytes, lambda nbytes=nbytes: make(nbytes), False)  # type: ignore[misc]
    assert made == [10, 13]
    assert store.nbytes == 13


def test_an_owners_own_make_room_those_first_that_were_of_no_use_for_longest() -> None:
    store = Snapshots(30)
    for first in (1, 2, 3):
        keep(store, "ann", first)
    store.of("ann").about("way").recall(numbers(1, 7))
    keep(store, "ann", 4)
    assert known(store, "ann") == [1, 3, 4]
    keep(store, "ann", 5, spare=True)
    keep(store, "ann", 6, nbytes=31)
    assert known(store, "ann") == [1, 3, 4]


def test_nobody_loses_what_is_within_their_share_to_somebody_else() -> None:
    store = Snapshots(40)
    for first in range(4):
        keep(store, "ann", first)
    for first in range(5):
        keep(store, "bob", first)
    assert (known(store, "ann"), known(store, "bob")) == ([2, 3], [3, 4])
    keep(store, "cat", 1)  # a third of 40 is enough for one: of the two others, who hold more, whoever comes first
    keep(store, "cat", 2)
    assert [len(known(store, owner)) for owner in ("ann", "bob", "cat")] == [1, 2, 1]
    assert known(store, "cat") == [2]
    keep(store, "dan", 1)
    keep(store, "eve", 1)  # a fifth is too little for one, and nobody goes without for it
    assert [len(known(store, owner)) for owner in ("ann", "bob", "cat", "dan", "eve")] == [1, 1, 1, 1, 0]


def test_what_is_of_no_use_goes_after_a_time_and_what_is_forgotten_at_once() -> None:
    now = [0.0]
    store = Snapshots(100, seconds=60, clock=lambda: now[0])
    assert store.expire() is None
    keep(store, "ann", 1)
    keep(store, "bob", 1)
    now[0] = 50
    store.of("ann").about("way").recall(numbers(1, 7))
    assert store.expire() == 10
    now[0] = 60
    assert store.expire() == 50
    assert (known(store, "ann"), known(store, "bob")) == ([1], [])
    store.forget("ann")
    assert store.nbytes == 0
