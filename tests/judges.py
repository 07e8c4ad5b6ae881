"""Judges of pictures that follow a script."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from core.evaluation.geneval.clauses import Box, Detection
from core.evaluation.geneval.prompts import CLASSES
from core.evaluation.suite import Pixels


def at(name: str, score: float, box: Box = (0, 0, 10, 10), mask: npt.NDArray[np.bool_] | None = None) -> Detection:
    """A detection."""
    return Detection(name, score, box, mask)


@dataclass
class ScriptedDetector:
    """Finds what the function of a picture says; or, without one, an apple where the first pixel is even."""

    script: Callable[[Pixels], Sequence[Detection]] = lambda pixels: (
        [at("apple", 0.95)] if pixels[0, 0, 0] % 2 == 0 else []
    )
    name: str = "a script"
    published: bool = False
    classes: Collection[str] = CLASSES

    def detect(self, pixels: Pixels) -> Sequence[Detection]:
        """What the script says."""
        return self.script(pixels)


@dataclass
class Colours:
    """Says one colour of everything, and remembers what it was asked."""

    colour: str = "red"
    name: str = "a colour script"
    published: bool = False
    asked: list[str] = field(default_factory=list)

    def colours(self, pixels: Pixels, name: str, objects: Sequence[Detection]) -> Sequence[str]:
        """As it always says."""
        self.asked.append(name)
        return [self.colour] * len(objects)
