"""CLIP as the judge of colours: zero-shot over ten colours, on the object cut out of its picture.

As in the released scorer, whose CLIP is ViT-L/14 of OpenAI: three templates a colour, their unit vectors averaged and
made unit again; what is not the object is #999, and the picture is cropped to the object's box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torch import Tensor
from transformers import CLIPModel, CLIPProcessor

from ...types import CheckpointError
from ..suite import Pixels
from ..weights import kind_of, loaded, processor
from .clauses import Detection
from .prompts import COLOURS

OPTION: Final = "clip"
TEMPLATES: Final = (
    "a photo of a {colour} {name}",
    "a photo of a {colour}-colored {name}",
    "a photo of a {colour} object",
)
GROUND: Final = "#999"

PUBLISHED_SHAPE: Final = (1024, 24, 14, 224, 768)
"""Width, layers, patch and picture of ViT-L/14's vision tower, and its projection."""


@dataclass(frozen=True)
class Clip:
    """See `detector.ColourJudge`; make one with `load`."""

    name: str
    model: Any
    prepare: Any
    directions: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: str) -> Clip:
        """From the folder of a CLIP model of transformers; CheckpointError for another kind."""
        if (kind := kind_of(folder, OPTION)) != "clip":
            raise CheckpointError(f"{OPTION}: got a model of kind {kind!r:.40}, expected clip")
        model, prepare = loaded(CLIPModel, folder, OPTION), processor(CLIPProcessor, folder, OPTION)
        return cls(f"CLIP in {Path(folder).name}", model, prepare)

    @property
    def published(self) -> bool:
        """Whether it has the shape of ViT-L/14; whose weights it has is not known."""
        vision = self.model.config.vision_config
        shape = (vision.hidden_size, vision.num_hidden_layers, vision.patch_size, vision.image_size)
        return (*shape, self.model.config.projection_dim) == PUBLISHED_SHAPE

    def colours(self, pixels: Pixels, name: str, objects: Sequence[Detection]) -> Sequence[str]:
        """The likeliest colour of each object."""
        if not objects:
            return []
        cut = [cut_out(pixels, one) for one in objects]
        with torch.inference_mode():
            seen = _unit(self.model.get_image_features(**self.prepare(images=cut, return_tensors="pt")))
            best = (seen @ self._directions(name).T).argmax(dim=1)
        return [COLOURS[number] for number in best.tolist()]

    def _directions(self, name: str) -> Tensor:
        """Unit vectors [10, D] of the colours of a class."""
        if name not in self.directions:
            texts = [template.format(colour=colour, name=name) for colour in COLOURS for template in TEMPLATES]
            inputs = self.prepare(text=texts, return_tensors="pt", padding=True, truncation=True)
            each = _unit(self.model.get_text_features(**inputs)).reshape(len(COLOURS), len(TEMPLATES), -1)
            self.directions[name] = _unit(each.mean(dim=1))
        found: Tensor = self.directions[name]
        return found


def _unit(found: Any) -> Tensor:
    """Rows of length 1; found: features, or what transformers gives around them."""
    rows: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return torch.nn.functional.normalize(rows, dim=-1)


def cut_out(pixels: Pixels, one: Detection) -> Image.Image:
    """An object alone, on grey, cropped to its box, which is rounded to whole pixels."""
    picture = Image.fromarray(pixels)
    if one.mask is not None:
        picture = Image.composite(picture, Image.new("RGB", picture.size, GROUND), Image.fromarray(one.mask))
    left, top, right, bottom = (round(edge) for edge in one.box)
    return picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
