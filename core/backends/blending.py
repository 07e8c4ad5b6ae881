"""The blenders' part of one generation, the same for every model: neighbours in, passes for it out, and FaidSteps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
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
    [..., D]; gates: [layers, B, D] what the layers multiply their attention's output by, None if they do not; table:
    [V + 1, 3D] features of every code with the first blender's products of them, and of none, which are zero; None
    where they are to be computed.
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
        table: Tensor | None = None,
    ) -> None:
        numbers = [blender.number for blender in blenders]
        self._features_of, self._gates = features, None if gates is None else gates[numbers].transpose(0, 1)
        self._numbers, self._hops = np.array(numbers), np.array(hops)
        self._hop_weights = _array(torch.stack([layer.blender.hop_weights for layer in blenders]))
        self._state, self._rows, self._count = FaidDecoding(blenders, grid, rows), rows, count
        self._device, self._table, self._width = blenders[0].norm.device, table, len(blenders[0].norm)
        self._last: tuple[BlendPass, Tensor, npt.NDArray[np.bool_]] | None = None

    def step(self, position: int, neighbours: Sequence[Neighbours | None]) -> BlendPass:
        """The pass that predicts `position`, with the nearest neighbours of each prompt."""
        codes = self._codes(neighbours)
        features, present, products = self._entering(codes)
        blending = self._state.step(position, features, present, products)
        self._last = blending, features.unsqueeze(1), codes[:, None] != ABSENT
        return blending

    def replay(self, prefix: int, neighbours: Sequence[Sequence[Neighbours | None]]) -> BlendPass:
        """The pass over the first n positions, with the neighbours of each of the B prompts.

        prefix: entries before the first code; neighbours: [n][B].
        """
        codes = np.stack([self._codes(found) for found in neighbours], axis=1)
        features, present, _ = self._entering(codes)
        blending = self._state.replay(prefix, features, present)
        self._last = blending, features, codes != ABSENT
        return blending

    def _codes(self, neighbours: Sequence[Neighbours | None]) -> IntArray:
        """Codes [B, K] of the nearest neighbours of each prompt, ABSENT where there is none."""
        codes = np.full((self._rows, self._count), ABSENT)
        for row, found in enumerate(neighbours):
            if found is not None:
                nearest = found.codes[: self._count]
                codes[row, : len(nearest)] = nearest
        return codes

    def _entering(self, codes: IntArray) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features [..., K, D] of codes [..., K], zero where they are absent; whether they are there [..., K]; and the
        first blender's products of them [..., K, 2D], None without a table."""
        there = codes != ABSENT
        present, known = torch.from_numpy(there).to(self._device), torch.from_numpy(codes).to(self._device)
        if self._table is not None:  # whose last row is that of none
            found = torch.embedding(self._table, known.where(present, len(self._table) - 1))
            return found[..., : self._width], present, found[..., self._width :]
        features = self._features_of(known.clamp_min(0))
        return features if there.all() else features * present.unsqueeze(-1), present, None

    def blends(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """What the blenders did for each prompt in the last pass, one of `step`, compared with the chosen codes [B]."""
        return self.blends_of_all(codes[:, None])[0]

    def blends_of_all(self, codes: IntArray) -> list[tuple[FaidStep, ...]]:
        """What the blenders did in the last pass at each of its n positions, compared with the codes [B, n]: [n][B]."""
        if self._last is None:
            raise ConfigError("blenders: got no pass yet, expected one; ask for logits first")
        blending, entering, there = self._last
        records = blending.records
        compatibility = torch.stack([record.compatibility for record in records], dim=2)  # each [B, n, K]
        added = torch.stack([record.added for record in records], dim=2)
        hidden = torch.stack([record.hidden for record in records], dim=2)
        shares = share(added if self._gates is None else added * self._gates.unsqueeze(1), hidden)
        leaving = torch.stack([record.features for record in records], dim=2)
        cosines = _cosines(leaving, entering, self._features_of(torch.from_numpy(codes).to(self._device)))
        told = [compatibility.unsqueeze(2).float(), cosines, shares[:, :, None, :, None].expand_as(cosines[:, :, :1])]
        numbers = _array(torch.cat(told, dim=2))  # [B, n, 4, L, K], so that all is read from the device at once
        numbers[:, :, 1:3] = np.where(there[:, :, None, None], numbers[:, :, 1:3], 0)
        present = there.sum(axis=-1)
        return [
            tuple(
                FaidStep(
                    layers=self._numbers,
                    hops=self._hops,
                    present=int(present[row, place]),
                    compatibility=numbers[row, place, 0],
                    hop_weights=self._hop_weights,
                    share=numbers[row, place, 3, :, 0],
                    start_cosine=numbers[row, place, 1],
                    code_cosine=numbers[row, place, 2],
                )
                for row in range(self._rows)
            )
            for place in range(codes.shape[1])
        ]


def _cosines(leaving: Tensor, entering: Tensor, chosen: Tensor) -> Tensor:
    """Cosines [B, n, 2, L, K] of what left L blenders [B, n, L, K, D] with what entered [B, n, K, D] and a code's
    [B, n, D].

    In float32: in float16 BLANK is 0 itself.
    """
    others = torch.stack([entering, chosen.unsqueeze(2).expand_as(entering)], dim=2)
    several = torch.cat([leaving, others], dim=2).float()
    units = several / torch.linalg.vector_norm(several, dim=-1, keepdim=True).clamp_min(BLANK)
    cosines: Tensor = (units[:, :, None, :-2] * units[:, :, -2:, None]).sum(dim=-1)
    return cosines


def _array(tensor: Tensor) -> FloatArray:
    """A tensor of any device and precision as float32."""
    array: FloatArray = tensor.float().cpu().numpy()
    return array
