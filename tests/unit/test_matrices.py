"""Matrices in every layout multiply alike, and the fastest layout is taken."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from core.backends.janus import matrices
from core.backends.janus.matrices import Kind, Layout, Matrix, choose_layout, lay_out, quickest
from tests.closeness import assert_close

CPU = torch.device("cpu")


def product(x: Tensor, weight: Tensor, layout: Layout, bias: Tensor | None = None) -> Tensor:
    try:
        return Matrix(weight, layout, bias)(x)
    except RuntimeError:
        if layout.kind != "packed":
            raise
        pytest.skip("this build of torch, or this processor, has no packed matrices")


@pytest.mark.processor
@pytest.mark.parametrize("kind", ["rows", "columns", "packed"])
@pytest.mark.parametrize("shape", [(2, 1, 40), (1, 40), (2, 70, 40)])
def test_layouts_multiply_alike(kind: Kind, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    x, weight = torch.randn(shape, generator=generator), torch.randn(24, 40, generator=generator)
    bias = torch.randn(24, generator=generator)
    assert_close(product(x, weight, Layout(kind)), x @ weight.t())
    assert_close(product(x, weight, Layout(kind), bias), x @ weight.t() + bias)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    assert_close(product(strided, weight, Layout(kind)), x @ weight.t())


@pytest.mark.parametrize("kind", ["rows", "columns", "packed"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_near(kind: Kind, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 40, generator=generator).to(dtype)
    weight = torch.randn(24, 40, generator=generator).to(dtype)
    found = product(x, weight, Layout(kind))
    assert found.dtype == dtype
    assert_close(found.float(), x.float() @ weight.float().t(), relative=0.02)


def test_many_rows_are_multiplied_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, bias = torch.arange(12.0).view(3, 4).half(), torch.ones(3).half()
    matrix, used = Matrix(weight, Layout("rows", widened=True), bias), []
    linear = matrices.F.linear

    def recorded(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        used.append((x.dtype, weight.dtype, bias.dtype))
        return linear(x, weight, bias)

    monkeypatch.setattr(matrices.F, "linear", recorded)
    for rows, dtype in ((matrices.MANY - 1, torch.float16), (matrices.MANY, torch.float32)):
        found = matrix(torch.ones(1, rows, 4).half())
        assert found.dtype == torch.float16
        assert found[0].tolist() == [[7.0, 23.0, 39.0]] * rows
        assert used.pop() == (dtype, dtype, dtype)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"rows": [3.0], "columns": [2.0], "packed": [1.0]}, "packed"),
        ({"rows": [1.0], "columns": [0.95], "packed": [2.0]}, "rows"),  # hardly faster: the first one
        ({"rows": [5.0, 1.0], "columns": [2.0], "packed": [3.0]}, "rows"),  # what disturbed it once does not count
        ({"rows": [10.0, 0.1], "columns": [2.0], "packed": [3.0]}, "columns"),  # hopeless: not timed again
    ],
)
def test_the_quickest_is_taken(seconds: dict[str, list[float]], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {name: nn.Identity() for name in seconds}
    left = {id(modules[name]): list(times) for name, times in seconds.items()}

    def timed(module: nn.Module, x: Tensor) -> float:
        times = left[id(module)]
        return times.pop(0) if len(times) > 1 else times[0]

    monkeypatch.setattr(matrices, "_seconds", timed)
    assert quickest(modules, torch.zeros(1)) == expected


def test_large_matrices_are_measured_and_small_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(module: Matrix, x: Tensor) -> float:
        if module.layout.widened:
            return 1.0 if len(x) == matrices.MANY else 9.0
        return {"rows": 2.0, "columns": 5.0, "packed": 9.0}[module.layout.kind]

    monkeypatch.setattr(matrices, "_seconds", timed)
    assert choose_layout(1024, 1024, torch.float32, CPU) == Layout("rows")
    assert choose_layout(1024, 1024, torch.bfloat16, CPU) == Layout("rows", widened=True)
    monkeypatch.setattr(matrices, "_seconds", None)
    assert choose_layout(64, 64, torch.float32, CPU) == Layout("columns")
    assert choose_layout(64, 64, torch.bfloat16, CPU) == Layout("rows")
    for device in ("cuda", "mps"):
        assert choose_layout(1024, 1024, torch.float32, torch.device(device)) == Layout("rows")


def test_a_layout_that_is_not_there_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(weight: Tensor, kind: Kind) -> Tensor:
        if kind == "packed":
            raise RuntimeError("no oneDNN")
        return weight

    monkeypatch.setattr(matrices, "_laid_out", missing)
    monkeypatch.setattr(matrices, "_seconds", lambda module, x: {"rows": 1.0, "columns": 3.0}[module.layout.kind])
    assert choose_layout(1024, 1024, torch.float32, CPU) == Layout("rows")


def test_linear_layers_become_matrices() -> None:
    stack = nn.Sequential(nn.Linear(3, 5), nn.GELU(), nn.ModuleList([nn.Linear(5, 2)])[0])
    x = torch.randn(4, 3)
    with torch.no_grad():
        expected = stack(x)
        lay_out(stack, Layout("columns"))
        assert [type(module).__name__ for module in stack] == ["Matrix", "GELU", "Matrix"]
        assert_close(stack(x), expected)
