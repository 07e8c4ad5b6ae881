"""Fixtures that several kinds of tests share."""

from __future__ import annotations

import pytest
import torch

from core.backends.emoji import EmojiBackend
from core.database import PatchDatabase
from tests.tiny import tiny_backend, tiny_database

torch.set_num_threads(1)  # two threads on a shared machine are slower than one, and results do not depend on it


@pytest.fixture(scope="session")
def backend() -> EmojiBackend:
    """The embedded model at a tiny size, random."""
    return tiny_backend()


@pytest.fixture(scope="session")
def database(backend: EmojiBackend) -> PatchDatabase:
    """A small database for the tiny model."""
    return tiny_database(backend)
