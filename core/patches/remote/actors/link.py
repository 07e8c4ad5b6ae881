"""Calls to a database on Ray: a search goes to one actor of every part, and the answers are merged.

A part whose actors do not answer in time is left out, which `Neighbours.lost` tells; whoever did not answer is asked
again only when it has said hello. Nothing waits for longer than the limit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import ray
from ray.exceptions import RayError

from ....types import DatabaseError, Neighbours
from ...segments.ties import ordered
from ..served import NEAREST, SEARCH
from ..wire import Choice, Refused, WireError, numbers_of, pack, pack_found, text_of, unpack, unpack_found
from .cluster import MEMBER, actor_of, connect, members
from .part import Answer, Hello, overlap, ranges_in

SEARCH_SECONDS: Final = 2.0
QUERY_SECONDS: Final = 0.02
"""That a search may take, and how much more for each of its queries."""

OTHER_SECONDS: Final = 10.0
HELLO_SECONDS: Final = 30.0
ASK_AGAIN_SECONDS: Final = 0.5
ONE_WAVE: Final = 4
"""Parts that are asked at the same time; of more, a quarter goes first, and its k-th distance is handed on."""

Views = dict[str, tuple[bytes, tuple[int, ...]]]


@dataclass(slots=True)
class Member:
    """One actor. part: which part it has; probe: a hello that it has not answered yet, after it failed."""

    name: str
    part: int
    actor: Any
    probe: Any = None
    probed: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def healthy(self) -> bool:
        """Whether it can be asked: it has not failed, or has said hello since then."""
        if self.probe is None:
            return True
        with self.lock:
            if self.probe is not None and self._answered():
                self.probe = None
            return self.probe is None

    def fail(self) -> None:
        """It did not answer: ask it nothing until it has said hello."""
        with self.lock:
            if self.probe is None:
                self._greet()

    def _answered(self) -> bool:
        """Whether the hello was answered; another one is sent where it failed."""
        if self.actor is not None:
            ready, _ = ray.wait([self.probe], timeout=0)
            if not ready:
                return False
            try:
                told: Hello = ray.get(ready[0])
                if not told.failed:
                    return True
            except RayError:
                pass
        if time.monotonic() - self.probed > ASK_AGAIN_SECONDS:
            self._greet()
        return False

    def _greet(self) -> None:
        """Send a hello, to whoever has the name now."""
        self.actor, self.probed = actor_of(self.name), time.monotonic()
        self.probe = self.actor.hello.remote() if self.actor is not None else object()


class RayLink:
    """Calls to the actors of one database. Safe to share between threads."""

    def __init__(self, name: str, cluster: str = "", seconds: float = SEARCH_SECONDS) -> None:
        self.where = f"ray://{name}" + (f"@{cluster}" if cluster else "")
        self._seconds, self._turn, self._lock = seconds, 0, threading.Lock()
        connect(cluster)
        found = [(one, MEMBER.fullmatch(one)) for one in members(name)]
        self._members = [Member(one, int(match[2]), actor_of(one)) for one, match in found if match]
        if not self._members:
            got = "got no actors of that name"
            raise DatabaseError(f"{self.where}: {got}, expected a database that `database serve --ray` has started")
        hello = self._hello()
        self._shares, self._fingerprint = hello.shares, hello.fingerprint
        self._views: Views = {"": (b"", tuple(share.images for share in hello.shares))}

    # -- calls ----------------------------------------------------------------------------------------------------

    def ask(self, call: str, body: bytes, of: str = "") -> bytes:
        """See `links.Link`."""
        if call == "search":
            return self._search(body, of)
        data = self._one(call, body, of, self._choice_of(call, body))
        if call == "keep":
            self._learn(Choice.read(body))
        return data

    def _choice_of(self, call: str, body: bytes) -> bytes:
        """The choice of the view that a call names, b"" for none, or for one that is not known here."""
        if call not in ("describe", "nearest"):
            return b""
        name = body.decode("ascii", "replace") if call == "describe" else text_of(unpack(body, NEAREST)["said"])["view"]
        with self._lock:
            return self._views.get(name, (b"", ()))[0]

    def _learn(self, choice: Choice) -> None:
        """Find out how many images of a view each part has."""
        if choice.styles:
            described = self._one("describe", choice.id.encode(), self._fingerprint, choice.said)
            ranges = ranges_in(_images(described))
        else:
            ranges = choice.ranges or ()
        counts = tuple(overlap(share.ranges, ranges) for share in self._shares)
        with self._lock:
            self._views[choice.id] = (choice.said, counts)
            while len(self._views) > 256:
                del self._views[next(name for name in self._views if name)]

    def _one(self, call: str, body: bytes, of: str, choice: bytes = b"") -> bytes:
        """The answer of whichever actor answers first, asked one after the other.

        choice: that of the view that is named, for one that does not know it.
        """
        until = time.monotonic() + OTHER_SECONDS
        for number, member in enumerate(self._in_turn()):
            left = until - time.monotonic()
            share = left if number + 1 == len(self._members) else left / 2
            answer = _got(member.actor.answer.remote(call, body, of), share)
            if answer is not None and answer.kind == "view" and choice:
                answer = _got(member.actor.answer.remote(call, body, of, choice), share)
            if answer is not None and answer.status != 503:
                return _data(answer)
            member.fail()
        raise self._nobody(OTHER_SECONDS)

    def _in_turn(self) -> list[Member]:
        """All members that can be asked, beginning with another one each time."""
        with self._lock:
            self._turn += 1
            turn = self._turn
        healthy = [member for member in self._members if member.healthy]
        return [healthy[(turn + n) % len(healthy)] for n in range(len(healthy))]

    def _hello(self) -> Hello:
        """What the first one that answers says of the database."""
        asked = {member.actor.hello.remote(): member for member in self._members if member.actor is not None}
        waiting, until, failed = list(asked), time.monotonic() + HELLO_SECONDS, ""
        while waiting:
            ready, waiting = ray.wait(waiting, timeout=max(0.0, until - time.monotonic()))
            if not ready:
                break
            try:
                told: Hello = ray.get(ready[0])
            except RayError:
                asked[ready[0]].fail()
                continue
            if not told.failed:
                return told
            failed = f"{told.failed} (on {told.place})"
        raise DatabaseError(failed) if failed else self._nobody(HELLO_SECONDS)

    def _nobody(self, seconds: float) -> DatabaseError:
        """What is told when none of the actors answers."""
        got = f"got no answer of any of {len(self._members)} actors in {seconds:g} s"
        return DatabaseError(f"{self.where}: {got}, expected one; see `ray status`, or serve it anew")

    # -- search ---------------------------------------------------------------------------------------------------

    def _search(self, body: bytes, of: str) -> bytes:
        """Neighbours of a batch in all parts that have images of the view."""
        try:
            arrays = unpack(body, SEARCH)
            said = text_of(arrays["said"])
        except WireError as error:
            raise Refused(400, str(error)) from None
        with self._lock:
            view = self._views.get(said["view"])
        if view is None:
            raise Refused(409, "view: it is not known here (any more); send its choice again", "view")
        asked = [part for part, count in enumerate(view[1]) if count]
        queries = len(arrays["queries"])
        gather = Gather(self._members, of, view[0], self._seconds + QUERY_SECONDS * queries, queries)
        first = asked if len(asked) <= ONE_WAVE else asked[: -(-len(asked) // 4)]
        found = gather.ask(first, body)
        if len(first) < len(asked):
            bounds = np.array([_kth(near, said["k"]) for near in merged(found, said["k"], queries)], np.float32)
            found += gather.ask(asked[len(first) :], pack(**{**arrays, "bounds": bounds}))
        if asked and len(gather.lost) == len(asked):
            raise self._nobody(gather.seconds)
        lost = sum(view[1][part] for part in gather.lost) / max(1, sum(view[1]))
        return pack_found(merged(found, said["k"], queries, lost))


class Gather:
    """One search, over as many waves as it takes. lost: parts that did not answer."""

    def __init__(self, members: Sequence[Member], of: str, choice: bytes, seconds: float, queries: int) -> None:
        self._of, self._choice, self._queries = of, choice, queries
        self.seconds, self._until = seconds, time.monotonic() + seconds
        self._of_part: dict[int, list[Member]] = {}
        for member in members:
            self._of_part.setdefault(member.part, []).append(member)
        self.lost: list[int] = []

    def ask(self, parts: Sequence[int], body: bytes) -> list[list[Neighbours]]:
        """The answers of those parts that answer."""
        left = {part: self._healthy(part) for part in parts}
        waiting: dict[Any, tuple[int, Member]] = {}
        found: dict[int, list[Neighbours]] = {}
        half, hedged = time.monotonic() + (self._until - time.monotonic()) / 2, False
        for part in parts:
            self._next(part, left, waiting, body)
        while waiting and len(found) < len(parts) and (now := time.monotonic()) < self._until:
            if now >= half and not hedged:  # another actor of these parts may be faster
                hedged = True
                for part in [part for part in parts if part not in found]:
                    self._next(part, left, waiting, body)
            wanted, ends = (1, self._until) if hedged else (len(waiting), half)  # usually one call for all
            ready, _ = ray.wait(list(waiting), num_returns=wanted, timeout=max(0.0, ends - now))
            for one, answer in zip(ready, _read(ready), strict=True):
                self._take(one, answer, left, waiting, body, found)
        for part, member in waiting.values():
            if part not in found:
                member.fail()
        self.lost += [part for part in parts if part not in found]
        return list(found.values())

    def _healthy(self, part: int) -> list[Member]:
        """Actors of a part that can be asked, in an order by chance so that replicas share the work."""
        own = [member for member in self._of_part.get(part, []) if member.healthy]
        turn = time.monotonic_ns() // 1000 % len(own) if own else 0
        return own[turn:] + own[:turn]

    def _next(
        self, part: int, left: dict[int, list[Member]], waiting: dict[Any, tuple[int, Member]], body: bytes
    ) -> None:
        """Ask another actor of a part, if there is one."""
        if left[part]:
            member = left[part].pop(0)
            waiting[member.actor.answer.remote("search", body, self._of)] = (part, member)

    def _take(
        self,
        one: Any,
        answer: Answer | None,
        left: dict[int, list[Member]],
        waiting: dict[Any, tuple[int, Member]],
        body: bytes,
        found: dict[int, list[Neighbours]],
    ) -> None:
        """What has come: an answer, a view that is not known there, or a failure, for which another one is asked."""
        part, member = waiting.pop(one)
        if answer is not None and answer.kind == "view" and self._choice:
            again = member.actor.answer.remote("search", body, self._of, self._choice)
            waiting[again] = (part, member)
        elif answer is None or answer.status == 503:
            member.fail()
            if part not in found and not any(part == other for other, _ in waiting.values()):
                self._next(part, left, waiting, body)
        elif part not in found:
            found[part] = unpack_found(_data(answer), self._queries)


def _got(one: Any, seconds: float) -> Answer | None:
    """An answer that comes in time; None for none, and for an actor that has died."""
    ready, _ = ray.wait([one], timeout=seconds)
    return _read(ready)[0] if ready else None


def _read(ones: Sequence[Any]) -> list[Answer | None]:
    """Answers that are there, all at once where that can be; None for each from an actor that has died."""
    try:
        return list(ray.get(list(ones)))
    except RayError:
        return [None] if len(ones) == 1 else [answer for one in ones for answer in _read([one])]


def _data(answer: Answer) -> bytes:
    """What an answer brings; Refused where it does not."""
    if answer.status != 200:
        raise Refused(answer.status, answer.reason, answer.kind)
    return answer.data


def _kth(near: Neighbours, k: int) -> float:
    """The k-th distance, beyond which nothing is wanted."""
    return float(near.distances[k - 1]) if 0 < k <= len(near) else np.inf


def _images(described: bytes) -> Any:
    """Numbers of the images of a description."""
    return numbers_of(unpack(described, {"said": ("|u1", 1), "ranges": ("<i8", 2)})["ranges"])


def merged(found: Sequence[Sequence[Neighbours]], k: int, queries: int, lost: float = 0.0) -> list[Neighbours]:
    """For each query the k first (0: all) of what the parts found, by distance and tie rank."""
    return [_merged([part[query] for part in found], k, lost) for query in range(queries)]


def _merged(parts: Sequence[Neighbours], k: int, lost: float) -> Neighbours:
    if not parts:
        return Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64), lost=lost)
    distances = np.concatenate([near.distances for near in parts])
    entries = np.concatenate([near.entries for near in parts])
    codes = np.concatenate([near.codes for near in parts])
    first = ordered(distances, entries, k or len(entries)) if len(entries) else np.zeros(0, np.int64)
    return Neighbours(codes[first], distances[first], entries[first], lost=lost)
