"""What every backend in the table must keep to; a new one is picked up by its name."""

from __future__ import annotations

import numpy as np
import pytest

from core.backends import BACKENDS, Backend, load_backend
from core.types import ConfigError


@pytest.fixture(scope="module", params=list(BACKENDS))
def loaded(request: pytest.FixtureRequest) -> Backend:
    return load_backend(request.param)


def test_describes_itself(loaded: Backend) -> None:
    assert loaded.name in BACKENDS
    assert len(loaded.fingerprint) == 16
    assert loaded.grid.positions > 0
    np.testing.assert_allclose(np.linalg.norm(loaded.codebook.vectors, axis=1), 1, atol=1e-5)


def test_decoding_gives_logits_for_both_rows(loaded: Backend) -> None:
    prompts = ["a red heart", "a pizza"]
    decoding = loaded.start(prompts, guided=True)
    conditional, unconditional = decoding.logits()
    assert unconditional is not None
    assert conditional.shape == unconditional.shape == (2, loaded.codebook.size)
    assert conditional.dtype == np.float32
    assert np.isfinite(conditional).all()
    assert not np.allclose(conditional[0], conditional[1])
    np.testing.assert_allclose(unconditional[0], unconditional[1], atol=1e-4)
    decoding.append(np.array([1, 2]))
    assert np.isfinite(decoding.logits()[0]).all()
    decoding.close()
    unguided = loaded.start(prompts, guided=False)
    assert unguided.logits()[1] is None
    unguided.close()


def test_images_survive_the_tokenizer(loaded: Backend) -> None:
    rows, columns = np.mgrid[:128, :128]
    disc = np.where(((rows - 64) ** 2 + (columns - 64) ** 2 < 2000)[..., None], np.uint8([220, 30, 40]), np.uint8(255))
    pictures = np.stack([disc, 255 - disc]).astype(np.uint8)
    grids = loaded.encode_images(pictures)
    assert grids.shape == (2, loaded.grid.height, loaded.grid.width)
    assert grids.dtype == np.uint16
    restored = loaded.decode_codes(grids)
    assert restored.shape == pictures.shape
    assert np.abs(restored.astype(int) - pictures).mean() < 20


def test_caption_vectors_know_what_is_alike(loaded: Backend) -> None:
    vectors = loaded.embed_captions(["a kitten", "a cat", "a lorry"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 301])
def test_bad_prompts_are_config_errors(loaded: Backend, prompt: str) -> None:
    with pytest.raises(ConfigError, match="prompt"):
        loaded.start([prompt], guided=True)
    with pytest.raises(ConfigError, match="prompt"):
        loaded.start([], guided=True)
