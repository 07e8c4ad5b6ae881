"""The step-by-step transformer against its own teacher-forced pass, and what must not influence what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.backends.emoji.backend import EmojiBackend
from core.backends.emoji.transformer import KVCache, attention_mask, conditions
from tests.closeness import assert_close

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


def test_a_cache_belongs_to_one_generation(backend: EmojiBackend) -> None:
    first, second = KVCache(backend.transformer.config, 1), KVCache(backend.transformer.config, 1)
    newest = torch.ones(1, 4, 2, 16)
    keys, _ = first.extend(0, 3, newest, newest)
    assert keys.shape[2] == 5
    assert keys[:, :, 3:].eq(1).all()
    assert not second.keys.any()
