"""Fixtures that several kinds of tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from hypothesis import settings

from core.backends.emoji.backend import EmojiBackend
from core.engine import decode
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.types import DecodeSettings
from tests.as_installed import rename
from tests.browser.chromium import FLAGS, NAME, find_chromium
from tests.tiny import tiny_backend, tiny_database

# no deadline, because machines are noisy; in continuous integration the same examples every time
settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("project")
rename()
JANUS = (
    "unit/test_janus.py", "unit/test_janus_resuming.py", "unit/test_sizes.py", "unit/test_judging_models.py",
    "unit/test_seeing_models.py", "reference/test_janus.py",
)  # fmt: skip
collect_ignore = [] if find_spec("transformers") else list(JANUS)
THREADS = os.environ.get("OMP_NUM_THREADS", "1")  # two on a shared machine are slower than one
torch.set_num_threads(int(THREADS))
os.environ.setdefault("ARRAG_THREADS", THREADS)  # else whatever loads a model that does not ship takes all processors


def pytest_report_header() -> str:
    """What is not tested here, said aloud."""
    return "Janus is not tested: there is no transformers, which needs Python 3.11" if collect_ignore else ""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium, one for all tests of a process, which can have no more; it takes NAME for this machine."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # only where there are browser tests

    rules = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_chromium(), args=[*FLAGS, rules])
        yield started
        started.close()


@pytest.fixture(scope="session")
def backend() -> EmojiBackend:
    """The embedded model at a tiny size, random."""
    return tiny_backend()


@pytest.fixture(scope="session")
def database(backend: EmojiBackend) -> PatchDatabase:
    """A small database for the tiny model."""
    return tiny_database(backend)


@pytest.fixture(scope="session")
def copied_trace(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    """A run of the tiny model that takes nearly everything from one or two pictures, cell by cell."""
    chosen = DecodeSettings(
        temperature=1.0, top_p=1.0, retrieval_weight=0.95, gate=0.0, n_neighbours=9, position_weight=0.5,
        caption_filter=2,
    )  # fmt: skip
    records = [step[0] for step in decode(backend, database, ["a red heart"], chosen)]
    return Trace.record(backend, database, "a red heart", chosen, records)
