"""Hugging Face's ZeroGPU: a GPU is lent to a function while it runs. Elsewhere all of this does nothing.

The function runs in another process, so what goes in and out must survive pickling, and the rest of the server must not
touch the GPU: pictures are made on the CPU there (`PIXELS_DEVICE`).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

SECONDS_A_POSITION: Final = 0.06
SECONDS_AROUND: Final = 15
"""What is asked for: a bound for 7B with guidance and blenders, and the time to get started."""

LONGEST: Final = 120


def is_lent(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether GPUs are lent here."""
    return bool(environment.get("SPACES_ZERO_GPU"))


def pixels_device(environment: Mapping[str, str] = os.environ) -> str:
    """Where pictures are encoded and decoded: the CPU where the server has no GPU of its own, else with the model."""
    return "cpu" if is_lent(environment) else ""


def seconds_for(positions: int) -> int:
    """How long a GPU is asked for to draw that many positions."""
    return min(LONGEST, round(SECONDS_AROUND + SECONDS_A_POSITION * positions))


def with_gpu(function: Function, positions: int) -> Function:
    """The function, or generator function, with a GPU lent to each call for as long as `positions` take."""
    if not is_lent():
        return function
    spaces = importlib.import_module("spaces")
    lent: Function = spaces.GPU(duration=seconds_for(positions))(function)
    return lent
