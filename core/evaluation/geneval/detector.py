"""What GenEval needs of whatever finds objects and tells colours; any object with these members will do.

`--detector` takes the folder of a model of transformers (`segmenter.py`), or "package.module:function" that makes a
`Detector`, such as one around the mmdet 2.x model of the published scores.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from ..suite import Pixels
from .clauses import CONFIDENCE, Detection

LEAST = CONFIDENCE
"""No rule looks at what a detector is less certain of."""


class Detector(Protocol):
    """Finds objects of the classes that it knows."""

    @property
    def name(self) -> str:
        """What it is, for the report."""
        ...

    @property
    def published(self) -> bool:
        """Whether it is the one that published figures were made with; else results are labelled not comparable."""
        ...

    @property
    def classes(self) -> Collection[str]:
        """Names of the classes, as GenEval's prompts have them."""
        ...

    def detect(self, pixels: Pixels) -> Sequence[Detection]:
        """All objects in a picture [H, W, 3] with a confidence above `LEAST`, in any order."""
        ...


class ColourJudge(Protocol):
    """Tells the colours of objects."""

    @property
    def name(self) -> str:
        """What it is, for the report."""
        ...

    @property
    def published(self) -> bool:
        """Whether it is the one that published figures were made with."""
        ...

    def colours(self, pixels: Pixels, name: str, objects: Sequence[Detection]) -> Sequence[str]:
        """For each of some objects of class `name` in a picture [H, W, 3], one of `prompts.COLOURS`."""
        ...
