"""Small pictures, for tests that draw many; a module of little, as decoding processes of the tests import it anew."""

from __future__ import annotations

from app.library import Library
from core.types import Grid
from tests.app.fake import FakeBackend, fake_database

SIDE = 8
PATCHES = SIDE * SIDE
"""Of a small picture."""


def stock(pause: float = 0.0, side: int = SIDE) -> Library:
    """The fake model, which draws side x side codes of `pause` seconds each, with twelve pictures to look up."""
    backend = FakeBackend(pause, grid=Grid(side, side))
    return Library({"fake": backend}, {"all": fake_database(backend, images=12)})
