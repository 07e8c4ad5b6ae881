"""CLIP, for CMMD (Jayasumana et al. 2024, arXiv 2401.09603) and CLIPScore (Hessel et al. 2021, arXiv 2104.08718)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel

from ...types import CheckpointError, FloatArray
from ..suite import Pixels
from ..weights import kind_of, loaded, processor
from .preparing import CLIP, in_parts, resized

OPTION: Final = "clip"
BEFORE: Final = "A photo depicts "
"""What is said before a prompt (the same, section 3)."""


@dataclass(frozen=True)
class Clip:
    """See `Extractor`; make one with `load`."""

    name: str
    model: Any
    words: Any

    @classmethod
    def load(cls, folder: str) -> Clip:
        """From the folder of a CLIP model of transformers; CheckpointError for another kind."""
        if (kind := kind_of(folder, OPTION)) != "clip":
            raise CheckpointError(f"{OPTION}: got a model of kind {kind!r:.40}, expected clip; take one of openai's")
        model, words = loaded(CLIPModel, folder, OPTION), processor(AutoTokenizer, folder, OPTION)
        seen = model.config.vision_config
        return cls(f"CLIP in {Path(folder).name}, {seen.image_size} pixels", model, words)

    def features(self, pictures: Pixels) -> FloatArray:
        """Unit vectors [N, D] of pictures."""
        side, method = self.model.config.vision_config.image_size, Image.Resampling.BICUBIC
        return in_parts(lambda part: _unit(self.model.get_image_features(resized(part, side, CLIP, method))), pictures)

    def texts(self, prompts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, D] of what a picture is said to depict; texts are cut at the model's length."""
        most = self.model.config.text_config.max_position_embeddings
        inputs = self.words(
            [BEFORE + prompt for prompt in prompts],
            padding=True, truncation=True, max_length=most, return_tensors="pt",
        )  # fmt: skip
        with torch.inference_mode():
            found: FloatArray = _unit(
                self.model.get_text_features(inputs["input_ids"], attention_mask=inputs["attention_mask"])
            ).numpy()
        return found


def _unit(found: Any) -> Tensor:
    """Rows of length 1; found: features, or what transformers gives around them."""
    rows: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return torch.nn.functional.normalize(rows, dim=-1)
