"""Where Janus-Pro runs: device, precision, and what to do when memory is short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ...types import ConfigError


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


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The dtype of that name, or for "auto" the usual one of a device; ConfigError for another name."""
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if wanted == "auto":
        half = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        wanted = "float32" if device.type == "cpu" else "bfloat16" if half else "float16"
    if wanted not in kinds:
        raise ConfigError(f"dtype: got {wanted!r}, expected one of auto, {', '.join(kinds)}")
    return kinds[wanted]


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """Inside, running out of memory is a ConfigError that says what to do."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        message = str(error).lower()
        if (
            isinstance(error, RuntimeError)
            and "out of memory" not in message
            and "can't allocate memory" not in message
        ):
            raise
        raise ConfigError(
            f"memory: got too little on {device}; close other programs, take dtype bfloat16, Janus-Pro-1B instead of "
            "7B, fewer prompts at once, or device cpu"
        ) from None
