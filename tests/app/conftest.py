"""Fixtures that several tests of the page share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from app.session import Session
from core.trace import Trace
from tests.app.asking import PROMPT, STRONG
from tests.app.serving import served
from tests.app.stocked import stock


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Address of a page over the fake model that draws at once."""
    with served(pause=0.0) as address:
        yield address


@pytest.fixture(scope="module")
def session() -> Session:
    """A session over the fake model with small pictures, and a database of twelve."""
    return Session.over(stock())


@pytest.fixture(scope="module")
def slow() -> Session:
    """The same with a model that takes a second for a picture, so that there is time to stop one."""
    return Session.over(stock(pause=0.016))


@pytest.fixture(scope="module")
def client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    connected = Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def strong(client: Client) -> dict[str, Any]:
    """A run in which retrieval says a lot, with its trace."""
    run: dict[str, Any] = client.predict(PROMPT, settings=STRONG, trace=True, api_name="/generate")[0]
    return run


@pytest.fixture(scope="module")
def traced(strong: dict[str, Any]) -> Trace:
    return Trace.load(Path(strong["trace"]))
