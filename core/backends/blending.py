"""The blenders' part of one generation, the same for every model: neighbours in, passes for it out, and FaidSteps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..faid import CollapsedLayer
from ..types import ConfigError, FaidStep, FloatArray, Grid, IntArray, Neighbours
from .blend_pass import BlendPass, FaidDecoding, share

ABSENT = -1
BLANK = 1e-8  # the norm that a feature is divided by at least, so that a blank one has the cosine 0


class Blending:
    """State of the blenders while B prompts are decoded with K features each; nothing is shared with another one.

    blenders: what `Faid.collapse` made; hops: theirs; features: from codes [...] to what enters the first blender
    [..., D]; gates: [layers, B, D] what the layers multiply their attention's output by, None if they do not.
    """

    def __init__(
        self,
        blenders: Sequence[CollapsedLayer],
        hops: Sequence[int],
        features: Callable[[Tensor], Tensor],
        gates: Tensor | None,
        grid: Grid,
        rows: int,
        count: int,
    ) -> None:
        numbers = [blender.number for blender in blenders]
        self._features_of, self._gates = features, None if gates is None else gates[numbers].transpose(0, 1)
        self._numbers, self._hops = np.array(numbers), np.array(hops)
        self._hop_weights = _array(torch.stack([layer.blender.hop_weights for layer in blenders]))
        self._state, self._rows, self._count = FaidDecoding(blenders, grid, rows), rows, count
        self._device = blenders[0].norm.device
        self._last: tuple[BlendPass, Tensor, Tensor] | None = None

    def step(self, position: int, neighbours: Sequence[Neighbours | None]) -> BlendPass:
        """The pass that predicts `position`, with the nearest neighbours of each prompt."""
        features, present = self._features(self._codes(neighbours))
        blending = self._state.step(position, features, present)
        self._last = blending, features, present
        return blending

    def replay(self, prefix: int, neighbours: Sequence[Sequence[Neighbours | None]]) -> BlendPass:
        """The pass over the first n positions, with the neighbours of each of the B prompts.

        prefix: entries before the first code; neighbours: [n][B].
        """
        codes = np.stack([self._codes(found) for found in neighbours], axis=1)
        return self._state.replay(prefix, *self._features(codes))

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
        there = codes != ABSENT
        present = torch.from_numpy(there).to(self._device)
        features = self._features_of(torch.from_numpy(np.maximum(codes, 0)).to(self._device))
        return features if there.all() else features * present.unsqueeze(-1), present

    def blends(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """What the blenders did in the last pass of `step`, for each prompt, compared with the chosen codes [B]."""
        if self._last is None:
            raise ConfigError("blenders: got no pass yet, expected one; ask for logits first")
        blending, entering, present = self._last
        records, there = blending.records, present.cpu().numpy()
        compatibility = _array(torch.cat([record.compatibility for record in records], dim=1))  # each [B, 1, K]
        added = torch.cat([record.added for record in records], dim=1)
        hidden = torch.cat([record.hidden for record in records], dim=1)
        shares = _array(share(added if self._gates is None else added * self._gates, hidden))
        chosen = self._features_of(torch.from_numpy(codes).to(self._device))
        cosines = _cosines([record.features for record in records], entering, chosen)
        cosines = np.where(there[:, None, None], cosines, np.float32(0))
        return tuple(
            FaidStep(
                layers=self._numbers,
                hops=self._hops,
                present=int(there[row].sum()),
                compatibility=compatibility[row],
                hop_weights=self._hop_weights,
                share=shares[row],
                start_cosine=cosines[row, 0],
                code_cosine=cosines[row, 1],
            )
            for row in range(self._rows)
        )


def _cosines(leaving: Sequence[Tensor], entering: Tensor, chosen: Tensor) -> FloatArray:
    """Cosines [B, 2, L, K] of what left L blenders, [B, 1, K, D] each, with what entered [B, K, D] and a code's [B, D].

    In float32: in float16 BLANK is 0 itself.
    """
    rows, count, width = entering.shape
    others = chosen[:, None, None].expand(rows, 1, count, width)
    several = torch.cat([*leaving, entering.unsqueeze(1), others], dim=1).float()
    units = several / torch.linalg.vector_norm(several, dim=-1, keepdim=True).clamp_min(BLANK)
    return _array((units[:, None, :-2] * units[:, -2:, None]).sum(dim=-1))


def _array(tensor: Tensor) -> FloatArray:
    """A tensor of any device and precision as float32."""
    array: FloatArray = tensor.float().cpu().numpy()
    return array
