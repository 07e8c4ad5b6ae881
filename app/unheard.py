"""Answers that nobody fetches: who asks and never listens would have Gradio keep what it says to them for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gradio.queueing import Queue

SECONDS: Final = 120.0
"""How long an answer waits for who asked."""

MOST_SESSIONS: Final = 20_000
"""That may have something to hear. Of 2,000, Gradio's own bound, newcomers would take the place of those who wait."""


class Unheard:
    """What Gradio's queue has for sessions that do not listen. listens: whether a session does."""

    def __init__(self, queue: Queue, listens: Callable[[str], bool], now: Callable[[], float] = time.monotonic) -> None:
        self._queue, self._listens, self._now = queue, listens, now
        self._since: dict[str, float] = {}
        queue.pending_messages_per_session.max_size = MOST_SESSIONS

    def sweep(self) -> None:
        """Drop what has been waiting for too long."""
        queue, now = self._queue, self._now()
        sessions = {*queue.pending_messages_per_session, *queue.pending_event_ids_session}
        waiting = {session for session in sessions if not (self._listens(session) or self._is_under_way(session))}
        self._since = {session: self._since.get(session, now) for session in waiting}
        for session, since in self._since.items():
            if now - since >= SECONDS:
                queue.pending_messages_per_session.pop(session, None)
                queue.pending_event_ids_session.pop(session, None)

    def _is_under_way(self, session: str) -> bool:
        """Whether there is more to be said to a session."""
        events = self._queue.pending_event_ids_session.get(session, ())
        return any(event in self._queue.event_ids_to_events for event in events)
