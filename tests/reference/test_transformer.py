"""Decoding against the plain teacher-forced pass, in steps and blocks, and what must not influence what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.backends.emoji.backend import EmojiBackend, EmojiDecoding
from core.backends.emoji.lean import LeanCache
from core.backends.emoji.transformer import attention_mask, conditions
from core.backends.protocol import Predicted
from core.testing import near
from core.types import ConfigError
from tests.closeness import assert_close
from tests.tiny import tiny_backend

pytestmark = pytest.mark.processor

PROMPTS = ["a red heart, 3d style", "pizza", "a very small blue dog that sits in the green grass near the old house"]


def stepwise(
    backend: EmojiBackend, prompts: list[str], codes: np.ndarray, guided: bool = False, negatives: bool = False
) -> np.ndarray:
    """Logits of every position: of the prompts, with guidance of no prompt, then of what they are mixed up with."""
    decoding = backend.start(prompts, guided, faid_neighbours=0, negatives=negatives)
    rows = []
    for position in range(codes.shape[1]):
        predicted = decoding.logits(None)
        parts = (predicted.conditional, predicted.unconditional, predicted.negative)
        rows.append(np.concatenate([part for part in parts if part is not None]))
        decoding.append(codes[:, position])
    decoding.close()
    return np.stack(rows, axis=1)


@pytest.fixture
def codes(backend: EmojiBackend) -> np.ndarray:
    return np.random.default_rng(1).integers(0, backend.codebook.size, size=(len(PROMPTS), backend.grid.positions))


def teacher_forced(backend: EmojiBackend, prompts: list[str], codes: np.ndarray) -> np.ndarray:
    model = backend.transformer
    condition = conditions([backend.encoder.encode(p) for p in prompts], backend.encoder, model)
    with torch.inference_mode():
        return model(torch.from_numpy(codes), model.modulate(condition)).numpy()


def test_cached_decoding_equals_the_uncached_pass(backend: EmojiBackend, codes: np.ndarray) -> None:
    expected = teacher_forced(backend, PROMPTS, codes)
    assert np.abs(expected).max() > 0.1
    assert_close(stepwise(backend, PROMPTS, codes), expected)


def test_a_batch_row_equals_the_prompt_alone(backend: EmojiBackend, codes: np.ndarray) -> None:
    together = stepwise(backend, PROMPTS, codes)
    for row, prompt in enumerate(PROMPTS):
        assert_close(stepwise(backend, [prompt], codes[row : row + 1])[0], together[row])


def test_guidance_rows_do_not_touch_the_conditional_ones(backend: EmojiBackend, codes: np.ndarray) -> None:
    both = stepwise(backend, PROMPTS, codes, guided=True)
    assert_close(both[: len(PROMPTS)], stepwise(backend, PROMPTS, codes))
    other = stepwise(backend, ["something else", "sun", "moon"], codes, guided=True)
    assert_close(both[len(PROMPTS) + 1], other[len(PROMPTS) + 1])


def test_guidance_turns_away_from_the_prompt_without_its_colour_in_the_other_style(
    backend: EmojiBackend, codes: np.ndarray
) -> None:
    model, count = backend.transformer, len(PROMPTS)
    null = conditions([backend.encoder.encode("sun")], backend.encoder, model).null()
    with torch.inference_mode():
        nothing = model(torch.from_numpy(codes), model.modulate(null.joined(null).joined(null))).numpy()
    negative = ["heart, flat style", "a very small dog that sits in the grass near the old house"]
    without = teacher_forced(backend, ["a " + negative[0], negative[1]], codes[[0, 2]])
    expected = np.stack([without[0], nothing[1], without[1]])  # "pizza" is mixed up with nothing
    rows = stepwise(backend, PROMPTS, codes, guided=True, negatives=True)
    assert len(rows) == 3 * count
    assert_close(rows[count : 2 * count], nothing)
    assert_close(rows[2 * count :], expected)
    assert np.abs(expected - nothing)[[0, 2]].max() > 0.1
    assert len(stepwise(backend, PROMPTS, codes, guided=True)) == 2 * count


def test_no_position_sees_a_later_code(backend: EmojiBackend, codes: np.ndarray) -> None:
    changed = codes.copy()
    changed[:, 20:] = (changed[:, 20:] + 1) % backend.codebook.size
    before, after = teacher_forced(backend, PROMPTS, codes), teacher_forced(backend, PROMPTS, changed)
    assert_close(before[:, :21], after[:, :21])
    assert np.abs(before[:, 21:] - after[:, 21:]).max() > 1e-3


@pytest.mark.parametrize("other", ["a red heart, flat style", "a blue heart, 3d style", "a red pizza, 3d style"])
def test_style_colour_and_words_all_count(backend: EmojiBackend, codes: np.ndarray, other: str) -> None:
    first, second = (teacher_forced(backend, [p], codes[:1]) for p in (PROMPTS[0], other))
    assert np.abs(first - second).max() > 1e-3


def test_mask_is_causal_and_hides_absent_pieces() -> None:
    visible = torch.tensor([[True, False, True]])
    expected = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 1]], dtype=torch.bool)
    assert torch.equal(attention_mask(visible, 4, 0)[0, 0], expected)
    assert torch.equal(attention_mask(visible, 1, 3)[0, 0], expected[3:])


def test_a_position_may_be_computed_again(backend: EmojiBackend, codes: np.ndarray) -> None:
    expected = stepwise(backend, PROMPTS, codes)
    decoding = backend.start(PROMPTS, guided=False, faid_neighbours=2)
    plain = backend.start(PROMPTS, guided=False, faid_neighbours=0)
    for position in range(12):
        decoding.logits(None)
        decoding.logits([None] * len(PROMPTS))
        plain.logits(None)
        assert_close(plain.logits(None).conditional, expected[:, position])
        decoding.append(codes[:, position])
        plain.append(codes[:, position])


def test_a_cache_belongs_to_one_generation() -> None:
    first, second = (LeanCache(layers=1, rows=1, heads=4, length=8, head_dim=16) for _ in range(2))
    newest = torch.ones(1, 4, 2, 16)
    keys, _ = first.extend(0, 3, newest, newest)
    assert keys.shape[2] == 5
    assert keys[:, :, 3:].eq(1).all()
    kept = first.rows(torch.tensor([0, 0]))
    first.extend(0, 3, 2 * newest, 2 * newest)
    assert keys[:, :, 3:].eq(2).all()
    zeros = torch.zeros(1, 4, 1, 16)
    for keys, expected in (
        (second.extend(0, 5, zeros, zeros)[0], 0),
        (kept.extend(0, 5, *[zeros.repeat(2, 1, 1, 1)] * 2)[0], 1),
    ):
        assert keys[:, :, 3:5].eq(expected).all()


# -- Blocks -----------------------------------------------------------------------------------------------------------


def parts_of(predicted: Predicted) -> np.ndarray:
    """Conditional, unconditional and negative logits, one below the other."""
    parts = (predicted.conditional, predicted.unconditional, predicted.negative)
    return np.concatenate([part for part in parts if part is not None])


@pytest.mark.parametrize("ahead", [1, 2, 7, 63])
def test_blocks_of_any_size_equal_the_uncached_pass(backend: EmojiBackend, codes: np.ndarray, ahead: int) -> None:
    """Every pass predicts as many positions as there are left, from codes that are known."""
    expected, decoding, position = teacher_forced(backend, PROMPTS, codes), backend.start(PROMPTS, guided=True), 0
    while position < codes.shape[1]:
        drafts = codes[:, position : min(position + ahead, codes.shape[1] - 1)]
        block = decoding.logits(None, drafts).conditional
        assert_close(block, expected[:, position : position + block.shape[1]])
        for place in range(block.shape[1]):
            np.testing.assert_array_equal(decoding.logits().conditional, block[:, place])
            decoding.append(codes[:, position])
            position += 1


def test_after_a_wrong_draft_others_are_right(backend: EmojiBackend, codes: np.ndarray) -> None:
    """What wrong codes left in the cache has no influence, whatever is asked for next."""
    expected, decoding = teacher_forced(backend, PROMPTS, codes), backend.start(PROMPTS, guided=False)
    wrong = (codes + 1) % backend.codebook.size
    for position in range(0, 30, 3):
        right = codes[:, position : position + 1]
        mixed = np.concatenate([right, wrong[:, position + 1 : position + 5]], axis=1)
        assert_close(decoding.logits(None, mixed).conditional[:, :2], expected[:, position : position + 2])
        decoding.append(codes[:, position])
        decoding.append(codes[:, position + 1])
        assert_close(decoding.logits().conditional, expected[:, position + 2])
        again = decoding.logits(None, codes[:, position + 2 : position + 4]).conditional
        assert_close(again, expected[:, position + 2 : position + 5])
        decoding.append(codes[:, position + 2])


@pytest.mark.parametrize("count", [1, 2, 40])
def test_codes_that_are_replayed_equal_the_uncached_pass(backend: EmojiBackend, codes: np.ndarray, count: int) -> None:
    decoding, expected = backend.start(PROMPTS, guided=True, negatives=True), teacher_forced(backend, PROMPTS, codes)
    decoding.replay(codes[:, :count], None)
    assert_close(decoding.logits().conditional, expected[:, count])
    drafts = codes[:, count : count + 4]
    assert_close(decoding.logits(None, drafts).conditional, expected[:, count : count + 5])


def test_codes_that_are_read_at_once_equal_the_uncached_pass(backend: EmojiBackend, codes: np.ndarray) -> None:
    assert_close(backend.read(PROMPTS, codes), teacher_forced(backend, PROMPTS, codes))


def test_small_entries_are_normed_as_with_the_epsilon(codes: np.ndarray) -> None:
    """A norm divides by no less than its epsilon; zeros stay zeros."""
    backend = tiny_backend()
    model = backend.transformer
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for layer in model.layers:
            layer.self_attn.qkv.weight.normal_(std=1e-5)  # as small as the epsilon of the norms
        model.word_position.weight.normal_(std=1e-4)
        model.row_embedding.weight.normal_(std=1e-4)
        model.head.weight.normal_()
    assert_close(stepwise(backend, PROMPTS, codes), teacher_forced(backend, PROMPTS, codes))


# -- What settles a draw ----------------------------------------------------------------------------------------------


def one_by_one(decoding: EmojiDecoding, codes: np.ndarray) -> None:
    for position in range(codes.shape[1]):
        decoding.logits()
        decoding.append(codes[:, position])


@pytest.mark.parametrize("count", [0, 1, 40, 63])
@pytest.mark.parametrize("negatives", [True, False])
def test_what_settles_a_draw_follows_from_the_codes_alone(
    backend: EmojiBackend, codes: np.ndarray, count: int, negatives: bool
) -> None:
    """To the bit: alone or in a batch, after codes that came one by one, as drafts, or were read."""
    prompts = ["sun", PROMPTS[1], "a dog", PROMPTS[0], PROMPTS[2]]
    batch = backend.start(prompts, True, 0, negatives)
    alone, drafted, reading = (backend.start([PROMPTS[0]], True, 0, negatives) for _ in range(3))
    expected = parts_of(alone.settled(0, codes[0, :count]))
    one_by_one(alone, codes[:1, :count])
    one_by_one(batch, np.repeat(codes[:1, :count], 5, axis=0) + np.arange(5)[:, None] % 2)
    drafted.logits(None, codes[:1, :count])
    if count:
        reading.replay(codes[:1, :count], None)
    for decoding, row in ((alone, 0), (batch, 3), (drafted, 0), (reading, 0)):
        np.testing.assert_array_equal(parts_of(decoding.settled(row, codes[0, :count])), expected)
    assert_close(parts_of(alone.logits()), expected)
    other = alone.settled(0, np.append(codes[0, :count], 1)) if count < 63 else alone.settled(0, codes[0, : count - 1])
    assert np.abs(parts_of(other) - expected).max() > 1e-3


def test_what_settles_a_draw_has_the_rows_of_its_prompt(backend: EmojiBackend) -> None:
    """Of which a pizza has no negative, next to a heart that has one."""
    batch = backend.start(PROMPTS[:2], True, 0, negatives=True)
    heart, pizza = (batch.settled(row, np.arange(4)) for row in range(2))
    assert heart.negative is not None
    assert pizza.unconditional is not None
    assert pizza.negative is None
    plain = backend.start(PROMPTS[:1], False).settled(0, np.arange(4))
    assert plain.unconditional is None
    assert_close(plain.conditional, heart.conditional)
    with pytest.raises(ConfigError, match="got a generation with blenders"):
        backend.start(PROMPTS[:1], True, 2).settled(0, np.arange(4))


# -- Blenders ---------------------------------------------------------------------------------------------------------


def test_pictures_are_read_with_blenders_in_one_pass_as_they_are_drawn(
    backend: EmojiBackend, codes: np.ndarray
) -> None:
    """Logits of all rows and what the blenders did, where one finds nothing, and some fewer than asked for."""
    count, prompts = 20, PROMPTS[:2]
    found = [[near(place % 40, 7, 9, 11), near(3, place % 5) if place % 3 else None] for place in range(count)]
    slow, fast = (backend.start(prompts, True, 3, negatives=True) for _ in range(2))
    read = fast.read(codes[:2, :count], found)
    told = fast.blends_read(codes[:2, :count])
    for position in range(count):
        assert_close(parts_of(read.at(position)), parts_of(slow.logits(found[position])))
        for ours, theirs in zip(told[position], slow.blends(codes[:2, position]), strict=True):
            assert ours.present == theirs.present
            for name in ("compatibility", "share", "start_cosine", "code_cosine"):
                assert_close(getattr(ours, name), getattr(theirs, name))
        slow.append(codes[:2, position])
    assert_close(parts_of(fast.logits(found[0])), parts_of(slow.logits(found[0])))
    with pytest.raises(ConfigError, match="expected a new one"):
        fast.read(codes[:2, :count], found)
    plain = backend.start(PROMPTS, False)
    assert_close(plain.read(codes).conditional, teacher_forced(backend, PROMPTS, codes))
