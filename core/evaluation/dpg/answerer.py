"""What DPG-Bench needs of whatever answers questions about a picture; any object with these members will do.

`--answerer` takes the folder of a model of transformers (`asking.py`), or "package.module:function" that makes an
`Answerer`, such as one around the mPLUG-large of the published scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..suite import Pixels


class Answerer(Protocol):
    """Answers questions about pictures."""

    @property
    def name(self) -> str:
        """What it is, for the report."""
        ...

    @property
    def published(self) -> bool:
        """Whether it is the one that published figures were made with; else results are labelled not comparable."""
        ...

    def answers(self, pixels: Pixels, questions: Sequence[str]) -> Sequence[str]:
        """Its answer to each question about a picture [H, W, 3], such as "yes"."""
        ...


def is_yes(answer: str) -> bool:
    """Whether an answer is a yes: that word alone, as in the released scorer, in any case."""
    return answer.strip().lower() == "yes"
