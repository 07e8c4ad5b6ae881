"""A small gallery over the fake model, for tests: three runs, two of them beside each other, and a table of two."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from app.gallery.folder import build
from app.gallery.page import Space
from app.gallery.table import Beside, Run, Section, Swept
from app.views import Asked
from core.backends.complete import complete
from core.backends.protocol import Backend
from core.patches.database import PatchDatabase
from core.types import Change, DecodeSettings
from tests.app.fake import FakeBackend, fake_database

PROMPT = "a red disc <b>${1}</b>"
ASKED = Asked("fake", "all", DecodeSettings(seed=3, retrieval_weight=0.6, gate=0.0))
OFF = Change(100, settings=DecodeSettings(seed=3, method="model"))
RUNS = (
    Run("pizza-strong", "With look-ups.", PROMPT, ASKED, inside=True),
    Run("paused", "Paused.", PROMPT, ASKED, pause=90),
    Run("branch", "Off from the middle.", PROMPT, ASKED, parent="pizza-strong", change=OFF),
)
SECTIONS = (
    Section(
        "Discs",
        "Some of them.",
        RUNS,
        (Beside("both", "Two ways.", PROMPT, (("pizza-strong", "with"), ("branch", "off from 100"))),),
        (Swept("weights", "Two weights.", PROMPT, ASKED, ("retrieval_weight", "0, 0.6"), ("temperature", "0.7")),),
    ),
)


class FakeShelf:
    """The fake model and its database, which count how often they are asked for."""

    asked = 0

    @cached_property
    def _all(self) -> tuple[Backend, PatchDatabase]:
        return complete(FakeBackend()), fake_database(FakeBackend(), images=20)

    def backend(self, name: str) -> Backend:
        """The model."""
        self.asked += 1
        return self._all[0]

    def database(self, name: str) -> PatchDatabase:
        """The database."""
        return self._all[1]


def write_gallery(
    folder: Path, shelf: FakeShelf | None = None, version: str = "test", space: Space | None = None
) -> int:
    """Write the small gallery; its size."""
    return build(folder, shelf or FakeShelf(), SECTIONS, space or Space("me/discs"), version, lambda line: None)
