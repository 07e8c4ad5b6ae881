"""The blender: by hand, the collapsed form against the definition, its gradients, its memory and its errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.backends.blend_pass import FaidDecoding, parallel_pass, share
from core.faid import (
    Blender,
    ContextMemory,
    Faid,
    blender_from_tensors,
    causal_offsets,
    collapse,
    direct,
)
from core.types import CheckpointError, ConfigError, Grid
from tests.closeness import assert_close

HOP_SETS = [(1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)]


def random_blender(width: int, hops: tuple[int, ...], seed: int = 0) -> Blender:
    """Every parameter random, in double precision."""
    torch.manual_seed(seed)
    blender = Blender(width, hops).double()
    with torch.no_grad():
        for parameter in blender.parameters():
            parameter.normal_(std=0.5)
    return blender


def random_image(grid: Grid, batch: int, neighbours: int, width: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Context map [B, S, D] and centres [B, S, K, D]."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randn(batch, grid.positions, width, generator=generator, dtype=torch.float64)
    shape = (batch, grid.positions, neighbours, width)
    return cells, torch.randn(shape, generator=generator, dtype=torch.float64)


# -- By hand ----------------------------------------------------------------------------------------------------------


def one_number_wide() -> Blender:
    """Width 1, hop 1: kernels of ones, then 1 2 / 3 4; biases 0.5 and -1; the score is sigmoid(relu(f)).

    Together they are the kernel 1 3 2 / 4 10 6 / 3 7 4 (full convolution) with the bias 10 * 0.5 - 1 = 4.
    """
    blender = Blender(1, (1,))
    values = {
        "conv1.weight": torch.ones(1, 1, 2, 2),
        "conv1.bias": torch.tensor([0.5]),
        "conv12.weight": torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]),
        "conv12.bias": torch.tensor([-1.0]),
        "mlp.0.weight": torch.ones(1, 1),
        "mlp.0.bias": torch.zeros(1),
        "mlp.2.weight": torch.ones(1, 1),
        "mlp.2.bias": torch.zeros(1),
    }
    blender.load_state_dict(values)
    return blender


# 2 x 2 cells 1 2 / 3 4 and a centre of 5: 10 * 5 + 4, plus 4 * left, plus 1 3 2 * the row above
BY_HAND = [54.0, 54.0 + 4 * 1, 54.0 + 3 * 1 + 2 * 2, 54.0 + 4 * 3 + 1 * 1 + 3 * 2]


@pytest.mark.parametrize("position", range(4))
@torch.no_grad()
def test_a_case_computed_by_hand(position: int) -> None:
    blender, grid, cells = one_number_wide(), Grid(2, 2), torch.tensor([[[1.0], [2.0], [3.0], [4.0]]])
    centres = torch.tensor([[[5.0], [-6.0]]])  # the second gives something negative: its score is 1/2
    expected = torch.tensor([[[BY_HAND[position]], [(BY_HAND[position] - 110) / 2]]])
    context = collapse(blender).context_everywhere(grid, cells)[:, position]
    for blended in (direct(blender, grid, cells, centres, position), collapse(blender).blend(context, centres)):
        assert_close(blended.features, expected)
        assert_close(blended.compatibility, torch.tensor([[1.0, 0.5]]))


def test_collapsed_operators_computed_by_hand() -> None:
    collapsed = collapse(one_number_wide())
    assert collapsed.taps.flatten().tolist() == [1, 3, 2, 4]
    assert (collapsed.centre.item(), collapsed.bias.item(), collapsed.hop_weights.tolist()) == (10, 4, [1])


def test_offsets_are_the_cells_before_the_centre() -> None:
    assert causal_offsets(1) == ((-1, -1), (-1, 0), (-1, 1), (0, -1))
    assert [len(causal_offsets(reach)) for reach in (1, 2, 3)] == [4, 12, 24]


def test_hop_weights_sum_to_one() -> None:
    weights = random_blender(2, (1, 2, 3)).hop_weights()
    assert weights.sum().item() == pytest.approx(1)
    assert Blender(2, (3,)).hop_weights().tolist() == [1]


# -- Collapsed against direct -----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    hops=st.sampled_from(HOP_SETS),
    width=st.integers(1, 6),
    neighbours=st.integers(1, 4),
    batch=st.integers(1, 3),
    height=st.integers(1, 6),
    columns=st.integers(1, 6),
    seed=st.integers(0, 2**16),
)
@torch.no_grad()
def test_all_forms_agree(
    hops: tuple[int, ...], width: int, neighbours: int, batch: int, height: int, columns: int, seed: int
) -> None:
    blender, grid = random_blender(width, hops, seed), Grid(height, columns)
    cells, centres = random_image(grid, batch, neighbours, width, seed)
    collapsed, memory = collapse(blender), ContextMemory(collapse(blender), grid, batch)
    everywhere = collapsed.blend(collapsed.context_everywhere(grid, cells), centres)
    for position in range(grid.positions):
        if position > 0:
            memory.write(position - 1, cells[:, position - 1])
        expected = direct(blender, grid, cells, centres[:, position], position)
        step = collapsed.blend(memory.context(position), centres[:, position])
        for got in (step.features, everywhere.features[:, position]):
            assert_close(got, expected.features)
        for got in (step.compatibility, everywhere.compatibility[:, position]):
            assert_close(got, expected.compatibility)


@pytest.mark.parametrize("hops", [(2,), (1, 2), (1, 2, 3)])
@torch.no_grad()
def test_single_precision_agrees_to_1e_5(hops: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    blender, grid = Blender(32, hops), Grid(5, 5)
    cells, centres = torch.randn(1, 25, 32), torch.randn(1, 25, 10, 32)
    collapsed = collapse(blender)
    got = collapsed.blend(collapsed.context_everywhere(grid, cells), centres).features
    expected = torch.stack([direct(blender, grid, cells, centres[:, p], p).features for p in range(25)], dim=1)
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("hops", [(2,), (1, 3), (1, 2, 3)])
def test_gradients_are_those_of_the_direct_form(hops: tuple[int, ...]) -> None:
    blender, grid = random_blender(3, hops), Grid(4, 3)
    cells, centres = (x.requires_grad_() for x in random_image(grid, 2, 2, 3))
    weight = torch.randn(centres.shape, dtype=torch.float64)
    collapsed = collapse(blender)
    fast = collapsed.blend(collapsed.context_everywhere(grid, cells), centres).features
    slow = torch.stack([direct(blender, grid, cells, centres[:, p], p).features for p in range(12)], dim=1)
    leaves = [*blender.parameters(), cells, centres]
    for got, expected in zip(
        torch.autograd.grad((fast * weight).sum(), leaves),
        torch.autograd.grad((slow * weight).sum(), leaves),
        strict=True,
    ):
        assert expected.abs().max() > 0
        assert_close(got, expected)


# -- Causality and memory ---------------------------------------------------------------------------------------------


@torch.no_grad()
def test_cells_at_and_after_a_position_never_matter() -> None:
    blender, grid, position = random_blender(4, (1, 2)), Grid(4, 5), 8
    cells, centres = random_image(grid, 1, 2, 4)
    changed = cells.clone()
    changed[:, position:] += 100
    collapsed = collapse(blender)
    before, after = (collapsed.context_everywhere(grid, x) for x in (cells, changed))
    assert torch.equal(before[:, : position + 1], after[:, : position + 1])
    assert not torch.allclose(before[:, position + 1], after[:, position + 1])
    first, second = (direct(blender, grid, x, centres[:, position], position).features for x in (cells, changed))
    assert torch.equal(first, second)


@torch.no_grad()
def test_a_memory_can_go_back_and_on_with_other_cells() -> None:
    blender, grid = collapse(random_blender(3, (1, 2))), Grid(4, 4)
    cells, _ = random_image(grid, 2, 1, 3)
    others, _ = random_image(grid, 2, 1, 3, seed=9)
    for start in (3, 4, 5, 8):
        memory = ContextMemory(blender, grid, 2)
        for position in range(1, 11):
            memory.write(position - 1, cells[:, position - 1])
            memory.context(position)
        mixed = torch.cat([cells[:, : start - 1], others[:, start - 1 :]], dim=1)
        expected = blender.context_everywhere(grid, mixed)
        for position in range(start, grid.positions):
            memory.write(position - 1, mixed[:, position - 1])
            assert_close(memory.context(position), expected[:, position])


@torch.no_grad()
def test_a_memory_can_be_filled_at_once() -> None:
    blender, grid = collapse(random_blender(3, (1, 2))), Grid(4, 3)
    cells, _ = random_image(grid, 2, 1, 3)
    expected = blender.context_everywhere(grid, cells)
    for position in range(1, grid.positions):
        memory = ContextMemory(blender, grid, 2)
        memory.context(position)  # of nothing
        memory.fill(cells)
        assert_close(memory.context(position), expected[:, position])


@torch.no_grad()
def test_rows_of_a_batch_are_independent() -> None:
    blender, grid = collapse(random_blender(3, (1, 2))), Grid(3, 4)
    cells, centres = random_image(grid, 3, 2, 3)
    together = blender.blend(blender.context_everywhere(grid, cells), centres)
    for row in range(3):
        alone = blender.blend(blender.context_everywhere(grid, cells[row : row + 1]), centres[row : row + 1])
        assert_close(alone.features[0], together.features[row])


@torch.no_grad()
def test_nothing_is_mutated() -> None:
    blender, grid = random_blender(3, (1, 2)), Grid(3, 3)
    cells, centres = random_image(grid, 1, 1, 3)
    inputs = [cells, centres, *blender.parameters()]
    copies = [x.clone() for x in inputs]
    collapsed = collapse(blender)
    memory = ContextMemory(collapsed, grid, 1)
    direct(blender, grid, cells, centres[:, 4], 4)
    memory.write(3, cells[:, 3])
    collapsed.blend(memory.context(4), centres[:, 4])
    collapsed.blend(collapsed.context_everywhere(grid, cells), centres)
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, copies, strict=True))


# -- Names, shapes, errors --------------------------------------------------------------------------------------------


def test_parameters_are_named_as_in_the_released_checkpoint() -> None:
    faid = Faid(2, (0, 3), (1, 2))
    convolutions = [f"blender.conv{n}.{kind}" for n in (1, 12, 2, 22) for kind in ("weight", "bias")]
    score = [f"blender.mlp.{n}.{kind}" for n in (0, 2) for kind in ("weight", "bias")]
    names = {*convolutions, *score, "blender.conv_weights", "retrieval_layernorm.weight"}
    assert set(faid.state_dict()) == {f"layers.{layer}.{name}" for layer in (0, 3) for name in names}
    assert faid.state_dict()["layers.0.blender.conv22.weight"].shape == (2, 2, 3, 3)
    assert "layers.0.blender.conv_weights" not in Faid(2, (0,), (2,)).state_dict()


@pytest.mark.parametrize("hops", HOP_SETS)
def test_blenders_are_found_in_the_tensors_of_a_model(hops: tuple[int, ...]) -> None:
    faid = Faid(2, (0, 4, 10), hops)
    prefix = "language_model.model.layers."
    tensors = {name.replace("layers.", prefix, 1): value for name, value in faid.state_dict().items()}
    found = Faid.from_tensors(tensors | {prefix + "1.self_attn.q_proj.weight": torch.ones(2, 2)}, prefix)
    assert (found.width, found.blended, found.hops) == (2, (0, 4, 10), hops)
    assert all(torch.equal(value, faid.state_dict()[name]) for name, value in found.state_dict().items())


@pytest.mark.parametrize(
    ("missing", "got"),
    [("layers.0.retrieval_layernorm.weight", "nothing"), ("layers.0.blender.conv12.bias", "nothing")],
)
def test_a_missing_tensor_is_named(missing: str, got: str) -> None:
    tensors = {name: value for name, value in Faid(2, (0,)).state_dict().items() if name != missing}
    with pytest.raises(CheckpointError, match=rf"{missing}: got {got}, expected \(2,\)"):
        Faid.from_tensors(tensors)


def test_a_tensor_of_another_shape_is_named() -> None:
    tensors = Blender(2).state_dict() | {"mlp.2.bias": torch.zeros(3)}
    with pytest.raises(CheckpointError, match=r"mlp.2.bias: got \(3,\), expected \(1,\)"):
        blender_from_tensors(tensors)


@pytest.mark.parametrize("tensors", [{}, {"layers.0.blender.mlp.0.weight": torch.ones(1, 1)}])
def test_no_blender_at_all_is_an_error(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match="got no"):
        Faid.from_tensors(tensors)


@pytest.mark.parametrize("hops", [(), (0,), (4,), (2, 1), (1, 1)])
def test_hops_are_checked(hops: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="expected some of 1, 2, 3"):
        Blender(2, hops)


@pytest.mark.parametrize("blended", [(), (-1,), (2, 0), (1, 1)])
def test_blended_layers_are_checked(blended: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="expected ascending"):
        Faid(2, blended)


def test_a_pass_checks_what_it_gets() -> None:
    layers, grid = Faid(2, (0,)).collapse(), Grid(2, 2)
    features, present = torch.zeros(1, 4, 3, 2), torch.ones(1, 4, 3, dtype=torch.bool)
    parallel_pass(layers, grid, 1, features, present)
    for wrong, match in [
        ((features[:, :0], present[:, :0]), "got 0 positions"),
        ((torch.zeros(1, 5, 3, 2), torch.ones(1, 5, 3, dtype=torch.bool)), "got 5 positions"),
        ((features[:, :, :0], present[:, :, :0]), "got .* expected .rows, positions, neighbours, 2"),
        ((features[..., :1], present), "neighbours, 2"),
        ((features, present[..., :2]), "present"),
        ((features, present.float()), r"present: got torch.float32"),
    ]:
        with pytest.raises(ConfigError, match=match):
            parallel_pass(layers, grid, 1, *wrong)
    with pytest.raises(ConfigError, match="got 4 positions after 0 entries"):
        parallel_pass(layers, grid, 0, features, present)
    with pytest.raises(ConfigError, match="expected one of consistent, official"):
        FaidDecoding(layers, grid, 1, "other")  # type: ignore[arg-type]


def test_decoding_goes_in_raster_order() -> None:
    decoding = FaidDecoding(Faid(2, (0,)).collapse(), Grid(2, 2), 1)
    features, present = torch.zeros(1, 3, 2), torch.ones(1, 3, dtype=torch.bool)
    for position in (2, -1, 4):
        with pytest.raises(ConfigError, match=f"got {position}, expected"):
            decoding.step(position, features, present)
    with pytest.raises(ConfigError, match="got 2 rows, expected 1"):
        decoding.step(0, features.repeat(2, 1, 1), present.repeat(2, 1))


def test_share_is_relative_to_the_hidden_state() -> None:
    added, hidden = torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[0.0, 10.0]]])
    assert_close(share(added, hidden), torch.tensor([[0.5]]))
    assert_close(share(torch.zeros(1, 2), torch.zeros(1, 2)), torch.zeros(1))
