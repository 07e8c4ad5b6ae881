"""DINOv2, for FD-DINOv2: Stein et al. 2023, arXiv 2306.04675, which takes the class token of ViT-L/14."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image
from transformers import Dinov2Model

from ...types import CheckpointError, FloatArray
from ..suite import Pixels
from ..weights import kind_of, loaded
from .preparing import IMAGENET, in_parts, resized

OPTION: Final = "dinov2"
SIDE: Final = 224
"""Pixels a side, as there; bicubic."""


@dataclass(frozen=True)
class Dinov2:
    """See `Extractor`; make one with `load`."""

    name: str
    model: Any

    @classmethod
    def load(cls, folder: str) -> Dinov2:
        """From the folder of a DINOv2 model of transformers; CheckpointError for another kind."""
        if (kind := kind_of(folder, OPTION)) != "dinov2":
            raise CheckpointError(
                f"{OPTION}: got a model of kind {kind!r:.40}, expected dinov2; take facebook/dinov2-large"
            )
        model = loaded(Dinov2Model, folder, OPTION)
        config = model.config
        return cls(f"DINOv2 in {Path(folder).name}, width {config.hidden_size}", model)

    def features(self, pictures: Pixels) -> FloatArray:
        """[N, width], the class token after the last norm."""
        side = SIDE // self.model.config.patch_size * self.model.config.patch_size
        method = Image.Resampling.BICUBIC
        return in_parts(lambda part: self.model(resized(part, side, IMAGENET, method)).pooler_output, pictures)
