"""Fixtures that several tests of the page share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.session import Session
from tests.app.fake import FakeBackend, fake_database
from tests.app.serving import served


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Address of a page over the fake model that draws at once."""
    with served(pause=0.0) as address:
        yield address


@pytest.fixture(scope="module")
def session() -> Session:
    """A session over the fake model and a database of twelve pictures."""
    backend = FakeBackend()
    return Session({"fake": backend}, {"all": fake_database(backend, images=12)})
