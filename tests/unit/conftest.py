"""Traces that the tiny model drew, which several kinds of tests look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.backends.emoji.backend import EmojiBackend
from core.engine import decode
from core.patches.database import PatchDatabase
from core.trace import Trace, neighbours
from core.types import Change
from tests.traces import FAID, SETTINGS, traced


@pytest.fixture(scope="session")
def trace(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    """A run with DAiD."""
    return traced(backend, database, SETTINGS)


@pytest.fixture(scope="session")
def blended(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    """A run with FAiD, which recorded its counterfactual logits."""
    return traced(backend, database, FAID)


@pytest.fixture
def saved(trace: Trace, tmp_path: Path) -> Path:
    """The file of the run with DAiD."""
    trace.save(tmp_path / "run.npz")
    return tmp_path / "run.npz"


@pytest.fixture(scope="session")
def changed(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    """Given codes, then DAiD, a neighbour dropped, FAiD from position 30 on, and a code that was chosen."""
    start = replace(SETTINGS, faid_neighbours=5)
    plain = traced(backend, database, start)
    found = neighbours(plain.steps[20])
    assert found is not None
    changes = [
        Change(20, weights=((int(found.entries[0]), 0.0), (int(found.entries[1]), 2.5))),
        Change(30, settings=FAID),
        Change(40, code=9),
        Change(50, settings=replace(FAID, record_unblended=False)),
    ]
    given = plain.codes[:10].tolist()
    records = [step[0] for step in decode(backend, database, ["a red heart"], start, changes, given)]
    return Trace.record(backend, database, "a red heart", start, records, changes, 10)
