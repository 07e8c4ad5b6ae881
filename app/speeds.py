"""How fast the models of a server are on its machine, measured once before it serves."""

from __future__ import annotations

import logging
from typing import Final

from app.library import Library
from app.painting import Painting
from core.backends.speed import Speed, measure
from core.types import ArragError

PROMPT: Final = "a"
"""Of the models that are measured; one that takes other prompts is not."""

logger = logging.getLogger(__name__)


class Speeds:
    """The measured speeds of the models of a library, which are those that do not ship with the code."""

    def __init__(self, library: Library, painting: Painting) -> None:
        self._library, self._painting = library, painting
        self._measured: dict[str, Speed] = {}

    def measure(self) -> None:
        """Measure every model: a few codes and one picture. Not those that ship, which are fast everywhere, nor those
        that are lent a GPU, which would be asked for."""
        if self._library.small or self._library.is_lent:
            return
        for name, backend in self._library.backends.items():
            try:
                speed = self._measured[name] = measure(backend, PROMPT)
            except ArragError as error:  # it may draw other prompts
                logger.warning("the speed of %s could not be measured: %s", name, error)
                continue
            self._painting.took(backend, speed.picture)
            if speed.is_slow(backend.grid):
                logger.info("%s: %s", name, speed.told(backend.grid))

    def of(self, model: str) -> Speed | None:
        """The speed of a model, None where it was not measured."""
        return self._measured.get(model)

    def is_slow(self, model: str) -> bool:
        """Whether somebody who asks for a picture is told how long it takes."""
        speed = self.of(model)
        return speed is not None and speed.is_slow(self._library.backends[model].grid)

    def told(self, model: str) -> str:
        """What there is to know of a model before a picture is begun, "" for nothing."""
        speed = self.of(model)
        return speed.told(self._library.backends[model].grid) if speed and self.is_slow(model) else ""

    def told_reading(self, model: str, codes: int) -> str:
        """What there is to know while a model reads the codes before a branch, "" for nothing."""
        speed = self.of(model)
        return speed.told_reading(codes) if speed and codes else ""
