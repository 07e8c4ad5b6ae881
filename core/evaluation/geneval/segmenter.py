"""Models of transformers as GenEval's detector: Mask2Former and its kin with masks, DETR and its kin with boxes alone.

The published scores were made with Mask2Former Swin-S of mmdet 2.x, which these stand in for. Scores of instances are
class probability times the mean probability of the mask, in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection, AutoModelForUniversalSegmentation
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES,
    MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES,
)

from ...types import CheckpointError
from ..suite import Pixels
from ..weights import kind_of, loaded, processor
from .clauses import Box, Detection
from .detector import LEAST
from .prompts import CLASSES

OPTION: Final = "detector"

OTHER_NAMES: Final = {
    "mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard", "motorbike": "motorcycle",
    "aeroplane": "airplane", "sofa": "couch", "pottedplant": "potted plant", "diningtable": "dining table",
    "tvmonitor": "tv",
}  # fmt: skip
"""What COCO and models of it call classes that GenEval's prompts name otherwise."""


@dataclass(frozen=True)
class Segmenter:
    """See `detector.Detector`; make one with `load`. labels: GenEval's name of each of the model's classes, or ""."""

    name: str
    model: Any
    prepare: Any
    labels: tuple[str, ...]
    masks: bool
    published: bool = False

    @classmethod
    def load(cls, folder: str) -> Segmenter:
        """From a model's folder; CheckpointError for one that finds no objects."""
        kind = kind_of(folder, OPTION)
        masks = kind in MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES
        if not masks and kind not in MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES:
            raise CheckpointError(
                f"{OPTION}: got a model of kind {kind!r:.40}, expected one such as mask2former or detr"
            )
        model = loaded(AutoModelForUniversalSegmentation if masks else AutoModelForObjectDetection, folder, OPTION)
        names = model.config.id2label
        labels = tuple(geneval_name(str(names.get(number, ""))) for number in range(max(names, default=-1) + 1))
        if not any(labels):
            raise CheckpointError(f"{OPTION}: got {folder!r:.200} without any class of COCO, expected a model of these")
        prepare = processor(AutoImageProcessor, folder, OPTION)
        return cls(f"{kind} in {Path(folder).name}", model, prepare, labels, masks)

    @property
    def classes(self) -> frozenset[str]:
        """GenEval's names of what it knows."""
        return frozenset(filter(None, self.labels))

    def detect(self, pixels: Pixels) -> Sequence[Detection]:
        """What it finds in a picture [H, W, 3]."""
        size = pixels.shape[:2]
        with torch.inference_mode():
            out = self.model(**self.prepare(images=pixels, return_tensors="pt"))
        return self._with_masks(out, size) if self.masks else self._boxes(out, size)

    def _with_masks(self, out: Any, size: tuple[int, ...]) -> list[Detection]:
        (found,) = self.prepare.post_process_instance_segmentation(
            out, threshold=LEAST, target_sizes=[size], return_binary_maps=True
        )
        there = found["segments_info"]
        masks = found["segmentation"].numpy() > 0 if there else ()
        return [
            Detection(name, float(one["score"]), box_of(mask), mask)
            for one, mask in zip(there, masks, strict=True)
            if (name := self._named(one["label_id"])) and mask.any()
        ]

    def _boxes(self, out: Any, size: tuple[int, ...]) -> list[Detection]:
        (found,) = self.prepare.post_process_object_detection(out, threshold=LEAST, target_sizes=[size])
        values = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True)
        return [
            Detection(name, score, (box[0], box[1], box[2], box[3]))
            for label, score, box in values
            if (name := self._named(label))
        ]

    def _named(self, label: int) -> str:
        """GenEval's name of a class, "" for one that it does not have."""
        return self.labels[label] if 0 <= label < len(self.labels) else ""


def geneval_name(label: str) -> str:
    """GenEval's name of a class of a model, "" for one that it does not have."""
    name = OTHER_NAMES.get(label.lower(), label.lower())
    return name if name in CLASSES else ""


def box_of(mask: npt.NDArray[np.bool_]) -> Box:
    """The box around a mask [H, W] with any pixel set; right and bottom are one beyond the last, as mmdet has them."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
