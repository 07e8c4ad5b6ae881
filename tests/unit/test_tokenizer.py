"""The VQ tokenizer's plumbing: pixels, latents, codes, and sizes that follow from its configuration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.backends.emoji.tokenizer import TokenizerConfig, VQTokenizer
from core.backends.pixels import to_pictures, to_pixels
from tests.closeness import assert_close


@pytest.fixture(scope="module")
def tokenizer() -> VQTokenizer:
    torch.manual_seed(0)
    return VQTokenizer(TokenizerConfig(64, 32, 8, 8, 16, 1, 1)).eval()


@given(st.integers(0, 2**32 - 1))
def test_pixels_and_pictures_are_inverse(seed: int) -> None:
    pictures = np.random.default_rng(seed).integers(0, 256, size=(2, 4, 6, 3)).astype(np.uint8)
    assert np.array_equal(to_pictures(to_pixels(pictures)), pictures)


def test_pixels_outside_the_range_are_clamped() -> None:
    assert to_pictures(torch.full((1, 3, 1, 1), 9.0)).tolist() == [[[[255, 255, 255]]]]
    assert to_pictures(torch.full((1, 3, 1, 1), -9.0)).tolist() == [[[[0, 0, 0]]]]


def test_a_code_covers_eight_by_eight_pixels(tokenizer: VQTokenizer) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, size=(3, 64, 64, 3)).astype(np.uint8)
    grids = tokenizer.encode(pictures)
    assert grids.shape == (3, 8, 8)
    assert tokenizer.config.grid.positions == 64
    assert tokenizer.decode(grids).shape == pictures.shape


def test_codes_are_the_nearest_vectors(tokenizer: VQTokenizer) -> None:
    latents = torch.nn.functional.normalize(torch.randn(5, 4, 8), dim=-1)
    expected = torch.cdist(latents.reshape(-1, 8), tokenizer.codebook).argmin(dim=1).reshape(5, 4)
    assert torch.equal(tokenizer.nearest_codes(latents), expected)
    assert torch.equal(tokenizer.nearest_codes(tokenizer.codebook), torch.arange(32))


def test_latents_have_unit_length(tokenizer: VQTokenizer) -> None:
    pixels = torch.randn(2, 3, 64, 64)
    assert_close(tokenizer.latents(pixels).norm(dim=-1), torch.ones(2, 8, 8))


def test_pictures_of_a_batch_do_not_touch(tokenizer: VQTokenizer) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, size=(40, 64, 64, 3)).astype(np.uint8)
    together = tokenizer.encode(pictures)  # more than one chunk
    assert np.array_equal(together[33:34], tokenizer.encode(pictures[33:34]))
