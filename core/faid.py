"""FAiD (feature-augmentation in decoding): blend retrieved patch features into the hidden states of a transformer.

A blended layer smooths the feature of each of the K neighbours against the image so far, scores how well it fits, and
adds the weighted mean to the output of its attention; what it made of the features goes on to the next blended layer.
The smoothing is two convolutions per hop without a nonlinearity between them, hence one linear operator per cell of the
window ("tap"). It stands here twice: `direct` is the definition; `collapse` composes the operators, which everything
else computes with. Both agree up to rounding.

Symbols: B conditional rows, S positions of the grid, K neighbours, D width, R the largest hop ("reach"), T entries of
the sequence before the first image code, P positions of one forward pass (1 when decoding, S when all at once).
Source: Qi et al. 2025 (arXiv 2506.06962) and its released code, where not said otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .types import CheckpointError, ConfigError, Grid

HOPS: Final = (1, 2, 3)
EPSILON: Final = 1e-6  # of the retrieval norm, as in the released model's Llama

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
        return self.of_hidden(smoothed @ self.hidden + self.hidden_bias)

    def of_hidden(self, hidden: Tensor) -> Tensor:
        """[..., K] in 0..1 of what enters the hidden layer's nonlinearity [..., K, D]."""
        return (F.relu(hidden) @ self.output + self.output_bias).sigmoid()


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

    def blend_products(self, context: Tensor, products: Tensor) -> Blended:
        """As `blend`, from the `CollapsedLayer.products` [..., K, 2D] of what enters."""
        centre, hidden = products.chunk(2, dim=-1)
        shared = (context @ self.score.hidden + self.score.hidden_bias).unsqueeze(-2)
        compatibility = self.score.of_hidden(hidden + shared)
        return Blended((centre + context.unsqueeze(-2)) * compatibility.unsqueeze(-1), compatibility)


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

    def products(self, features: Tensor) -> Tensor:
        """All products [..., 2D] of features [..., D] that no context changes: they can be made once for each code.

        What the centre adds to the smoothed feature, and what that adds to the hidden layer of the score.
        """
        centre = self.centres(features) @ self.blender.centre
        return torch.cat([centre, centre @ self.blender.score.hidden], dim=-1)


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


# -- The context, cell by cell -----------------------------------------------------------------------------------------


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

    def fill(self, cells: Tensor) -> None:
        """Set all cells [B, S, D] at once; those that are not known yet may hold anything."""
        height, width = self._grid.height, self._grid.width
        image = cells.detach().reshape(len(cells), height, width, -1)
        self._cells[:, self._reach :, self._reach : self._reach + width] = image
        self._row = -1  # its products are those of other cells

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
