"""Models of transformers that answer questions: BLIP, which writes its answer, and ViLT, which chooses one of 3,129.

The published scores were made with mPLUG-large of modelscope, which these stand in for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from transformers import BlipForQuestionAnswering, BlipProcessor, ViltForQuestionAnswering, ViltProcessor

from ...types import CheckpointError
from ..suite import Pixels
from ..weights import kind_of, loaded, processor

OPTION: Final = "answerer"
KINDS: Final = {"blip": (BlipForQuestionAnswering, BlipProcessor), "vilt": (ViltForQuestionAnswering, ViltProcessor)}
AT_ONCE: Final = 16
"""Questions about one picture that are answered together."""

LONGEST: Final = 8
"""Tokens of an answer."""


@dataclass(frozen=True)
class Asking:
    """See `answerer.Answerer`; make one with `load`."""

    name: str
    model: Any
    prepare: Any
    published: bool = False

    @classmethod
    def load(cls, folder: str) -> Asking:
        """From a model's folder; CheckpointError for a kind that answers no questions."""
        kind = kind_of(folder, OPTION)
        if kind not in KINDS:
            raise CheckpointError(f"{OPTION}: got a model of kind {kind!r:.40}, expected one of {', '.join(KINDS)}")
        model, prepare = KINDS[kind]
        return cls(f"{kind} in {Path(folder).name}", loaded(model, folder, OPTION), processor(prepare, folder, OPTION))

    def answers(self, pixels: Pixels, questions: Sequence[str]) -> Sequence[str]:
        """The likeliest answer to each question."""
        picture, found = Image.fromarray(pixels), list[str]()
        for first in range(0, len(questions), AT_ONCE):
            texts = list(questions[first : first + AT_ONCE])
            inputs = self.prepare(
                images=[picture] * len(texts), text=texts, return_tensors="pt", padding=True, truncation=True
            )
            with torch.inference_mode():
                found += self._answered(inputs)
        return found

    def _answered(self, inputs: Any) -> list[str]:
        if isinstance(self.model, ViltForQuestionAnswering):
            best = self.model(**inputs).logits.argmax(dim=-1)
            return [str(self.model.config.id2label[number]) for number in best.tolist()]
        written = self.model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        return [str(text).strip() for text in self.prepare.batch_decode(written, skip_special_tokens=True)]
