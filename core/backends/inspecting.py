"""What is the same for every model that shows its inside: attention and lens are collected layer by layer, in one pass.

The lens is that of nostalgebraist (2020, "interpreting GPT: the logit lens"): the model's last norm and head, on the
hidden state in the middle of the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ..types import ConfigError, IntArray
from .blend_pass import BlendPass, BlendRecord
from .protocol import Inspection, Place, Stage

LIKELIEST: Final = 3
"""How many codes the lens tells of each stage."""


class Reading:
    """Collects what one pass over the codes [n] of a run shows, and becomes an `Inspection`.

    words: texts of the entries before the codes that can be attended to; seen: [T] which of all these are; sizes:
    numbers of layers and heads; head: from hidden states [n, D] to logits [n, V]; stopped: see `Inspecting`.
    """

    def __init__(
        self,
        codes: IntArray,
        words: Sequence[str],
        seen: Tensor,
        sizes: tuple[int, int],
        head: Callable[[Tensor], Tensor],
        stopped: Callable[[], bool],
    ) -> None:
        prefix, count, (layers, heads) = len(seen), len(codes), sizes
        self._codes, self._words, self._heads = codes, tuple(words), heads
        self._head, self._stopped = head, stopped
        self._predicting = slice(prefix - 1, prefix - 1 + count)
        read = torch.arange(prefix, prefix + count - 1, device=seen.device)
        self._columns = torch.cat([seen.nonzero()[:, 0], read])
        self._attention = np.zeros((layers, heads, count, len(self._columns)), np.float16)
        self._stages: list[Stage] = []
        self._likeliest: list[tuple[Tensor, Tensor, Tensor]] = []

    def attended(self, layer: int, weights: Tensor) -> None:
        """Keep the attention [heads, entries, entries] of a layer; ConfigError when nobody waits for it any more."""
        if self._stopped():
            raise ConfigError("inside: it was stopped before the last layer; ask again")
        self._attention[layer] = weights[:, self._predicting, self._columns].to("cpu", torch.float32).numpy()

    def read(self, layer: int, place: Place, hidden: Tensor) -> None:
        """Put the lens on hidden states [entries, D]."""
        self._look(layer, place, hidden[self._predicting])

    def read_blender(self, record: BlendRecord, entering: Tensor, attention: Tensor, gate: Tensor | float) -> None:
        """Put the lens before and after what a blender added to a layer's attention.

        entering, attention: [entries, D] what enters the layer, and what its attention puts out; gate: what the layer
        multiplies that by.
        """
        before = (entering + gate * attention)[self._predicting]
        self._look(record.layer, "before", before)
        self._look(record.layer, "after", before + gate * record.added[0].to(before.dtype))

    def _look(self, layer: int, place: Place, hidden: Tensor) -> None:
        chances = self._head(hidden).float().softmax(dim=-1)
        most = chances.topk(min(LIKELIEST, chances.shape[-1]), dim=-1)
        taken = chances.gather(1, torch.from_numpy(self._codes).to(chances.device)[:, None])[:, 0]
        self._stages.append(Stage(layer, place))
        self._likeliest.append((most.indices.cpu(), most.values.cpu(), taken.cpu()))

    def done(self, note: str = "") -> Inspection:
        """Everything that was collected."""
        codes, chances, taken = (torch.stack(parts).numpy() for parts in zip(*self._likeliest, strict=True))
        return Inspection(
            self._words,
            self._heads,
            self._attention,
            tuple(self._stages),
            codes.astype(np.uint16),
            chances,
            taken,
            note,
        )


def record_of(blending: BlendPass | None, layer: int) -> BlendRecord | None:
    """What the blender of a layer that has just run did; None for a layer without one."""
    records = blending.records if blending is not None else []
    return next((record for record in records if record.layer == layer), None)
