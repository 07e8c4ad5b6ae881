"""What Gradio has to say to somebody who does not listen."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from gradio.queueing import Queue
from gradio.utils import LRUCache

from app.unheard import MOST_SESSIONS, SECONDS, Unheard


@pytest.fixture
def queue() -> Queue:
    """A queue with answers for two sessions, one of which has asked for more, and one that was never heard of again."""
    made = Mock(Queue)
    made.pending_messages_per_session = LRUCache(2000)
    made.pending_messages_per_session |= {"done": "an answer", "busy": "an answer", "here": "an answer"}
    made.pending_event_ids_session = {"done": {"1"}, "busy": {"2", "3"}, "here": {"4"}, "old": {"5"}}
    made.event_ids_to_events = {"3": Mock()}
    return made


def test_an_answer_waits_for_a_while_and_as_long_as_there_is_more_to_come(queue: Queue) -> None:
    now = [0.0]
    unheard = Unheard(queue, {"here"}.__contains__, lambda: now[0])
    assert queue.pending_messages_per_session.max_size == MOST_SESSIONS
    unheard.sweep()
    now[0] = SECONDS - 1
    unheard.sweep()
    assert sorted(queue.pending_messages_per_session) == ["busy", "done", "here"]
    queue.event_ids_to_events.clear()
    now[0] = SECONDS
    unheard.sweep()
    assert sorted(queue.pending_messages_per_session) == ["busy", "here"]
    assert sorted(queue.pending_event_ids_session) == ["busy", "here"]
    now[0] = 2 * SECONDS
    unheard.sweep()
    assert list(queue.pending_messages_per_session) == list(queue.pending_event_ids_session) == ["here"]
