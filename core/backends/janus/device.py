"""Where Janus-Pro runs, and in which precision."""

from __future__ import annotations

import torch

from ...types import ConfigError
from .memory import DTYPES, needed, room
from .sizes import Model


def choose_device(wanted: str) -> torch.device:
    """The device of that name, or for "auto" the best that is there; ConfigError for another or an absent one."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = next(name for name, available in there.items() if available)
    if wanted not in there:
        raise ConfigError(f"device: got {wanted!r}, expected one of auto, {', '.join(there)}")
    if not there[wanted]:
        raise ConfigError(f"device: got {wanted}, which torch {torch.__version__} does not find here; take auto or cpu")
    return torch.device(wanted)


def check_dtype(wanted: str) -> None:
    """ConfigError for what is no name of a dtype, nor "auto"."""
    if wanted != "auto" and wanted not in DTYPES:
        raise ConfigError(f"dtype: got {wanted!r}, expected one of auto, {', '.join(DTYPES)}")


def choose_dtype(wanted: str, device: torch.device, model: Model) -> torch.dtype:
    """The dtype of that name, which was checked, or for "auto" what suits a device and a model.

    On a CPU that is float32 where the model takes at most half of the memory and fits what is free, else bfloat16; on a
    GPU bfloat16 where it has that, else float16.
    """
    if wanted != "auto":
        return DTYPES[wanted]
    if device.type == "cpu":
        there, whole = room(device), needed(model, torch.float32)
        return torch.bfloat16 if there and whole > min(there.total / 2, there.free) else torch.float32
    return torch.bfloat16 if _has_bfloat16(device) else torch.float16


def _has_bfloat16(device: torch.device) -> bool:
    """Whether a GPU computes in bfloat16; Apple's do since macOS 14."""
    if device.type == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
