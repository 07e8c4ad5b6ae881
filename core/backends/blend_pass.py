"""One forward pass of a model with blenders: features go from one blended layer to the next.

A model of ours takes a pass as an argument and shows it to each of its layers, which let it add to what their attention
puts out; `attach` is for other models. In a Llama layer that is h' = h + attention + blend, as released. The embedded
transformer's norm has the condition's scale and shift in it, and so has the context; its layer multiplies the attention
by a gate, and so the blend: it is one more branch of the attention block, which the condition may open and close, in
training and decoding alike. Symbols are those of `core.faid`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..faid import Blended, CollapsedLayer, ContextMemory
from ..types import ConfigError, Grid

Rule = Literal["consistent", "official"]
"""What stands in the centre of the window where nothing was retrieved: "consistent" puts zero in every blender,
"official" takes what the previous blender passed on (released decoding; released training is consistent)."""


@dataclass(frozen=True, slots=True)
class BlendRecord:
    """What one blender did in one pass; P is 1 when decoding. No gradient flows through a record.

    layer: number of the decoder layer; compatibility: [B, P, K] in 0..1; hop_weights: [hops]; features: [B, P, K, D]
    passed on to the next blender; added: [B, P, D], their mean; hidden: [B, P, D] what the layer got.
    """

    layer: int
    compatibility: Tensor
    hop_weights: Tensor
    features: Tensor
    added: Tensor
    hidden: Tensor


class BlendPass:
    """The blenders of one forward pass; run again, it begins anew, and `records` is about the last time.

    Made by `FaidDecoding` and `parallel_pass`. features: [B, P, K, D]; present: [B, P, K]; context(number of the
    blender, input norm's output [B, n, D]) -> [B, P, D]; first: index of the first predicting entry (negative: from
    the end); products: [B, P, K, 2D] the first blender's of the features, where they are known.
    """

    def __init__(
        self,
        layers: tuple[CollapsedLayer, ...],
        features: Tensor,
        present: Tensor,
        rule: Rule,
        context: Callable[[int, Tensor], Tensor],
        first: int,
        products: Tensor | None = None,
    ) -> None:
        if features.dim() != 4 or 0 in features.shape or features.shape[-1:] != layers[0].norm.shape:
            width = len(layers[0].norm)
            raise ConfigError(f"features: got {tuple(features.shape)}, expected [rows, positions, neighbours, {width}]")
        if present.shape != features.shape[:-1] or present.dtype != torch.bool:
            raise ConfigError(
                f"present: got {present.dtype} {tuple(present.shape)}, expected torch.bool {tuple(features.shape[:-1])}"
            )
        self.layers, self._entering, self._context, self._first = layers, features, context, first
        self._numbers = {layer.number: number for number, layer in enumerate(layers)}
        self._products = products
        self._mask = present.unsqueeze(-1) if rule == "consistent" else None
        self._done: list[tuple[Blended, Tensor, Tensor]] = []

    def add_to(self, attention: Tensor, layer: int, hidden: Tensor, normed: Tensor) -> None:
        """Add the blend of decoder layer `layer` to its attention's output, in place; nothing if it has no blender.

        attention: [rows, n, D]; hidden, normed: [rows, n, D] input and output of the layer's input norm. The first B
        rows are conditional; those after them are the unconditional ones of CFG, which get nothing and pass nothing on.
        Raises ConfigError for other shapes.
        """
        number = self._numbers.get(layer)
        if number is None:
            return
        batch, positions = self._entering.shape[:2]
        rows, count = normed.shape[:2]
        first = self._first if self._first >= 0 else count + self._first
        if rows < batch or first + positions > count:
            raise ConfigError(
                f"model input: got {rows} rows of {count} entries, expected at least {batch} rows of at least "
                f"{first + positions} entries; the features must be of the same prompts and positions"
            )
        blended = self._blended(number, self._context(number, normed[:batch]))
        added, predicting = blended.features.mean(-2), slice(first, first + positions)
        attention[:batch, predicting].add_(added.to(attention.dtype))
        self._done[number:] = [(blended, added, hidden[:batch, predicting])]

    def _blended(self, number: int, context: Tensor) -> Blended:
        """What a blender makes of what the one before passed on, given what the context adds."""
        layer = self.layers[number]
        if number == 0 and self._products is not None:
            return layer.blender.blend_products(context, self._products)
        centres = layer.centres(self._done[number - 1][0].features if number else self._entering)
        if self._mask is not None and number > 0:  # what enters the first one is zero where there is nothing
            centres = centres * self._mask
        return layer.blender.blend(context, centres)

    @property
    def records(self) -> list[BlendRecord]:
        """What each blender did so far."""
        return [_record(layer, *done) for layer, done in zip(self.layers, self._done, strict=False)]


def _record(layer: CollapsedLayer, blended: Blended, added: Tensor, hidden: Tensor) -> BlendRecord:
    """What a blender did, without gradients."""
    parts = (blended.compatibility, layer.blender.hop_weights, blended.features, added, hidden)
    return BlendRecord(layer.number, *(part.detach() if part.requires_grad else part for part in parts))


def share(added: Tensor, hidden: Tensor) -> Tensor:
    """Norm of what a blender added [..., D], gated where its layer has a gate, relative to the layer's input: [...]."""
    norm = partial(torch.linalg.vector_norm, dim=-1, dtype=torch.float32)  # float16 ends at 65504
    relative: Tensor = norm(added) / norm(hidden).clamp_min(torch.finfo(torch.float32).tiny)
    return relative


class FaidDecoding:
    """The blenders' state of one generation of B prompts; nothing is shared with another one.

    layers: what `Faid.collapse` made, which may be shared.
    """

    def __init__(self, layers: Sequence[CollapsedLayer], grid: Grid, rows: int, rule: Rule = "consistent") -> None:
        self._layers, self._grid, self._rows, self._rule = tuple(layers), grid, rows, _checked_rule(rule)
        self._memories = [ContextMemory(layer.blender, grid, rows) for layer in layers]
        self._known = 0  # cells that every blender has

    def step(self, position: int, features: Tensor, present: Tensor, products: Tensor | None = None) -> BlendPass:
        """The pass that predicts `position`; its newest entry is the code before (or the prompt's end).

        features: [B, K, D] of the neighbours, zero where there is none; present: [B, K] whether there is one; products:
        [B, K, 2D] the first blender's of the features, where they are known. Raises ConfigError for another shape, or
        when positions are left out (a position may be repeated or gone back to).
        """
        if not 0 <= position < self._grid.positions or position > self._known + 1:
            last = min(self._known + 1, self._grid.positions - 1)
            raise ConfigError(f"position: got {position}, expected at most {last}; decode in raster order")
        if len(features) != self._rows:
            raise ConfigError(f"features: got {len(features)} rows, expected {self._rows}, one for each prompt")

        def context(number: int, normed: Tensor) -> Tensor:
            memory = self._memories[number]
            if position > 0:
                memory.write(position - 1, normed[:, -1])
            if number == len(self._memories) - 1:
                self._known = position
            return memory.context(position).unsqueeze(1)

        entering = features.unsqueeze(1), present.unsqueeze(1)
        known = None if products is None else products.unsqueeze(1)
        return BlendPass(self._layers, *entering, self._rule, context, first=-1, products=known)

    def replay(self, prefix: int, features: Tensor, present: Tensor) -> BlendPass:
        """The pass over the first n positions at once; decoding goes on at position n with `step`.

        As `parallel_pass`, with features [B, n, K, D] and present [B, n, K]; the sequence ends with the entry that
        predicts position n - 1.
        """

        def remember(number: int, cells: Tensor) -> None:
            self._memories[number].fill(cells)
            self._known = features.shape[1] - 1

        return parallel_pass(self._layers, self._grid, prefix, features, present, self._rule, remember)


def parallel_pass(
    layers: Sequence[CollapsedLayer],
    grid: Grid,
    prefix: int,
    features: Tensor,
    present: Tensor,
    rule: Rule = "consistent",
    remember: Callable[[int, Tensor], None] = lambda number, cells: None,
) -> BlendPass:
    """The pass over whole sequences, or over their beginnings: decoding's numbers, all positions at once.

    prefix: T; entry T+j has image code j as its input, entry T-1+p predicts position p, the last code may be left out.
    features: [B, n, K, D], zero where there is no neighbour; present: [B, n, K]; n: the first n positions, or all of
    them. remember: gets the number of each blender and its cells [B, S, D]. Raises ConfigError for another shape.
    """
    positions = features.shape[1] if features.dim() > 1 else 0
    if not 1 <= positions <= grid.positions or prefix < 1:
        raise ConfigError(
            f"parallel pass: got {positions} positions after {prefix} entries, expected 1 to {grid.positions} "
            "after at least 1"
        )

    def context(number: int, normed: Tensor) -> Tensor:
        cells = normed[:, prefix : prefix + positions - 1]
        cells = F.pad(cells, (0, 0, 0, grid.positions - cells.shape[1]))  # nothing reads those cells
        remember(number, cells)
        return layers[number].blender.context_everywhere(grid, cells)[:, :positions]

    return BlendPass(tuple(layers), features, present, _checked_rule(rule), context, first=prefix - 1)


def _checked_rule(rule: Rule) -> Rule:
    """The rule; ConfigError when there is no such one."""
    if rule not in get_args(Rule):
        raise ConfigError(f"FAiD rule: got {rule!r}, expected one of {', '.join(get_args(Rule))}")
    return rule
