"""FAiD (feature-augmentation in decoding): blend retrieved patch features into the hidden states of a transformer.

A blended layer smooths the feature of each of the K neighbours against the image so far, scores how well it fits, and
adds the weighted mean to the output of its attention; what it made of the features goes on to the next blended layer.
The smoothing is two convolutions per hop without a nonlinearity between them, hence one linear operator per cell of the
window ("tap"). It stands here twice: `direct` is the definition; `collapse` composes the operators, which everything
else computes with. Both agree up to rounding.

Symbols: B conditional rows, S positions of the grid, K neighbours, D width, R the largest hop ("reach"), T entries of
the sequence before the first image code, P positions of one forward pass (1 when decoding, S when teacher-forced).
Source: Qi et al. 2025 (arXiv 2506.06962) and its released code, where not said otherwise.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Final, Literal, TypeVar, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from core.types import CheckpointError, ConfigError, Grid

HOPS: Final = (1, 2, 3)
EPSILON: Final = 1e-6  # of the retrieval norm, as in the released model's Llama

Rule = Literal["consistent", "official"]
"""What stands in the centre of the window where nothing was retrieved: "consistent" puts zero in every blender,
"official" takes what the previous blender passed on (released decoding; released training is consistent)."""

Module = TypeVar("Module", bound=nn.Module)


# -- Parameters -------------------------------------------------------------------------------------------------------


class Blender(nn.Module):
    """The weights of one blender, named as in the released checkpoint; new ones have torch's default initialisation.

    conv{h}, conv{h}2: the two convolutions of hop h, [D, D, h+1, h+1]; conv_weights: hop logits, absent with one hop;
    mlp: compatibility score. Raises ConfigError for hops other than some of 1, 2, 3 in ascending order.
    """

    conv_weights: nn.Parameter

    def __init__(self, width: int, hops: Sequence[int] = (1, 2)) -> None:
        super().__init__()
        if not hops or any(hop not in HOPS for hop in hops) or sorted(set(hops)) != list(hops):
            raise ConfigError(f"hops: got {tuple(hops)}, expected some of 1, 2, 3 in ascending order, each once")
        self.width, self.hops = width, tuple(hops)
        for hop in hops:
            self.add_module(f"conv{hop}", nn.Conv2d(width, width, hop + 1))
            self.add_module(f"conv{hop}2", nn.Conv2d(width, width, hop + 1))
        if len(hops) > 1:
            self.conv_weights = nn.Parameter(torch.zeros(len(hops)))
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    @property
    def reach(self) -> int:
        """Largest hop R: the window has 2R + 1 rows and columns."""
        return self.hops[-1]

    def convolutions(self, hop: int) -> tuple[nn.Conv2d, nn.Conv2d]:
        """First and second convolution of a hop."""
        first, second = self.get_submodule(f"conv{hop}"), self.get_submodule(f"conv{hop}2")
        return cast(nn.Conv2d, first), cast(nn.Conv2d, second)

    def hop_weights(self) -> Tensor:
        """[hops], positive, of sum 1."""
        if len(self.hops) == 1:
            return self.get_parameter(f"conv{self.reach}.bias").new_ones(1)
        return self.conv_weights.softmax(0)

    def forward(self, windows: Tensor) -> Tensor:
        """Smoothed features [N, D] of windows [N, D, 2R+1, 2R+1] whose centre holds the retrieved feature."""
        smoothed = windows.new_zeros(windows.shape[:2])
        for weight, hop in zip(self.hop_weights(), self.hops, strict=True):
            inner = slice(self.reach - hop, self.reach + hop + 1)
            first, second = self.convolutions(hop)
            smoothed = smoothed + weight * second(first(windows[:, :, inner, inner]))[:, :, 0, 0]
        return smoothed


class BlendedLayer(nn.Module):
    """What FAiD adds to one decoder layer: the blender and the norm of the features that enter it."""

    def __init__(self, width: int, hops: Sequence[int] = (1, 2)) -> None:
        super().__init__()
        self.blender = Blender(width, hops)
        self.retrieval_layernorm = nn.RMSNorm(width, eps=EPSILON)


class Faid(nn.Module):
    """All blenders of a model; parameters are named `layers.N.blender.*` and `layers.N.retrieval_layernorm.weight`.

    blended: numbers of the decoder layers that have one, 0, n, 2n, ... in the released models. Raises ConfigError when
    they are not ascending.
    """

    def __init__(self, width: int, blended: Sequence[int], hops: Sequence[int] = (1, 2)) -> None:
        super().__init__()
        if not blended or min(blended) < 0 or sorted(set(blended)) != list(blended):
            raise ConfigError(f"blended layers: got {tuple(blended)}, expected ascending numbers from 0, at least one")
        self.width, self.blended, self.hops = width, tuple(blended), tuple(hops)
        self.layers = nn.ModuleDict({str(number): BlendedLayer(width, hops) for number in blended})

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], prefix: str = "layers.") -> Faid:
        """The blenders among the tensors of a model; which layers, hops and width follow from names and shapes.

        prefix: what stands before the number of a layer ("language_model.model.layers." in the released checkpoint).
        Tensors of other modules are passed over. Raises CheckpointError when one is missing or of another shape.
        """
        wanted = re.compile(re.escape(prefix) + r"(\d+)\.(blender\..+|retrieval_layernorm\.weight)")
        matches = [(name, found) for name in tensors if (found := wanted.fullmatch(name))]
        blended = sorted({int(found[1]) for _, found in matches if found[2].startswith("blender.")})
        mine = {f"layers.{found[1]}.{found[2]}": tensors[name] for name, found in matches}
        if not blended:
            raise CheckpointError(f"FAiD: got no {prefix}N.blender.* tensor, expected blenders; check the prefix")
        width, hops = _layout(mine, f"layers.{blended[0]}.blender.")
        return _filled(cls(width, blended, hops), mine)

    def layer(self, number: int) -> BlendedLayer:
        """What layer `number` has."""
        return cast(BlendedLayer, self.layers[str(number)])

    def collapse(self) -> tuple[CollapsedLayer, ...]:
        """All blenders in the form that decoding and training compute with, in the order of the layers.

        Costs some D x D matrix products per tap: do it once for decoding, under `torch.no_grad()`, and again for each
        training step, where gradients flow through it.
        """
        layers = ((number, self.layer(number)) for number in self.blended)
        return tuple(
            CollapsedLayer(n, layer.retrieval_layernorm.weight, collapse(layer.blender)) for n, layer in layers
        )


def blender_from_tensors(tensors: Mapping[str, Tensor]) -> Blender:
    """One blender from its tensors `conv1.weight`, ...; CheckpointError when one is missing or of another shape."""
    return _filled(Blender(*_layout(tensors, "")), tensors)


def _layout(tensors: Mapping[str, Tensor], prefix: str) -> tuple[int, list[int]]:
    """Width and hops of the blender whose names begin with prefix."""
    hops = [hop for hop in HOPS if f"{prefix}conv{hop}.weight" in tensors]
    if not hops:
        raise CheckpointError(f"FAiD: got no tensor {prefix}conv1|2|3.weight, expected at least one; restore the file")
    return len(tensors[f"{prefix}conv{hops[0]}.weight"]), hops


def _filled(module: Module, tensors: Mapping[str, Tensor]) -> Module:
    """The module with its parameters set; CheckpointError names one that is missing, left over or of another shape."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    got = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"FAiD: {name}: got {got.get(name, 'nothing')}, expected {expected.get(name, 'nothing')}; restore the file"
        )
    module.load_state_dict(dict(tensors))
    return module


# -- The definition ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Blended:
    """What a blender makes of K features: [..., K, D], scaled by their compatibility [..., K] in 0..1."""

    features: Tensor
    compatibility: Tensor


def direct(blender: Blender, grid: Grid, cells: Tensor, centres: Tensor, position: int) -> Blended:
    """A blender at one position as it is defined: convolutions over one window for each neighbour.

    cells: [B, S, D] the context map; cell j belongs to the entry of the sequence whose input is image code j. Those at
    and after the position are not read. centres: [B, K, D]. Slow; `collapse` is the same and fast.
    """
    batch, neighbours, width = centres.shape
    reach, (row, col) = blender.reach, grid.row_col(position)
    past = torch.arange(grid.positions, device=cells.device) < position
    image = torch.where(past[:, None], cells, 0).view(batch, grid.height, grid.width, width).permute(0, 3, 1, 2)
    window = F.pad(image, (reach,) * 4)[:, :, row : row + 2 * reach + 1, col : col + 2 * reach + 1]
    windows = window.repeat_interleave(neighbours, dim=0)
    windows[:, :, reach, reach] = centres.reshape(-1, width)
    smoothed = blender(windows).view(batch, neighbours, width)
    compatibility = blender.mlp(smoothed).sigmoid()
    return Blended(smoothed * compatibility, compatibility.squeeze(-1))


# -- The collapsed form -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Score:
    """The compatibility score of a blender; matrices are (input, output), which is the faster layout for few rows.

    hidden: [D, D]; hidden_bias: [D]; output: [D]; output_bias: [1].
    """

    hidden: Tensor
    hidden_bias: Tensor
    output: Tensor
    output_bias: Tensor

    def compatibility(self, smoothed: Tensor) -> Tensor:
        """[..., K] in 0..1 of smoothed features [..., K, D]."""
        hidden = F.relu(smoothed @ self.hidden + self.hidden_bias)
        return (hidden @ self.output + self.output_bias).sigmoid()


@dataclass(frozen=True, slots=True)
class Collapsed:
    """One blender as linear operators: smoothed = sum_t cell_t @ taps[t] + feature @ centre + bias, then the score.

    taps: [R(2R+1) + R, D, D] (input, output) for the cells before the position in raster order, hop weights folded in:
    first the R rows above, then R cells to the left. centre: [D, D]; bias: [D]; hop_weights: [hops], for the record.
    """

    reach: int
    taps: Tensor
    centre: Tensor
    bias: Tensor
    hop_weights: Tensor
    score: Score

    def context_everywhere(self, grid: Grid, cells: Tensor) -> Tensor:
        """What the context adds at all positions [B, S, D], from the whole context map [B, S, D]; with the bias.

        One convolution whose kernel is zero at and after the position, so finite cells there have no influence.
        """
        reach, width = self.reach, cells.shape[-1]
        unseen = self.taps.new_zeros(reach + 1, width, width)
        kernel = torch.cat([self.taps, unseen]).view(reach + 1, 2 * reach + 1, width, width).permute(3, 2, 0, 1)
        image = cells.reshape(-1, grid.height, grid.width, width).permute(0, 3, 1, 2)
        return F.conv2d(F.pad(image, (reach, reach, reach, 0)), kernel, self.bias).flatten(2).transpose(1, 2)

    def blend(self, context: Tensor, centres: Tensor) -> Blended:
        """The blender's output for centres [..., K, D], given what the context adds [..., D]."""
        smoothed = centres @ self.centre + context.unsqueeze(-2)
        compatibility = self.score.compatibility(smoothed)
        return Blended(smoothed * compatibility.unsqueeze(-1), compatibility)


@dataclass(frozen=True, slots=True)
class CollapsedLayer:
    """What one decoder layer needs for FAiD: its number, the weight [D] of its retrieval norm, and its blender."""

    number: int
    norm: Tensor
    blender: Collapsed

    def to(self, dtype: torch.dtype) -> CollapsedLayer:
        """The same in another precision."""
        blender, score = self.blender, self.blender.score
        collapsed = Collapsed(
            blender.reach,
            blender.taps.to(dtype),
            blender.centre.to(dtype),
            blender.bias.to(dtype),
            blender.hop_weights,
            Score(*(part.to(dtype) for part in (score.hidden, score.hidden_bias, score.output, score.output_bias))),
        )
        return CollapsedLayer(self.number, self.norm.to(dtype), collapsed)

    def centres(self, features: Tensor) -> Tensor:
        """Features [..., D] as they enter the window; zero stays zero."""
        return F.rms_norm(features, self.norm.shape, self.norm, EPSILON)


def causal_offsets(reach: int) -> tuple[tuple[int, int], ...]:
    """(row, col) relative to a position of the cells of its window that lie before it, in raster order."""
    span = range(-reach, reach + 1)
    return tuple(offset for offset in product(span, span) if offset < (0, 0))


def collapse(blender: Blender) -> Collapsed:
    """Compose both convolutions of all hops into one operator per tap; differentiable, gradients are the direct form's.

    Two valid convolutions in a row are one whose kernel is the full convolution of both kernels, and whose bias is the
    first bias seen through the sum of the second kernel plus the second bias.
    """
    weights, reach = blender.hop_weights(), blender.reach
    operators: dict[tuple[int, int], Tensor] = {}
    bias = weights.new_zeros(blender.width)
    for weight, hop in zip(weights, blender.hops, strict=True):
        first, second = (blender.get_parameter(f"conv{name}.weight") for name in (hop, f"{hop}2"))
        first_bias, second_bias = (blender.get_parameter(f"conv{name}.bias") for name in (hop, f"{hop}2"))
        bias = bias + weight * (second.sum((2, 3)) @ first_bias + second_bias)
        for offset, operator in _operators(first, second).items():
            weighted = weight * operator
            operators[offset] = operators[offset] + weighted if offset in operators else weighted
    taps = torch.stack([operators[offset] for offset in causal_offsets(reach)])
    return Collapsed(reach, taps, operators[0, 0], bias, weights, _score(blender))


def _operators(first: Tensor, second: Tensor) -> dict[tuple[int, int], Tensor]:
    """Operators [D, D] (input, output) of two kernels [D, D, h+1, h+1] one after the other, up to the centre's.

    The operator at an offset is the sum of second[q] first[h + offset - q] over all cells q for which both exist; the
    sum is one matrix product.
    """
    hop = first.shape[-1] - 1
    cells = list(product(range(hop + 1), repeat=2))
    inner = dict(zip(cells, first.permute(2, 3, 0, 1).contiguous().flatten(0, 1), strict=True))  # (middle, input)
    outer = dict(zip(cells, second.permute(2, 3, 1, 0).contiguous().flatten(0, 1), strict=True))  # (middle, output)
    operators = {}
    for row, col in (*causal_offsets(hop), (0, 0)):
        met = [((hop + row - y, hop + col - x), (y, x)) for y, x in cells]
        pairs = [(inner[cell], outer[q]) for cell, q in met if cell in inner]
        operators[row, col] = torch.cat([i for i, _ in pairs]).t() @ torch.cat([o for _, o in pairs])
    return operators


def _score(blender: Blender) -> Score:
    """The score's parameters in the layout of `Score`."""
    names = ("0.weight", "0.bias", "2.weight", "2.bias")
    hidden, hidden_bias, output, output_bias = (blender.get_parameter(f"mlp.{name}") for name in names)
    return Score(hidden.t().contiguous(), hidden_bias, output[0], output_bias)


# -- Decoding ---------------------------------------------------------------------------------------------------------


class ContextMemory:
    """What one blender of one generation remembers of the image: the cells so far and its products for one row.

    The R(2R+1) taps of the rows above are one matrix product when a row is entered, so that a position costs the R left
    taps only. Positions may be repeated or gone back to; what lies at and after a position is never read.
    """

    def __init__(self, blender: Collapsed, grid: Grid, rows: int) -> None:
        reach, width = blender.reach, len(blender.bias)
        self._grid, self._reach, self._bias = grid, reach, blender.bias.detach()
        taps = blender.taps.detach()
        above = reach * (2 * reach + 1)
        self._above_taps, self._left_taps = taps[:above].flatten(0, 1), taps[above:].flatten(0, 1)
        # zeros around the image stand for the cells outside of it
        self._cells = taps.new_zeros(rows, reach + grid.height, grid.width + 2 * reach, width)
        self._row = -1
        self._above = taps.new_zeros(rows, grid.width, width)

    def write(self, position: int, cell: Tensor) -> None:
        """Set the cell [B, D] of a position."""
        row, col = self._grid.row_col(position)
        self._cells[:, row + self._reach, col + self._reach] = cell.detach()

    def context(self, position: int) -> Tensor:
        """What the cells before a position add there [B, D], with the bias; all of them must have been written."""
        row, col = self._grid.row_col(position)
        if row != self._row or col == 0:  # the last cell above is written just before its row is entered
            self._row, self._above = row, self._products(row)
        left = self._cells[:, row + self._reach, col : col + self._reach].flatten(1)
        return torch.addmm(self._above[:, col], left, self._left_taps)

    def _products(self, row: int) -> Tensor:
        """What the rows above add at all columns of a row [B, W, D], with the bias."""
        reach, batch = self._reach, len(self._cells)
        windows = self._cells[:, row : row + reach].unfold(2, 2 * reach + 1, 1)  # [B, R, W, D, 2R+1]
        columns = windows.permute(0, 2, 1, 4, 3).reshape(batch * self._grid.width, -1)
        return torch.addmm(self._bias, columns, self._above_taps).view(batch, self._grid.width, -1)


class FaidDecoding:
    """The blenders' state of one generation of B prompts; nothing is shared with another one.

    layers: what `Faid.collapse` made, which may be shared.
    """

    def __init__(self, layers: Sequence[CollapsedLayer], grid: Grid, rows: int, rule: Rule = "consistent") -> None:
        self._layers, self._grid, self._rows, self._rule = tuple(layers), grid, rows, _checked_rule(rule)
        self._memories = [ContextMemory(layer.blender, grid, rows) for layer in layers]
        self._known = 0  # cells that every blender has

    def step(self, position: int, features: Tensor, present: Tensor) -> BlendPass:
        """The pass that predicts `position`, for `attach`; its newest entry is the code before (or the prompt's end).

        features: [B, K, D] of the neighbours, zero where there is none; present: [B, K] whether there is one. Raises
        ConfigError for another shape, or when positions are left out (a position may be repeated or gone back to).
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

        return BlendPass(self._layers, features.unsqueeze(1), present.unsqueeze(1), self._rule, context, first=-1)

    def replay(self, prefix: int, features: Tensor, present: Tensor) -> BlendPass:
        """The pass over the first n positions at once, for `attach`; decoding goes on at position n with `step`.

        As `teacher_forced`, with features [B, n, K, D] and present [B, n, K]; the sequence ends with the entry that
        predicts position n - 1.
        """
        count = features.shape[1]

        def remember(number: int, cells: Tensor) -> None:
            for position in range(count - 1):
                self._memories[number].write(position, cells[:, position])
            self._known = count - 1

        return teacher_forced(self._layers, self._grid, prefix, features, present, self._rule, remember)


def teacher_forced(
    layers: Sequence[CollapsedLayer],
    grid: Grid,
    prefix: int,
    features: Tensor,
    present: Tensor,
    rule: Rule = "consistent",
    remember: Callable[[int, Tensor], None] = lambda number, cells: None,
) -> BlendPass:
    """The pass over whole sequences, or over their beginnings, for `attach`: decoding's numbers, all positions at once.

    prefix: T; entry T+j has image code j as its input, entry T-1+p predicts position p, the last code may be left out.
    features: [B, n, K, D], zero where there is no neighbour; present: [B, n, K]; n: the first n positions, or all of
    them. remember: gets the number of each blender and its cells [B, S, D]. Raises ConfigError for another shape.
    """
    positions = features.shape[1] if features.dim() > 1 else 0
    if not 1 <= positions <= grid.positions or prefix < 1:
        raise ConfigError(
            f"teacher forcing: got {positions} positions after {prefix} entries, expected 1 to {grid.positions} "
            "after at least 1"
        )
    blenders = [layer.blender for layer in layers]

    def context(number: int, normed: Tensor) -> Tensor:
        cells = normed[:, prefix : prefix + positions - 1]
        cells = F.pad(cells, (0, 0, 0, grid.positions - cells.shape[1]))  # nothing reads those cells
        remember(number, cells)
        return blenders[number].context_everywhere(grid, cells)[:, :positions]

    return BlendPass(tuple(layers), features, present, _checked_rule(rule), context, first=prefix - 1)


def _checked_rule(rule: Rule) -> Rule:
    """The rule; ConfigError when there is no such one."""
    if rule not in get_args(Rule):
        raise ConfigError(f"FAiD rule: got {rule!r}, expected one of {', '.join(get_args(Rule))}")
    return rule


# -- Attaching to a model ---------------------------------------------------------------------------------------------


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

    def share(self, gate: Tensor | None = None) -> Tensor:
        """Norm of what was added relative to the layer's input [B, P].

        gate: [B, 1, D] what the layer multiplies its attention's output by, if it does (see `attach`).
        """
        added = self.added if gate is None else self.added * gate
        norm = partial(torch.linalg.vector_norm, dim=-1, dtype=torch.float32)  # float16 ends at 65504
        share: Tensor = norm(added) / norm(self.hidden).clamp_min(torch.finfo(torch.float32).tiny)
        return share


class BlendPass:
    """One forward pass with blenders: features go from one to the next, `records` says what each of them did.

    Made by `FaidDecoding.step` and `teacher_forced`, used once by `attach`. features: [B, P, K, D]; present: [B, P, K];
    context(number of the blender, input norm's output [B, n, D]) -> [B, P, D]; first: index of the first predicting
    entry (negative: from the end).
    """

    def __init__(
        self,
        layers: tuple[CollapsedLayer, ...],
        features: Tensor,
        present: Tensor,
        rule: Rule,
        context: Callable[[int, Tensor], Tensor],
        first: int,
    ) -> None:
        if features.dim() != 4 or 0 in features.shape or features.shape[-1:] != layers[0].norm.shape:
            width = len(layers[0].norm)
            raise ConfigError(f"features: got {tuple(features.shape)}, expected [rows, positions, neighbours, {width}]")
        if present.shape != features.shape[:-1] or present.dtype != torch.bool:
            raise ConfigError(
                f"present: got {present.dtype} {tuple(present.shape)}, expected torch.bool {tuple(features.shape[:-1])}"
            )
        self.layers, self.records = layers, list[BlendRecord]()
        self._features, self._context, self._first = features, context, first
        self._mask = present.unsqueeze(-1) if rule == "consistent" else None

    def blend(self, number: int, hidden: Tensor, normed: Tensor) -> Tensor:
        """What blender `number` adds to the attention's output [rows, n, D]; zero at other entries and rows.

        hidden, normed: [rows, n, D] input and output of the layer's input norm. The first B rows are conditional;
        those after them are the unconditional ones of CFG, which get nothing and pass nothing on. Raises ConfigError
        for other shapes and for a second pass.
        """
        batch, positions = self._features.shape[:2]
        rows, count = normed.shape[:2]
        first = self._first if self._first >= 0 else count + self._first
        if number != len(self.records):
            raise ConfigError(f"blender {number}: got a second or disordered pass, expected one pass for each attach()")
        if rows < batch or first + positions > count:
            raise ConfigError(
                f"model input: got {rows} rows of {count} entries, expected at least {batch} rows of at least "
                f"{first + positions} entries; the features must be of the same prompts and positions"
            )
        layer = self.layers[number]
        centres = layer.centres(self._features)
        if self._mask is not None:
            centres = centres * self._mask
        blended = layer.blender.blend(self._context(number, normed[:batch]), centres)
        added = blended.features.mean(-2)
        self._features = blended.features
        seen = hidden[:batch, first : first + positions]
        self.records.append(_record(layer, blended, added, seen))
        return F.pad(added, (0, 0, first, count - first - positions, 0, rows - batch))


def _record(layer: CollapsedLayer, blended: Blended, added: Tensor, hidden: Tensor) -> BlendRecord:
    """What a blender did, without gradients."""
    parts = (blended.compatibility, layer.blender.hop_weights, blended.features, added, hidden)
    return BlendRecord(layer.number, *(part.detach() for part in parts))


class _LayerHooks:
    """The two hooks of one blended layer: remember the input norm's output, add the blend to the attention's."""

    def __init__(self, blending: BlendPass, number: int) -> None:
        self._blending, self._number = blending, number
        self._seen: tuple[Tensor, Tensor] | None = None
        self._thread = threading.get_ident()

    def capture(self, module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        """After the input norm."""
        if threading.get_ident() == self._thread:  # another thread's pass through the same model is not ours
            self._seen = arguments[0], output

    def add(self, module: nn.Module, arguments: object, output: Tensor | tuple[Tensor, ...]) -> object:
        """After the attention: the output that replaces its own."""
        if threading.get_ident() != self._thread:
            return None
        if self._seen is None:
            raise ConfigError("decoder layer: got its attention before its input norm, expected a pre-norm layer")
        added = self._blending.blend(self._number, *self._seen)
        if isinstance(output, tuple):
            return output[0] + added.to(output[0].dtype), *output[1:]
        return output + added.to(output.dtype)


@contextmanager
def attach(layers: Sequence[nn.Module] | nn.ModuleList, blending: BlendPass) -> Iterator[None]:
    """Put the blenders of one pass on a stack of decoder layers; the layers' classes need not know of it.

    Inside, run the stack exactly once. Each blended layer needs `input_layernorm`, whose output at image entries is the
    context, and `self_attn`, whose output (or its first part, if a tuple) gets the blend added. In a Llama layer that
    is h' = h + attention + blend, as released. The embedded transformer's norm has the condition's scale and shift in
    it, and so has the context; its layer multiplies the attention by a gate, and so the blend: it is one more branch
    of the attention block, which the condition may open and close, in training and decoding alike.

    The state is the pass's, and hooks act in the thread that attached them only: generations may be interleaved, and
    share one model, when each attaches around its own passes. However the block is left, the hooks are gone. Raises
    ConfigError for layers without these parts and when the block did not run the whole stack.
    """
    handles: list[RemovableHandle] = []
    try:
        for number, blended in enumerate(blending.layers):
            norm, attention = _hook_points(layers, blended.number)
            hooks = _LayerHooks(blending, number)
            handles.append(norm.register_forward_hook(hooks.capture))
            handles.append(attention.register_forward_hook(hooks.add))
        yield
    finally:
        for handle in handles:
            handle.remove()
    if len(blending.records) != len(blending.layers):
        ran = len(blending.records)
        raise ConfigError(f"attach: got {ran} of {len(blending.layers)} blenders run, expected one pass of all layers")


def _hook_points(layers: Sequence[nn.Module] | nn.ModuleList, number: int) -> tuple[nn.Module, nn.Module]:
    """Input norm and attention of a layer; ConfigError when there is none."""
    if number >= len(layers):
        raise ConfigError(f"blended layers: got layer {number}, expected less than the model's {len(layers)}")
    layer = layers[number]
    norm, attention = getattr(layer, "input_layernorm", None), getattr(layer, "self_attn", None)
    if not isinstance(norm, nn.Module) or not isinstance(attention, nn.Module):
        raise ConfigError(
            f"layer {number}: got a {type(layer).__name__}, expected one with input_layernorm and self_attn"
        )
    return norm, attention
