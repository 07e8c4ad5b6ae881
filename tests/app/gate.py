"""A hold on the fake model, so that a test knows how far a drawing has come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.decoding.scheduler import Scheduler
from app.session import Session
from tests.app.asking import wait_until
from tests.app.fake import FakeDecoding


class Gate:
    """What each pass of the model waits at while it is closed."""

    def __init__(self) -> None:
        self._open, self._passes = threading.Event(), threading.Semaphore(0)
        self._open.set()

    def close(self) -> None:
        """From now on, only those pass that are given a pass."""
        self._open.clear()

    def open(self) -> None:
        """Everybody passes."""
        self._open.set()

    def give(self, passes: int) -> None:
        """So many may pass."""
        self._passes.release(passes)

    def wait(self) -> None:
        """Pass."""
        while not self._open.is_set() and not self._passes.acquire(timeout=0.005):
            pass

    @contextmanager
    def held(self, session: Session, batches: int = 1) -> Iterator[None]:
        """Inside, so many batches of what is under way have come to their first code, and do not come far."""
        assert isinstance(session.decoder, Scheduler)
        under_way = session.decoder._batches
        try:
            wait_until(lambda: len(under_way) == batches)
            self.give(4 * batches)
            wait_until(lambda: all(any(batch.had) for batch in list(under_way.values())))
            yield
        finally:
            self.open()


def gate_of(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """The gate of the fake model, which is open."""
    gate, logits = Gate(), FakeDecoding.logits

    def at_the_gate(self: FakeDecoding, *more: object) -> object:
        gate.wait()
        return logits(self, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeDecoding, "logits", at_the_gate)
    return gate
