"""Pictures as models take them, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def to_pixels(pictures: npt.NDArray[np.uint8]) -> Tensor:
    """[N, H, W, 3] uint8 to [N, 3, H, W] floats in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(pixels: Tensor) -> npt.NDArray[np.uint8]:
    """[N, 3, H, W] floats in -1..1 to [N, H, W, 3] uint8."""
    clamped = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(clamped.permute(0, 2, 3, 1).numpy())


def truncated_pictures(pixels: Tensor) -> npt.NDArray[np.uint8]:
    """The same as DeepSeek's generation_inference.py makes them: fractions are cut off and not rounded."""
    scaled = np.clip((pixels.float().numpy() + 1) / 2 * 255, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(scaled.transpose(0, 2, 3, 1))
