"""Requests to the fake model, and what comes of them."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from app.views import Asked, Update
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


def somebody(name: str = "ann") -> gr.Request:
    return gr.Request(session_hash=name)


def a_step(trace: Trace) -> int:
    """A position with neighbours at which retrieval changed the code."""
    return int(trace.flips()[0])
