"""Passes of fixed shapes, and how they are launched: one by one, or recorded once as a CUDA graph and replayed.

A pass is some hundred small kernels; on a GPU, launching them one by one takes longer than running them. A graph is
launched at once, on the very tensors that it was recorded with: what changes between passes, codes and places, is
copied into these. Rules of recording: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from ...types import ConfigError, FloatArray, IntArray
from .llama import Cache

if TYPE_CHECKING:
    from .loading import Parts

WARM_UPS: Final = 3
"""Passes before one is recorded, in which libraries make what they need: making it would break the recording."""

LAUNCHES: Final = ("auto", "plain", "captured", "compiled")

Work = Callable[[], Tensor]
"""Reads and writes tensors that stay where they are, and returns one that it may overwrite the next time."""

Record = Callable[[Work], Work]
"""From work to what does it again without asking Python what there is to do."""


class Pass(Protocol):
    """One pass of the model over new entries."""

    def __call__(self, parts: Parts, cache: Cache, rows: int, codes: Tensor, places: Tensor) -> Tensor:
        """Logits [R, n, V] float32 after each of the codes [B, n], at places [n] of the cache's R rows."""
        ...


@dataclass(frozen=True, slots=True)
class Launch:
    """How passes of fixed shapes are run: the pass, as it is or compiled, and what records it.

    replays: whether a recorded pass runs beside the host, so that it pays to begin it early and to guess codes in it.
    """

    forward: Pass
    record: Record
    replays: bool


def forward(parts: Parts, cache: Cache, rows: int, codes: Tensor, places: Tensor) -> Tensor:
    """See `Pass`: from codes to logits, aligner and head included, with no number that the host has to know."""
    entries = parts.features(codes.repeat(rows // len(codes), 1))
    hidden = parts.llama.through(entries, cache.fixed(places), cache)
    logits: Tensor = parts.head(parts.llama.norm(hidden)).float()
    return logits


def call(work: Work) -> Work:
    """No recording: the work itself, for devices without graphs."""
    return work


class CudaGraphs:
    """Records work as CUDA graphs: one at a time, and all on one stream, as libraries keep workspaces for each.

    Warm-up and recording share that stream, too; other threads may go on using the device meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: torch.cuda.Stream | None = None

    def __call__(self, work: Work) -> Work:
        """What replays it; ConfigError where it cannot be recorded."""
        with self._lock:
            try:
                return self._recorded(work)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:160]
                raise ConfigError(f"launch: got a pass that cannot be captured ({reason}); take plain") from error

    def _recorded(self, work: Work) -> Work:
        """Warm up, record."""
        self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            output = work()

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay


def choose_launch(wanted: str, device: torch.device) -> Launch | None:
    """How passes are launched on a device; None: plainly, with shapes that grow. ConfigError for another word.

    auto: captured on CUDA, plain elsewhere, where shapes that grow read less and launching costs little. captured:
    fixed shapes, as a graph on CUDA. compiled: the same, of what torch.compile makes of the pass.
    """
    if wanted not in LAUNCHES:
        raise ConfigError(f"launch: got {wanted!r:.40}, expected one of {', '.join(LAUNCHES)}")
    if wanted == "plain" or (wanted == "auto" and device.type != "cuda"):
        return None
    made: Pass = torch.compile(forward, dynamic=False) if wanted == "compiled" else forward
    graphs = device.type == "cuda"
    return Launch(made, CudaGraphs() if graphs else call, graphs)


class FixedPass:
    """The passes of one generation over n = 1 + k new entries: begun without waiting, read when they are needed.

    rows: R of the cache; prompts: B. On CUDA, codes and logits travel through pinned memory while the host goes on.
    """

    def __init__(self, launch: Launch, parts: Parts, cache: Cache, rows: int, prompts: int, count: int) -> None:
        device = parts.words.device
        pinned = device.type == "cuda"
        self._rows, self._launch, self._parts, self._cache = rows, launch, parts, cache
        self._count = count
        self._given = torch.zeros(prompts + 1, count, dtype=torch.long, pin_memory=pinned)  # codes, and their places
        self._inputs = torch.zeros(prompts + 1, count, dtype=torch.long, device=device)
        self._read: Tensor | None = None
        self._pinned = pinned
        self._done = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]
        self._replay: Work | None = None

    def begin(self, codes: IntArray, start: int) -> None:
        """Run the pass over codes [B, n] at the places start..start+n-1 of the cache; returns at once on CUDA."""
        self.wait()  # what is written now may still be on its way
        self._given[:-1] = torch.from_numpy(np.ascontiguousarray(codes, np.int64))
        self._given[-1] = torch.arange(start, start + self._count)
        self._inputs.copy_(self._given, non_blocking=True)
        if self._replay is None:
            self._replay = self._launch.record(self._work)
        logits = self._replay()
        if self._read is None:
            self._read = torch.empty(logits.shape, pin_memory=self._pinned)
        self._read.copy_(logits, non_blocking=True)
        if self._done is not None:
            self._done.record()

    def logits(self) -> FloatArray:
        """Logits [R, n, V] of the pass that was begun last; waits for them."""
        if self._read is None:
            raise ConfigError("pass: got none that was begun, expected one; begin it first")
        self.wait()
        read: FloatArray = self._read.numpy().copy()  # the next pass writes there
        return read

    def wait(self) -> None:
        """Wait for the pass that was begun last."""
        if self._done is not None:
            self._done.synchronize()

    def close(self) -> None:
        """Wait for it, and let go of what was recorded."""
        self.wait()
        self._replay = None

    def _work(self) -> Tensor:
        """The pass, on tensors that stay."""
        return self._launch.forward(self._parts, self._cache, self._rows, self._inputs[:-1], self._inputs[-1])
