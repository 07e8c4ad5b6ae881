"""A stand-in for CUDA graphs on the CPU: operations are recorded with the tensors they were called on, and replayed.

As on CUDA, a replay does not ask Python again: numbers are those of the recording, tensors are those that were there,
and recording itself leaves no result. Reading a number back, or a shape that follows from numbers, breaks a recording.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from core.backends.janus.captured import WARM_UPS, Work

READS = ("aten._local_scalar_dense", "aten.item", "aten.nonzero", "aten.masked_select", "aten.is_nonzero")


class Recording(TorchDispatchMode):
    """Runs operations and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(func).startswith(READS):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        result = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        """All operations again, each on its tensors and into its results."""
        for func, args, kwargs, result in self.operations:
            again = func(*args, **kwargs)
            for held, new in zip(tensors(result), tensors(again), strict=True):
                if held.data_ptr() != new.data_ptr():  # a view of what is held, or written in place, is there already
                    held.copy_(new)


def tensors(result: Any) -> list[Tensor]:
    """The tensors in what an operation returned."""
    several = result if isinstance(result, (tuple, list)) else [result]
    return [one for one in several if isinstance(one, Tensor)]


class ScriptedGraphs:
    """A `Record`; recorded, replayed: how often."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, work: Work) -> Work:
        for _ in range(WARM_UPS):
            work()
        recording = Recording()
        with recording:
            output = work()
        output.fill_(torch.nan)  # nothing was computed yet
        self.recorded += 1

        def replay() -> Tensor:
            self.replayed += 1
            recording.replay()
            return output

        return replay


def recorded(work: Callable[[], Tensor]) -> Work:
    """Work that is recorded once."""
    return ScriptedGraphs()(work)
