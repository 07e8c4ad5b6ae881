"""Fixtures that several tests of the page share."""

from __future__ import annotations

import pytest

from app.session import Session
from tests.app.fake import FakeBackend, fake_database


@pytest.fixture(scope="module")
def session() -> Session:
    """A session over the fake model and a database of twelve pictures."""
    backend = FakeBackend()
    return Session({"fake": backend}, {"all": fake_database(backend, images=12)})
