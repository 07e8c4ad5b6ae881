"""Who is here: tabs of browsers, and the visits that they belong to, each found again by a token of its browser."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

LIFE_SECONDS: Final = 15 * 60.0
"""How long a visit outlives the last contact of any of its tabs."""

MOST_VISITS: Final = 4000
"""At once; then those make room of which nothing is kept, and of those who have not been seen for longest."""

MOST_TABS: Final = 64
"""Remembered of one visit: every reload of a page is another tab."""

ROOM_SHARE: Final = 64
"""Of MOST_VISITS, this part makes room at once, so that a flood of newcomers does not sort all visits for each."""

TOKEN_BYTES, NAME_BYTES = 32, 9

logger = logging.getLogger(__name__)


def nothing_kept(visit: str) -> bool:
    """Of visits that keep nothing."""
    return False


@dataclass(slots=True)
class Visit:
    """One visit; name: whose things are whose on this server, which may stand in a log or a path; token: the secret by
    which a browser finds it again; seen: when one of its tabs was last heard of; tabs: those, the oldest first;
    begun: false for what comes after a visit that is over, until one of its tabs is back; address: of the network, from
    where it was last heard of."""

    seen: float
    name: str = field(default_factory=lambda: secrets.token_hex(NAME_BYTES))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(TOKEN_BYTES))
    tabs: dict[str, None] = field(default_factory=dict)
    begun: bool = False
    address: str = ""


class Visitors:
    """All visits. A visit is there while one of its tabs holds a stream open, and for LIFE_SECONDS after.

    ended: told the name of each visit that is over; keeps: whether anything is kept of the visit of a name; now:
    seconds of a clock that never goes back.
    """

    def __init__(
        self,
        ended: Callable[[str], None],
        keeps: Callable[[str], bool] = nothing_kept,
        now: Callable[[], float] = time.monotonic,
        most: int = MOST_VISITS,
    ) -> None:
        self._ended, self._keeps, self._now, self._most = ended, keeps, now, most
        self._by_token: dict[str, Visit] = {}
        self._by_tab: dict[str, Visit] = {}
        self._streams: Counter[str] = Counter()
        self._lock = threading.Lock()

    # -----------------------------------------------------------------------------------------------------------------
    # Contact

    def of(self, tab: str, address: str = "") -> str:
        """Name of the visit that a tab belongs to; a tab that never arrived gets one of its own. This is a contact."""
        with self._lock:
            visit = self._by_tab.get(tab)
            over = [] if visit else self._make_room()
            visit = visit or self._begin()
            visit.address = address
            name = self._join(tab, visit)
        self._tell(over)
        return name

    def address_of(self, name: str) -> str:
        """From where a visit was last heard of; the name itself for one that is over, or of no known address."""
        with self._lock:
            found = next((visit.address for visit in self._by_token.values() if visit.name == name), "")
        return found or name

    def arrive(self, tab: str, token: str) -> str:
        """A page has loaded, or is back: it joins the visit of its browser's token. Returns the token to keep.

        A token that is unknown, or of a visit that is over, gets that of the tab's own visit instead.
        """
        with self._lock:
            visit = self._by_token.get(token) or self._by_tab.get(tab)
            over = [] if visit else self._make_room()
            visit = visit or self._begin()
            self._join(tab, visit)
        self._tell(over)
        return visit.token

    @contextmanager
    def present(self, tab: str) -> Iterator[None]:
        """A tab holds a stream open, and is there for as long; that it is gone then is noted, nothing more."""
        with self._lock:
            self._streams[tab] += 1
            self._see(tab)
        try:
            yield
        finally:
            with self._lock:
                self._streams[tab] -= 1
                if not self._streams[tab]:
                    del self._streams[tab]
                self._see(tab)

    def is_present(self, tab: str) -> bool:
        """Whether a tab holds a stream open."""
        with self._lock:
            return tab in self._streams

    def names(self) -> tuple[str, ...]:
        """Of all visits that have begun."""
        with self._lock:
            return tuple(visit.name for visit in self._by_token.values() if visit.begun)

    def _see(self, tab: str) -> None:
        if visit := self._by_tab.get(tab):
            visit.seen = self._now()

    def _join(self, tab: str, visit: Visit) -> str:
        """Make a tab one of a visit; returns the name of that."""
        before = self._by_tab.get(tab)
        if before is not None and before is not visit:
            del before.tabs[tab]
        self._by_tab[tab] = visit
        visit.tabs[tab] = None
        visit.seen, visit.begun = self._now(), True
        closed = [each for each in visit.tabs if each not in self._streams and each != tab]
        for each in closed[: max(0, len(visit.tabs) - MOST_TABS)]:
            del visit.tabs[each], self._by_tab[each]
        return visit.name

    def _begin(self) -> Visit:
        visit = Visit(self._now())
        self._by_token[visit.token] = visit
        return visit

    # -----------------------------------------------------------------------------------------------------------------
    # The end

    def end(self, tab: str) -> None:
        """End the visit of a tab, whoever else is there; its token opens nothing more, and a new one begins."""
        with self._lock:
            visit = self._by_tab.get(tab)
            if visit is not None:
                self._remove([visit])
        self._tell([visit] if visit else [])

    def sweep(self) -> None:
        """End the visits that are over; what one of their tabs begins later, the others share."""
        with self._lock:
            last = self._now() - LIFE_SECONDS
            begun = [visit for visit in self._by_token.values() if visit.begun]
            over = [visit for visit in begun if visit.seen <= last and not self._is_here(visit)]
            self._remove(over)
            for visit in over:
                later = Visit(visit.seen, tabs=visit.tabs)
                self._by_token[later.token] = later
                self._by_tab |= dict.fromkeys(later.tabs, later)
        self._tell(over)

    def _make_room(self) -> Sequence[Visit]:
        """Before another visit begins; returns those that end for it."""
        if len(self._by_token) < self._most:
            return []
        leaving = sorted(
            self._by_token.values(), key=lambda visit: (self._keeps(visit.name), self._is_here(visit), visit.seen)
        )[: 1 + self._most // ROOM_SHARE]
        self._remove(leaving)
        return leaving

    def _is_here(self, visit: Visit) -> bool:
        return any(tab in self._streams for tab in visit.tabs)

    def _remove(self, visits: Sequence[Visit]) -> None:
        for visit in visits:
            del self._by_token[visit.token]
            for tab in visit.tabs:
                del self._by_tab[tab]

    def _tell(self, over: Sequence[Visit]) -> None:
        """Outside of the lock: what is told may take its time, and the failure of one is not that of the others."""
        for visit in over:
            if not visit.begun:
                continue
            try:
                self._ended(visit.name)
            except Exception:
                logger.exception("a visit could not be ended cleanly")
