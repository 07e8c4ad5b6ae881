"""Weight matrices, laid out for the products that decoding makes of them: a few rows times the whole matrix.

Which layout is fast depends on the processor, the dtype and torch's build, by factors of two to fifty: bfloat16 with
transposed weights takes torch's plain loops where the processor has no bfloat16 of its own. So it is measured when a
model is loaded. Symbols: n rows, weights [out, in].
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Name = TypeVar("Name")
Kind = Literal["rows", "columns", "packed"]
"""rows: [out, in] in memory; columns: [in, out]; packed: in blocks of oneDNN's, by operators that torch has for its own
compiler on x86."""

FEW: Final = 2
"""Rows of decoding one picture with guidance."""
MANY: Final = 64
"""Rows from which on it may pay to compute a half-precision product in float32; a prompt alone has about as many."""
LEAST: Final = 2**20
"""Numbers of a matrix that fits the processor's cache, whatever its layout: nothing to measure."""
MOST: Final = 2**25
"""Numbers of the matrix that is measured with, at most."""
ROUNDS: Final = 7
CLOCK: Final = time.process_time if time.get_clock_info("process_time").resolution < 1e-4 else time.perf_counter
"""Time of this process, which others on the machine hardly disturb; where it is too coarse (Windows), of the wall."""
GAIN: Final = 0.9
"""A layout is preferred to those before it in the list when it takes less than this share of their time."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How matrices lie in memory; widened: whether MANY rows and more are multiplied in float32, matrix by matrix."""

    kind: Kind = "rows"
    widened: bool = False


class Matrix(nn.Module):
    """x @ weight.T + bias, for x [..., in] of any number of rows; weight: [out, in], bias: [out] or None.

    Raises RuntimeError where this build of torch or this processor does not have the layout for the dtype.
    """

    held: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, layout: Layout, bias: Tensor | None = None) -> None:
        super().__init__()
        self.layout = layout
        self.register_buffer("held", _laid_out(weight, layout.kind))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        if self.layout.widened and x.numel() >= MANY * x.shape[-1]:
            bias = None if self.bias is None else self.bias.float()
            return F.linear(x.float(), self.held.float(), bias).to(x.dtype)
        if self.layout.kind == "packed":
            product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.held, self.bias, "none", [], "")
            return product
        return F.linear(x, self.held, self.bias)


def _laid_out(weight: Tensor, kind: Kind) -> Tensor:
    """The same matrix [out, in] in another order in memory."""
    if kind == "packed":
        try:
            packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
        except AttributeError as error:  # a build without oneDNN
            raise RuntimeError(f"torch {torch.__version__} has no packed matrices") from error
        return packed
    return weight.contiguous() if kind == "rows" else weight.t().contiguous().t()


def choose_layout(out: int, width: int, dtype: torch.dtype, device: torch.device) -> Layout:
    """The fastest layout for weights [out, width] on this machine, for a few rows and for many.

    Rows on a GPU, whose libraries do either as fast; and MPS needs contiguous operands. Small matrices are not
    measured, so that models that are tiny compute the same in every process.
    """
    kinds: tuple[Kind, ...] = ("columns", "rows", "packed") if dtype == torch.float32 else ("rows", "columns", "packed")
    if device.type != "cpu" or out * width < LEAST:
        return Layout(kinds[0] if device.type == "cpu" else "rows")
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(max(1, min(out, MOST // width)), width, generator=generator).to(dtype)
    x = torch.randn(FEW, width, generator=generator).to(dtype)
    with torch.inference_mode():
        kind = quickest(_candidates(weight, kinds, x), x)
        if kind != "rows" or dtype == torch.float32:
            return Layout(kind)
        both = {wide: Matrix(weight, Layout(kind, wide)) for wide in (False, True)}
        return Layout(kind, quickest(both, x.repeat(MANY // FEW, 1)))


def _candidates(weight: Tensor, kinds: tuple[Kind, ...], x: Tensor) -> dict[Kind, Matrix]:
    """A matrix in each layout that there is here and that gives the numbers of the first one."""
    made: dict[Kind, Matrix] = {}
    expected = F.linear(x.float(), weight.float())
    for kind in kinds:
        try:
            matrix = Matrix(weight, Layout(kind))
            off = (matrix(x).float() - expected).norm() / expected.norm()
        except RuntimeError:  # this processor or this build does not have it
            if kind == "rows":  # which there is everywhere: it is something else, such as too little memory
                raise
            continue
        if off < 0.05:
            made[kind] = matrix
    return made


def quickest(candidates: Mapping[Name, nn.Module], x: Tensor) -> Name:
    """The name of the module that multiplies fastest; an earlier one unless a later one is clearly faster.

    The least time of several counts, which other programs disturb least; what is hopeless is not timed again.
    """
    least = {name: _seconds(module, x) for name, module in candidates.items()}
    for _ in range(ROUNDS):
        bound = 3 * min(least.values())
        for name in [name for name in least if least[name] < bound]:
            least[name] = min(least[name], _seconds(candidates[name], x))
    best, *others = least
    for name in others:
        if least[name] < GAIN * least[best]:
            best = name
    return best


def _seconds(module: nn.Module, x: Tensor) -> float:
    """Seconds of one product."""
    begin = CLOCK()
    module(x)
    return CLOCK() - begin


def lay_out(module: nn.Module, layout: Layout) -> None:
    """Replace the linear layers in a module by matrices of a layout."""
    for name, linear in [(n, m) for n, m in module.named_modules() if isinstance(m, nn.Linear)]:
        bias = None if linear.bias is None else linear.bias.data
        module.set_submodule(name, Matrix(linear.weight.data, layout, bias))
