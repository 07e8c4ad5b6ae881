"""What a model knows of pictures that were drawn, kept in memory so that others can go on from them at once.

A model that is slow to read codes hands out snapshots (`core.backends.protocol.Resumable`), as large as its cache: so
there is a bound for all, a share for each owner, and an end to how long they are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from .backends.complete import resumable
from .backends.protocol import Decoding, Resumable, Snapshot
from .types import IntArray

MOST_BYTES: Final = 2**30
"""Of all snapshots together. One picture of Janus-Pro-1B with guidance takes 0.24 GB in bfloat16, 0.48 in float32."""

KEPT_SECONDS: Final = 15 * 60.0
"""Since it was made, or a picture last went on from it."""


@dataclass(slots=True, eq=False)
class _Kept:
    """A snapshot with whose it is, how its model ran, the codes [n] that it knows, and when it was last of use."""

    owner: str
    key: Hashable
    codes: IntArray
    snapshot: Snapshot
    used: float

    def shared(self, key: Hashable, codes: IntArray) -> int:
        """How many of the first codes [n] it knows, of a model that runs in the same way."""
        if key != self.key:
            return 0
        count = min(len(codes), len(self.codes))
        differs = np.flatnonzero(codes[:count] != self.codes[:count])
        return int(differs[0]) if len(differs) else count


class Snapshots:
    """Snapshots of several owners, for one thread.

    most: bytes of all together. Where that is too little for another one, its owner's own make room, those first that
    were of no use for longest; somebody else's only if they hold more than an equal share. seconds: how long those are
    kept that are of no use.
    """

    def __init__(
        self, most: int = MOST_BYTES, seconds: float = KEPT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._kept: list[_Kept] = []  # those that were of use last come last

    @property
    def nbytes(self) -> int:
        """Memory of all of them."""
        return sum(kept.snapshot.nbytes for kept in self._kept)

    def of(self, owner: str) -> Memory:
        """The part that somebody may go on from."""
        return Memory(self, owner)

    def recall(self, owner: str, key: Hashable, codes: IntArray) -> tuple[Snapshot, int] | None:
        """See `Memory.recall`."""
        if (found := self._find(owner, key, codes)) is None:
            return None
        self._touch(found[0])
        return found[0].snapshot, found[1]

    def knows(self, owner: str, key: Hashable, codes: IntArray) -> int:
        """See `Memory.knows`."""
        found = self._find(owner, key, codes)
        return found[1] if found else 0

    def keep(
        self, owner: str, key: Hashable, codes: IntArray, nbytes: int, make: Callable[[], Snapshot], spare: bool
    ) -> None:
        """See `Memory.keep`."""
        found = self._find(owner, key, codes)
        if found and found[1] == len(codes):
            self._touch(found[0])
            return
        if found and found[1] == len(found[0].codes):
            self._kept.remove(found[0])
        if nbytes and len(codes) and self._make_room(owner, nbytes, spare):
            self._kept.append(_Kept(owner, key, codes.copy(), make(), self._clock()))

    def forget(self, owner: str) -> None:
        """Free all of an owner."""
        self._kept = [kept for kept in self._kept if kept.owner != owner]

    def expire(self) -> float | None:
        """Free what was of no use for too long; seconds until the next one will have been, None without any."""
        oldest = self._clock() - self._seconds
        self._kept = [kept for kept in self._kept if kept.used > oldest]
        return min((kept.used - oldest for kept in self._kept), default=None)

    def _find(self, owner: str, key: Hashable, codes: IntArray) -> tuple[_Kept, int] | None:
        """The one that knows most of the codes [n], and how many; None where none knows any."""
        found = [(kept.shared(key, codes), kept) for kept in self._kept if kept.owner == owner]
        shared, best = max(found, key=lambda one: one[0], default=(0, None))
        return (best, shared) if best is not None and shared else None

    def _touch(self, kept: _Kept) -> None:
        """It is of use again."""
        kept.used = self._clock()
        self._kept.remove(kept)
        self._kept.append(kept)

    def _make_room(self, owner: str, nbytes: int, spare: bool) -> bool:
        """Whether there is room for so many bytes more of an owner; spare: only such as nothing has to go for."""
        going: list[_Kept] = []
        while self.nbytes - _size(going) + nbytes > self._most:
            next_one = None if spare else self._next(owner, nbytes, going)
            if next_one is None:
                return False
            going.append(next_one)
        self._kept = [kept for kept in self._kept if kept not in going]
        return True

    def _next(self, owner: str, nbytes: int, going: Sequence[_Kept]) -> _Kept | None:
        """What is next to go."""
        left = [kept for kept in self._kept if kept not in going]
        share = self._most / len({owner, *(kept.owner for kept in left)})
        held = {name: _size([kept for kept in left if kept.owner == name]) for name in {kept.owner for kept in left}}
        if held.get(owner, 0) + nbytes > share:
            return next((kept for kept in left if kept.owner == owner), None)
        return next((kept for kept in left if held[kept.owner] > share), None)


@dataclass(frozen=True, slots=True)
class Memory:
    """The snapshots of one owner.

    key: how a model runs, and on what, see `about`; codes: the first ones [n] of a picture.
    """

    snapshots: Snapshots
    owner: str
    key: Hashable = None

    def about(self, key: Hashable) -> Memory:
        """What is known of a model that runs in one way."""
        return replace(self, key=key)

    def knows(self, codes: IntArray) -> int:
        """How many of the first codes need not be read."""
        return self.snapshots.knows(self.owner, self.key, codes)

    def recall(self, codes: IntArray) -> tuple[Snapshot, int] | None:
        """The snapshot that knows most of the codes, and how many of the first ones; it counts as used."""
        return self.snapshots.recall(self.owner, self.key, codes)

    def keep(self, codes: IntArray, nbytes: int, make: Callable[[], Snapshot], spare: bool) -> None:
        """Keep what `make` makes, of so many bytes, which knows the codes; nothing where there is no room.

        What is known already is not made, and one that knows less of the same is freed. spare: nothing else is to make
        room.
        """
        self.snapshots.keep(self.owner, self.key, codes, nbytes, make, spare)


def resume(decoding: Decoding, pasts: Sequence[Memory | None], codes: IntArray) -> bool:
    """Go on from what is remembered of the B rows of a new decoding, whose first codes are [B, n]; False where nothing
    is remembered of one of them, or the model cannot."""
    able = resumable(decoding)
    found = [past.recall(own) if past else None for past, own in zip(pasts, codes, strict=True)] if able else []
    known = [one for one in found if one is not None]
    if able is None or len(known) < len(codes):
        return False
    able.resume([snapshot for snapshot, _ in known], codes, min(count for _, count in known))
    return True


@contextmanager
def remembered(decoding: Decoding, pasts: Sequence[Memory | None], codes: IntArray) -> Iterator[None]:
    """Keeps what a decoding knows of its rows at the end, or when it is left, but not after an error.

    codes: [B, S] those that are appended meanwhile, at their positions. Of rows of one owner only what there is room
    for is kept: they are not to drive out what they went on from.
    """
    able = resumable(decoding)
    try:
        yield
    except GeneratorExit:
        _remember(able, pasts, codes)
        raise
    _remember(able, pasts, codes)


def _remember(able: Resumable | None, pasts: Sequence[Memory | None], codes: IntArray) -> None:
    if able is None:
        return
    for row, past in enumerate(pasts):
        if past is not None:
            spare = [other.owner for other in pasts if other].count(past.owner) > 1
            past.keep(codes[row, : able.appended], able.snapshot_bytes(), partial(able.snapshot, row), spare)


def _size(some: Sequence[_Kept]) -> int:
    return sum(kept.snapshot.nbytes for kept in some)
