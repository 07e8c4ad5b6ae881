"""What every training shares: a resumable run folder, the learning rate, the weight average, contact sheets."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of a module's parameters and buffers."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]


def cosine(step: int, steps: int, warmup: int, flat: float = 0.0) -> float:
    """Learning rate factor: linear warm-up, flat for a share of the run, then a cosine down to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    progress = max(0.0, (step / steps - flat) / (1 - flat))
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def mixed_precision() -> torch.autocast:
    """bf16 products where torch says that the processor has instructions for them; with AVX2 only, they are a hundred
    times slower than fp32. An older torch does not say, and multiplies in fp32."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.autocast("cpu", torch.bfloat16, enabled=any(capabilities.get(name) for name in BF16_INSTRUCTIONS))


def save_state(folder: Path, state: Mapping[str, Any], name: str = "state") -> None:
    """Write a training state so that a cut-off write never damages the previous one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.partial"
    torch.save(dict(state), partial)
    os.replace(partial, folder / f"{name}.pt")


def load_state(folder: Path, name: str = "state") -> dict[str, Any] | None:
    """The state of an interrupted run, or None for a new one."""
    path = folder / f"{name}.pt"
    return torch.load(path, weights_only=True) if path.exists() else None


def contact_sheet(rows: Sequence[npt.NDArray[np.uint8]], path: Path) -> None:
    """Rows of [N, H, W, 3] pictures as one image."""
    height, width = rows[0].shape[1:3]
    sheet = np.full((len(rows) * height, max(map(len, rows)) * width, 3), 255, np.uint8)
    for r, pictures in enumerate(rows):
        for c, picture in enumerate(pictures):
            sheet[r * height : (r + 1) * height, c * width : (c + 1) * width] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
