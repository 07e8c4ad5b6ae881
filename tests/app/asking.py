"""Requests to the fake model, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from app.session import Session
from app.views import Asked, Update
from app.visits import Kept
from core.trace import Trace
from core.types import DecodeSettings

PROMPT = "a disc"
STRONG = {"seed": 3, "retrieval_weight": 0.8, "gate": 0}


def asked(settings: DecodeSettings, model: str = "fake", database: str = "all") -> Asked:
    return Asked(model, database, settings)


def defaults() -> Asked:
    return asked(DecodeSettings(n_neighbours=24, seed=3))


def last(updates: Iterator[Update]) -> Update:
    return list(updates)[-1]


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def first_run(session: Session, who: str) -> Kept:
    """The oldest run of a visitor."""
    return session.visits.find(who, session.visits.runs(who)[0].id)


def somebody(name: str = "ann") -> gr.Request:
    return gr.Request(session_hash=name)


def a_step(trace: Trace) -> int:
    """A position with neighbours at which retrieval changed the code."""
    return int(trace.flips()[0])


def uploaded(session: Session, name: str, data: bytes) -> Path:
    """A file that a visitor has uploaded, and that nobody has read yet."""
    upload = session.uploads.begin(len(data))
    upload.folder.mkdir(parents=True)
    (upload.folder / name).write_bytes(data)
    session.uploads.whole(upload)
    return upload.folder / name
