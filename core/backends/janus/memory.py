"""What Janus-Pro takes in memory, computed before anything is read, and what there is."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from ...types import ConfigError
from .sizes import Model

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

RELEASED: Final = {
    "Janus-Pro-7B in bfloat16": 14.5e9,
    "Janus-Pro-1B in float32": 7.0e9,
    "Janus-Pro-1B in bfloat16": 3.7e9,
}
"""Bytes that released models need by `needed`, rounded up, for who has to take another one; largest first."""

PROMPT: Final = 64
"""Entries of a prompt that the KV cache is counted for."""
BLENDER_MATRICES: Final = 27 + 14
"""Square float32 matrices of a blender with hops 1 and 2 while it is collapsed: those that it is read as, and made."""
GROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of memory: in all, and what is free now."""

    total: int
    free: int


def room(device: torch.device) -> Room | None:
    """The memory of a device; None where it cannot be told before the device is used."""
    if device.type == "cuda":
        try:
            free, total = torch.cuda.mem_get_info(device)
        except (RuntimeError, AssertionError):  # a GPU that is lent to calls only
            return None
        return Room(total, free)
    if device.type == "mps":
        most = torch.mps.recommended_max_memory()
        return Room(most, most - torch.mps.driver_allocated_memory())
    if sys.platform.startswith("linux"):
        return _linux(Path("/proc/meminfo").read_text(encoding="ascii"), GROUPS)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return Room(total, total)
    return None


def _linux(meminfo: str, groups: Path) -> Room:
    """Of the machine, and of the container if that has less; files that are only cached there count as free."""
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.splitlines() if ":" in line}
    total, free = 1024 * kilobytes["MemTotal"], 1024 * kilobytes["MemAvailable"]
    try:
        limit = (groups / "memory.max").read_text(encoding="ascii").strip()
        taken = int((groups / "memory.current").read_text(encoding="ascii"))
        counts = dict(line.split() for line in (groups / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return Room(total, free)
    if not limit.isdecimal() or int(limit) >= total:
        return Room(total, free)
    cached = int(counts.get("inactive_file", 0)) + int(counts.get("active_file", 0))
    return Room(int(limit), min(free, int(limit) - taken + cached))


def needed(model: Model, dtype: torch.dtype, blenders: int = 0) -> int:
    """Bytes to load a model with so many blenders and to draw one picture with guidance.

    Weights, with the VQ tokenizer in float32; the KV cache; the largest matrix of a layer twice more, while it is laid
    out; the blenders of FAiD.
    """
    llama, each = model.sizes.llama, dtype.itemsize
    numbers = {name: math.prod(shape) for name, shape in model.shapes.items()}
    pixels = sum(count for name, count in numbers.items() if name.startswith("model.vqmodel."))
    entries = PROMPT + model.sizes.grid.positions
    cache = 2 * entries * llama.layers * 2 * llama.key_heads * llama.head_width
    matrix = 2 * llama.hidden * llama.width
    added = blenders * BLENDER_MATRICES * llama.width**2 * 4
    return (sum(numbers.values()) - pixels + cache + 2 * matrix) * each + pixels * 4 + added


def check(model: Model, dtype: torch.dtype, device: torch.device, blenders: int = 0) -> None:
    """ConfigError when a model does not fit what is free on a device; it names the largest choice that does."""
    there, bytes_needed = room(device), needed(model, dtype, blenders)
    if there is None or bytes_needed <= there.free:
        return
    got = f"memory: got {_gigabytes(there.free)} free on {device.type}, expected {_gigabytes(bytes_needed)}"
    name = str(dtype).removeprefix("torch.")
    raise ConfigError(f"{got} for this model in {name}; {_remedy(model, dtype, there, blenders)}")


def _remedy(model: Model, dtype: torch.dtype, there: Room, blenders: int) -> str:
    """The largest choice that fits, in words."""
    if dtype == torch.float32 and (half := needed(model, torch.bfloat16, blenders)) <= there.free:
        return f"take dtype bfloat16, which needs {_gigabytes(half)}"
    smaller = [name for name, size in RELEASED.items() if size <= there.free and size < needed(model, dtype)]
    if smaller:
        return f"take {smaller[0]}, which needs {_gigabytes(RELEASED[smaller[0]])}, or close other programs"
    return "close other programs, or take another device"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


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
