"""Blenders in real stacks of layers: decoding against the teacher-forced pass, and who must not touch whom."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from core import engine
from core.backends.attach import attach
from core.backends.blend_pass import BlendPass, BlendRecord, FaidDecoding, Rule, parallel_pass, share
from core.backends.emoji.backend import EmojiBackend
from core.backends.emoji.transformer import Modulation, conditions
from core.context import Context, retrieving_positions
from core.faid import CollapsedLayer, Faid, direct
from core.patches.database import PatchDatabase
from core.types import ConfigError, DecodeSettings, Grid
from tests.closeness import assert_close
from tests.llama import Stack

pytestmark = pytest.mark.processor

RULES: tuple[Rule, ...] = ("consistent", "official")
WIDTH, NEIGHBOURS, PREFIX, GRID = 8, 3, 3, Grid(4, 4)


@dataclass
class Case:
    """A stack with blenders, and what two prompts and their images put into it; unconditional prompts are zeros."""

    stack: Stack
    faid: Faid
    prompts: Tensor  # [B, T, D]
    codes: Tensor  # [B, S, D]
    features: Tensor  # [B, S, K, D]
    present: Tensor  # [B, S, K]

    def row(self, row: int) -> Case:
        only = slice(row, row + 1)
        return Case(
            self.stack, self.faid, self.prompts[only], self.codes[only], self.features[only], self.present[only]
        )


def random_faid(width: int, blended: tuple[int, ...], std: float = 0.3) -> Faid:
    faid = Faid(width, blended).requires_grad_(False)
    for parameter in faid.parameters():
        parameter.normal_(std=std)
    return faid


def retrieving(grid: Grid) -> Tensor:
    mask = torch.zeros(grid.positions, dtype=torch.bool)
    mask[retrieving_positions(Context(), grid).tolist()] = True
    return mask


@pytest.fixture
def case() -> Case:
    torch.manual_seed(5)
    stack = Stack(4, WIDTH, 16, 4, 2).requires_grad_(False)
    for parameter in stack.parameters():
        parameter.normal_(std=0.4)
    present = retrieving(GRID)[:, None].repeat(2, 1, NEIGHBOURS)
    present[1, 5, 2] = False  # a position that found one neighbour less
    features = torch.randn(2, GRID.positions, NEIGHBOURS, WIDTH) * present[..., None]
    prompts, codes = torch.randn(2, PREFIX, WIDTH), torch.randn(2, GRID.positions, WIDTH)
    return Case(stack, random_faid(WIDTH, (0, 2)), prompts, codes, features, present)


def parallel(case: Case, rule: Rule = "consistent", last: int = -1) -> tuple[Tensor, list[BlendRecord]]:
    """Hidden states [B, S, D] that predict every position, and the records, of one pass."""
    blending = parallel_pass(case.faid.collapse(), GRID, PREFIX, case.features, case.present, rule)
    with attach(case.stack.layers, blending):
        hidden = case.stack(torch.cat([case.prompts, case.codes[:, :last]], dim=1), case.stack.caches())
    return hidden[:, PREFIX - 1 : PREFIX - 1 + GRID.positions], blending.records


class Generation:
    """One decoding of a case, guided: conditional rows, then unconditional ones."""

    def __init__(self, case: Case, rule: Rule = "consistent") -> None:
        self.case, self.caches, self.outputs = case, case.stack.caches(), list[Tensor]()
        self.decoding = FaidDecoding(case.faid.collapse(), GRID, len(case.prompts), rule)
        self.records: list[list[BlendRecord]] = []

    def step(self) -> None:
        position, case = len(self.outputs), self.case
        if position == 0:
            entries = torch.cat([case.prompts, torch.zeros_like(case.prompts)])
        else:
            entries = case.codes[:, position - 1 : position].repeat(2, 1, 1)
        blending = self.decoding.step(position, case.features[:, position], case.present[:, position])
        with attach(case.stack.layers, blending):
            self.outputs.append(case.stack(entries, self.caches)[:, -1])
        self.records.append(blending.records)

    def run(self) -> Tensor:
        """[2B, S, D]"""
        while len(self.outputs) < GRID.positions:
            self.step()
        return torch.stack(self.outputs, dim=1)


# -- Decoding, teacher forcing, the definition ------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_decoding_equals_the_teacher_forced_pass(case: Case, rule: Rule) -> None:
    generation = Generation(case, rule)
    hidden, records = parallel(case, rule)
    assert_close(generation.run()[:2], hidden)
    for number, record in enumerate(records):
        steps = [step[number] for step in generation.records]
        for name in ("compatibility", "features", "added", "hidden"):
            assert_close(torch.cat([getattr(step, name) for step in steps], dim=1), getattr(record, name))
        shares = torch.cat([share(step.added, step.hidden) for step in steps], dim=1)
        assert_close(shares, share(record.added, record.hidden))


def test_the_last_code_may_be_there_and_is_not_read(case: Case) -> None:
    without, _ = parallel(case)
    with_it, _ = parallel(case, last=GRID.positions)
    assert_close(with_it, without)


def test_the_rules_differ_only_after_the_first_blender(case: Case) -> None:
    (consistent, first), (official, second) = parallel(case), parallel(case, "official")
    assert (consistent - official).abs().max() > 1e-3
    assert_close(second[0].features, first[0].features)
    outside = ~case.present.any(-1)
    assert (first[1].features - second[1].features)[outside].abs().max() > 1e-3


@pytest.mark.parametrize("rule", RULES)
def test_records_follow_the_definition(case: Case, rule: Rule) -> None:
    """Every blender again in the direct form, from the inputs that the layers got."""
    _, records = parallel(case, rule)
    features = case.features
    for record in records:
        layer, blender = case.faid.layer(record.layer), case.faid.layer(record.layer).blender
        normed = case.stack.layer(record.layer).input_layernorm(record.hidden)
        cells = torch.cat([normed[:, 1:], torch.full_like(normed[:, :1], 7.0)], dim=1)  # entry T-1+p has code p-1
        centres = layer.retrieval_layernorm(features)
        if rule == "consistent":
            centres = centres * case.present[..., None]
        blended = [direct(blender, GRID, cells, centres[:, p], p) for p in range(GRID.positions)]
        assert_close(record.features, torch.stack([b.features for b in blended], dim=1))
        assert_close(record.compatibility, torch.stack([b.compatibility for b in blended], dim=1))
        assert_close(record.added, record.features.mean(2))
        assert_close(record.hop_weights, blender.hop_weights())
        features = record.features


def test_a_position_sees_no_later_code_and_no_later_neighbour(case: Case) -> None:
    before, _ = parallel(case)
    case.codes[:, 7:] += 1
    case.features[:, 8:] += 1
    after, _ = parallel(case)
    assert_close(after[:, :8], before[:, :8])
    assert (after[:, 8:] - before[:, 8:]).abs().max() > 1e-3


def test_a_batch_row_equals_the_prompt_alone(case: Case) -> None:
    together, _ = parallel(case)
    decoded = Generation(case).run()
    for row in range(2):
        assert_close(parallel(case.row(row))[0][0], together[row])
        assert_close(Generation(case.row(row)).run()[0], decoded[row])


def test_unconditional_rows_get_nothing(case: Case) -> None:
    caches, plain = case.stack.caches(), []
    for position in range(GRID.positions):
        prompts = torch.zeros_like(case.prompts)
        plain.append(case.stack(case.codes[:, position - 1 : position] if position else prompts, caches)[:, -1])
    assert_close(Generation(case).run()[2:], torch.stack(plain, dim=1))


def test_unconditional_rows_get_nothing_in_a_parallel_pass(case: Case) -> None:
    blending = parallel_pass(case.faid.collapse(), GRID, PREFIX, case.features[:1], case.present[:1])
    entries = torch.cat([case.prompts, case.codes], dim=1)
    with attach(case.stack.layers, blending):
        hidden = case.stack(entries, case.stack.caches())
    assert_close(hidden[0, PREFIX - 1 : -1], parallel(case)[0][0])
    assert_close(hidden[1], case.stack(entries, case.stack.caches())[1])


def test_blenders_act_on_every_position_and_on_nothing_before(case: Case) -> None:
    entries = torch.cat([case.prompts, case.codes], dim=1)
    blending = parallel_pass(case.faid.collapse(), GRID, PREFIX, case.features, case.present)
    with attach(case.stack.layers, blending):
        hidden = case.stack(entries, case.stack.caches())
    difference = (hidden - case.stack(entries, case.stack.caches())).abs().amax(dim=(0, 2))
    assert (difference[: PREFIX - 1] == 0).all()
    assert (difference[PREFIX - 1 : -1] > 1e-4).all()


def test_inputs_are_not_mutated(case: Case) -> None:
    inputs = [case.prompts, case.codes, case.features, case.present, *case.faid.parameters()]
    copies = [x.clone() for x in inputs]
    Generation(case).run()
    parallel(case)
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, copies, strict=True))


def test_gradients_reach_every_parameter_of_the_blenders(case: Case) -> None:
    case.faid.requires_grad_(True)
    hidden, records = parallel(case)
    gradients = torch.autograd.grad(hidden.square().sum(), list(case.faid.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    assert not any(record.features.requires_grad for record in records)


def test_products_that_are_made_before_give_the_same_blend() -> None:
    (layer,) = random_faid(WIDTH, (1,)).collapse()
    features, context = torch.randn(2, 5, NEIGHBOURS, WIDTH), torch.randn(2, 5, WIDTH)
    features[1, 2] = 0
    expected = layer.blender.blend(context, layer.centres(features))
    got = layer.blender.blend_products(context, layer.products(features))
    assert_close(got.features, expected.features)
    assert_close(got.compatibility, expected.compatibility)
    assert not layer.products(features)[1, 2].any()


# -- Hooks ------------------------------------------------------------------------------------------------------------


def hooks(stack: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in stack.modules())


def one_pass(case: Case) -> BlendPass:
    return FaidDecoding(case.faid.collapse(), GRID, 2).step(0, case.features[:, 0], case.present[:, 0])


def test_hooks_are_there_inside_only(case: Case) -> None:
    with attach(case.stack.layers, one_pass(case)):
        assert hooks(case.stack) == 4
        case.stack(case.prompts, case.stack.caches())
    assert hooks(case.stack) == 0


def test_hooks_are_removed_after_exceptions(case: Case) -> None:
    with pytest.raises(KeyError), attach(case.stack.layers, one_pass(case)):
        raise KeyError
    assert hooks(case.stack) == 0
    case.stack.layers[2].self_attn = None  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="layer 2: got a Layer"), attach(case.stack.layers, one_pass(case)):
        pass
    assert hooks(case.stack) == 0
    with pytest.raises(ConfigError, match="expected less than the model's 1"):
        attach(case.stack.layers[:1], one_pass(case)).__enter__()
    assert hooks(case.stack) == 0


def run_times(case: Case, times: int) -> None:
    for _ in range(times):
        case.stack(case.prompts, case.stack.caches())


def test_a_block_runs_the_stack_exactly_once(case: Case) -> None:
    with pytest.raises(ConfigError, match="layer 0: got a second pass"), attach(case.stack.layers, one_pass(case)):
        run_times(case, 2)
    with pytest.raises(ConfigError, match="got 0 of 2 blenders run"), attach(case.stack.layers, one_pass(case)):
        pass
    assert hooks(case.stack) == 0


def test_rows_and_entries_must_fit(case: Case) -> None:
    with pytest.raises(ConfigError, match="got 1 rows"), attach(case.stack.layers, one_pass(case)):
        case.stack(case.prompts[:1], case.stack.caches())
    blending = parallel_pass(case.faid.collapse(), GRID, PREFIX, case.features, case.present)
    with (
        pytest.raises(ConfigError, match="at least 2 rows of at least 18"),
        attach(case.stack.layers, blending),
    ):
        case.stack(case.codes, case.stack.caches())


def test_interleaved_generations_do_not_touch_each_other(case: Case) -> None:
    first, second = case, Case(case.stack, case.faid, case.prompts + 1, -case.codes, -case.features, case.present)
    expected = Generation(first).run(), Generation(second).run()
    generations = Generation(first), Generation(second, "consistent")
    for _ in range(5):
        generations[0].step()
    for _ in range(GRID.positions - 5):
        generations[1].step()
        generations[0].step()
    assert all(torch.equal(g.run(), e) for g, e in zip(generations, expected, strict=True))


def test_generations_in_two_threads_do_not_touch_each_other(case: Case) -> None:
    """Both are inside of attach at the same time, on the same layers: each step waits for the other's."""
    expected, barrier, outputs = Generation(case).run(), threading.Barrier(2, timeout=20), dict[int, Tensor]()

    def run(row: int) -> None:
        outputs[row] = Generation(case.row(row)).run()

    def wait(*_: object) -> None:
        barrier.wait()

    case.stack.layers[1].register_forward_hook(wait)
    threads = [threading.Thread(target=run, args=(row,)) for row in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for row in range(2):
        assert_close(outputs[row], expected[[row, 2 + row]])


# -- The embedded transformer -----------------------------------------------------------------------------------------


@dataclass
class Embedded:
    """The embedded transformer with blenders: one prompt, its codes and what was retrieved for them."""

    backend: EmojiBackend
    layers: tuple[CollapsedLayer, ...]
    modulation: Modulation
    codes: Tensor
    features: Tensor
    present: Tensor


@pytest.fixture(params=[(0, 2), (0, 1, 2)])
def embedded(backend: EmojiBackend, request: pytest.FixtureRequest) -> Embedded:
    torch.manual_seed(3)
    model, grid = backend.transformer, backend.grid
    present = retrieving(grid)[None, :, None].repeat(1, 1, NEIGHBOURS)
    features = torch.randn(1, grid.positions, NEIGHBOURS, model.config.width) * present[..., None]
    layers = random_faid(model.config.width, request.param, std=0.06).collapse()
    condition = conditions([backend.encoder.encode("a red heart, 3d style")], backend.encoder, model)
    with torch.no_grad():
        modulation = model.modulate(condition.joined(condition.null()))
    return Embedded(backend, layers, modulation, torch.randint(48, (1, grid.positions)), features, present)


def decode(case: Embedded) -> tuple[Tensor, list[BlendRecord]]:
    """Logits [2, S, V] of the guided decoding, and the last blender's records."""
    model, grid = case.backend.lean, case.backend.grid
    decoding, cache, prompt = FaidDecoding(case.layers, grid, 1), model.cache(2), model.prompt(case.modulation)
    logits, records = [], []
    for position in range(grid.positions):
        codes = case.codes[:, max(0, position - 1) : position].repeat(2, 1)
        blending = decoding.step(position, case.features[:, position], case.present[:, position])
        logits.append(model.logits(prompt, cache, position, codes, blending))
        records.append(blending.records[-1])
    return torch.cat(logits, dim=1), records


@torch.no_grad()
def test_the_embedded_transformer_decodes_as_it_is_trained(embedded: Embedded) -> None:
    model, grid = embedded.backend.transformer, embedded.backend.grid
    both = embedded.codes.repeat(2, 1)
    blending = parallel_pass(embedded.layers, grid, model.config.prefix, embedded.features, embedded.present)
    plain = model(both, embedded.modulation)
    expected = model(both, embedded.modulation, blending=blending)
    got, records = decode(embedded)
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert_close(expected[1], plain[1])
    assert ((expected[0] - plain[0]).abs().amax(-1) > 1e-3).all()
    gate = embedded.modulation.layers[2, :1, 2, None]
    shares = torch.cat([share(record.added * gate, record.hidden) for record in records], dim=1)
    assert_close(shares, share(blending.records[-1].added * gate, blending.records[-1].hidden))


@torch.no_grad()
def test_a_pass_that_is_run_again_begins_anew(embedded: Embedded) -> None:
    model, both = embedded.backend.transformer, embedded.codes.repeat(2, 1)
    prefix = model.config.prefix
    blending = parallel_pass(embedded.layers, embedded.backend.grid, prefix, embedded.features, embedded.present)
    first, again = (model(both, embedded.modulation, blending=blending) for _ in range(2))
    assert torch.equal(first, again)
    assert [record.layer for record in blending.records] == [layer.number for layer in embedded.layers]


@torch.no_grad()
def test_hooks_add_what_the_argument_adds(embedded: Embedded) -> None:
    model, both = embedded.backend.transformer, embedded.codes.repeat(2, 1)
    prefix = model.config.prefix
    blending = parallel_pass(embedded.layers, embedded.backend.grid, prefix, embedded.features, embedded.present)
    with attach(model.layers, blending):
        hooked = model(both, embedded.modulation)
    assert torch.equal(hooked, model(both, embedded.modulation, blending=blending))


@torch.no_grad()
def test_the_blend_goes_through_the_gate_of_the_embedded_layers(embedded: Embedded) -> None:
    """The last layer's input is what the record says; with its gate shut, its blend is without effect."""
    model, grid = embedded.backend.transformer, embedded.backend.grid
    embedded.modulation.layers[:, :, 2] = 0
    blending = parallel_pass(embedded.layers, grid, model.config.prefix, embedded.features, embedded.present)
    blended = model(embedded.codes.repeat(2, 1), embedded.modulation, blending=blending)
    assert_close(blended, model(embedded.codes.repeat(2, 1), embedded.modulation))


# -- The engine -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_engine_decodes_as_a_teacher_forced_pass_over_what_it_made(
    backend: EmojiBackend, database: PatchDatabase
) -> None:
    """Logits with the blenders, and without them at one position alone: there the blend is taken out of the pass."""
    settings = DecodeSettings(
        method="faid", cfg_scale=1, n_neighbours=6, faid_neighbours=NEIGHBOURS, caption_filter=0, record_unblended=True
    )
    prompt, model, grid, tuned = "a red heart, 3d style", backend.transformer, backend.grid, backend.tuned
    assert tuned is not None
    steps = [step for (step,) in engine.decode(backend, database, [prompt], settings)]
    codes = torch.tensor([[step.code for step in steps]])
    found = [engine.neighbours_of(step.retrieval) for step in steps]
    nearest = [[0] * NEIGHBOURS if n is None else n.codes[:NEIGHBOURS].tolist() for n in found]
    present = torch.tensor([[[n is not None] * NEIGHBOURS for n in found]])
    features = model.code_embedding(torch.tensor([nearest])) * present[..., None]
    modulation = model.modulate(conditions([backend.encoder.encode(prompt)], backend.encoder, model))

    def logits(without: int | None) -> Tensor:
        blending = parallel_pass(tuned.blenders.collapse(), grid, model.config.prefix, features, present)
        add_to = blending.add_to

        def left_out(attention: Tensor, layer: int, hidden: Tensor, normed: Tensor) -> None:
            bare = attention.clone()
            add_to(attention, layer, hidden, normed)
            if without is not None:
                place = model.config.pieces + without
                attention[:, place] = bare[:, place]

        blending.add_to = left_out  # type: ignore[method-assign]
        return model(codes, modulation, tuned.head, blending)[0]

    got = torch.tensor([step.logits.tolist() for step in steps])
    assert_close(got, logits(None))
    for position in (0, 1, 8, 9, 30, 63):
        step = steps[position].faid
        assert step is not None
        assert step.unblended is not None
        unblended = torch.from_numpy(step.unblended)
        assert_close(unblended, logits(position)[position])
        assert (unblended - got[position]).abs().max() > 1e-2
