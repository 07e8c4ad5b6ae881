"""What a view of a database remembers of its answers."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from ..types import Neighbours


class Cache:
    """Least recently used neighbours, bounded by how many are held in all; safe between threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._items: OrderedDict[tuple[object, ...], Neighbours] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: tuple[object, ...]) -> Neighbours | None:
        """What was remembered under that name, if it still is."""
        with self._lock:
            if name in self._items:
                self._items.move_to_end(name)
            return self._items.get(name)

    def answers(
        self, names: Sequence[tuple[object, ...]], find: Callable[[list[int]], Sequence[Neighbours]]
    ) -> list[Neighbours]:
        """The answer under each name; find gives those of the rows that nothing is remembered of, each name once.

        What a part of the database is missing from is not remembered.
        """
        found = {name: near for name in set(names) if (near := self.get(name)) is not None}
        rows = {name: row for row, name in enumerate(names) if name not in found}
        if rows:
            for name, near in zip(rows, find(list(rows.values())), strict=True):
                found[name] = near
                if not near.lost:
                    self.put(name, near)
        return [found[name] for name in names]

    def put(self, name: tuple[object, ...], neighbours: Neighbours) -> None:
        """Remember, and forget the oldest until everything fits; what is too large alone is not kept."""
        with self._lock:
            if name in self._items or _cost(neighbours) > self._capacity:
                return
            self._items[name] = neighbours
            self._held += _cost(neighbours)
            while self._held > self._capacity:
                self._held -= _cost(self._items.popitem(last=False)[1])


def _cost(neighbours: Neighbours) -> int:
    """What remembering them counts as; one more than their number, so that empty answers are bounded too."""
    return len(neighbours) + 1
