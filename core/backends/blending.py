"""The blenders' part of one generation, the same for every model: neighbours in, features through, FaidSteps out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.faid import BlendRecord, CollapsedLayer, FaidDecoding, attach
from core.types import FaidStep, FloatArray, Grid, IntArray, Neighbours

ABSENT = -1


class Blending:
    """State of the blenders while B prompts are decoded with K features each; nothing is shared with another one.

    layers: the model's decoder layers; blenders: what `Faid.collapse` made; hops: theirs; features: from codes [...] to
    what enters the first blender [..., D]; gates: [layers, B, 1, D] what the layers multiply their attention's output
    by, None if they do not.
    """

    def __init__(
        self,
        layers: nn.ModuleList,
        blenders: Sequence[CollapsedLayer],
        hops: Sequence[int],
        features: Callable[[Tensor], Tensor],
        gates: Tensor | None,
        grid: Grid,
        rows: int,
        count: int,
    ) -> None:
        self._layers, self._features_of, self._gates = layers, features, gates
        self._numbers, self._hops = np.array([blender.number for blender in blenders]), np.array(hops)
        self._hop_weights = _array(torch.stack([layer.blender.hop_weights for layer in blenders]))
        self._state, self._rows, self._count = FaidDecoding(blenders, grid, rows), rows, count
        self._device = blenders[0].norm.device
        self._entering = torch.zeros(0)
        self._present = torch.zeros(rows, count, dtype=torch.bool)
        self._records: Sequence[BlendRecord] = ()

    @contextmanager
    def attached(self, position: int, neighbours: Sequence[Neighbours | None]) -> Iterator[None]:
        """Inside, the pass that predicts `position` has the blenders, with the nearest neighbours of each prompt."""
        self._entering, self._present = self._features(self._codes(neighbours))
        blending = self._state.step(position, self._entering, self._present)
        with attach(self._layers, blending):
            yield
        self._records = blending.records

    @contextmanager
    def replayed(self, prefix: int, neighbours: Sequence[Sequence[Neighbours | None]]) -> Iterator[None]:
        """Inside, the pass over the first n positions has the blenders, with the neighbours of each of the B prompts.

        prefix: entries before the first code; neighbours: [n][B].
        """
        codes = np.stack([self._codes(found) for found in neighbours], axis=1)
        with attach(self._layers, self._state.replay(prefix, *self._features(codes))):
            yield

    def _codes(self, neighbours: Sequence[Neighbours | None]) -> IntArray:
        """Codes [B, K] of the nearest neighbours of each prompt, ABSENT where there is none."""
        codes = np.full((self._rows, self._count), ABSENT)
        for row, found in enumerate(neighbours):
            if found is not None:
                nearest = found.codes[: self._count]
                codes[row, : len(nearest)] = nearest
        return codes

    def _features(self, codes: IntArray) -> tuple[Tensor, Tensor]:
        """Features [..., K, D] of codes [..., K], zero where they are absent, and whether they are there [..., K]."""
        chosen = torch.from_numpy(codes).to(self._device)
        present = chosen != ABSENT
        return self._features_of(chosen.clamp_min(0)) * present.unsqueeze(-1), present

    def steps(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """What the last attached pass did, for each prompt, compared with the chosen codes [B]."""
        records = self._records
        leaving = torch.stack([record.features[:, 0] for record in records], dim=1)  # [B, L, K, D]
        start_cosine = self._cosine(leaving, self._entering.unsqueeze(1))
        chosen = self._features_of(torch.from_numpy(codes).to(self._device))
        code_cosine = self._cosine(leaving, chosen[:, None, None])
        compatibility = _array(torch.stack([record.compatibility[:, 0] for record in records], dim=1))
        present = self._present.sum(dim=1).tolist()
        share = _array(torch.stack([record.share(self._gate(record.layer))[:, 0] for record in records], dim=1))
        return tuple(
            FaidStep(
                layers=self._numbers,
                hops=self._hops,
                present=present[row],
                compatibility=compatibility[row],
                hop_weights=self._hop_weights,
                share=share[row],
                start_cosine=start_cosine[row],
                code_cosine=code_cosine[row],
            )
            for row in range(self._rows)
        )

    def _gate(self, layer: int) -> Tensor | None:
        """What a layer multiplies its attention's output by [B, 1, D]."""
        return None if self._gates is None else self._gates[layer]

    def _cosine(self, leaving: Tensor, other: Tensor) -> FloatArray:
        """Cosines [B, L, K] of features [B, L, K, D] with others that broadcast; 0 where there is no neighbour.

        In float32: in float16 the number that keeps a blank feature from 0 / 0 is 0 itself.
        """
        cosines = F.cosine_similarity(leaving.float(), other.float(), dim=-1)
        return _array(torch.where(self._present.unsqueeze(1), cosines, 0.0))


def _array(tensor: Tensor) -> FloatArray:
    """A tensor of any device and precision as float32."""
    array: FloatArray = tensor.float().cpu().numpy()
    return array
