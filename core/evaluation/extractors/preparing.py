"""How pictures become what a network takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...types import CheckpointError, FloatArray
from ..suite import Pixels

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and spread of the channels of ImageNet, which DINOv2 and SSCD subtract and divide by."""

CLIP: Final = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
"""The same of what CLIP was trained on."""

AT_ONCE: Final = 16
"""Pictures in one pass."""


def resized(
    pictures: Pixels, side: int, channels: tuple[Sequence[float], Sequence[float]], method: Image.Resampling
) -> Tensor:
    """Pictures [N, H, W, 3] as [N, 3, side, side], each stretched to the square, less the mean and over the spread."""
    mean, spread = (np.asarray(values, np.float32) for values in channels)
    fitted = [np.asarray(Image.fromarray(one).resize((side, side), method), np.float32) for one in pictures]
    return torch.from_numpy(((np.stack(fitted) / 255 - mean) / spread).transpose(0, 3, 1, 2).copy())


def in_parts(see: Callable[[Pixels], Tensor], pictures: Pixels) -> FloatArray:
    """Features [N, F] of many pictures, a few at a time, without gradients."""
    with torch.inference_mode():
        parts = [see(pictures[first : first + AT_ONCE]) for first in range(0, len(pictures), AT_ONCE)]
    found: FloatArray = torch.cat(parts).float().numpy()
    return found


def digest(path: Path, option: str) -> str:
    """SHA-256 of a file; CheckpointError for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(path)
    except OSError as error:
        got = f"got {str(path)!r:.200}, which cannot be read ({error.strerror})"
        raise CheckpointError(f"{option}: {got}; expected a file of weights, fetch it again") from None


def _sha256(path: Path) -> str:
    """The same on Python 3.10."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
