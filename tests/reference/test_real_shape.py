"""Janus with the released codebook, grid and picture size, at a small width, against transformers' own numbers."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from transformers import JanusForConditionalGeneration

from core.backends.janus.backend import JanusBackend
from core.backends.janus.matrices import Kind, Layout
from core.backends.protocol import ModelSource
from tests import real_janus
from tests.closeness import assert_close

NARROW = {"hidden_size": 64, "intermediate_size": 176, "num_attention_heads": 4, "num_key_value_heads": 4}
PROMPT = "a red heart"
READ = 560


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = real_janus.config(2, NARROW, base=32, seeing=1)
    return real_janus.save(tmp_path_factory.mktemp("real"), config)


@pytest.fixture(scope="module")
def model(folder: Path) -> JanusForConditionalGeneration:
    return JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


def load(folder: Path, kind: Kind, dtype: str = "float32") -> JanusBackend:
    with patch("core.backends.janus.loading.choose_layout", lambda *_: Layout(kind)):
        return JanusBackend.load(ModelSource(model=str(folder), device="cpu", dtype=dtype))


@pytest.mark.parametrize("kind", ["rows", "columns", "packed"])
def test_logits_of_a_branch_equal_a_teacher_forced_pass(
    kind: Kind, folder: Path, model: JanusForConditionalGeneration
) -> None:
    try:
        backend = load(folder, kind)
    except RuntimeError:
        assert kind == "packed"
        pytest.skip("this build of torch, or this processor, has no packed matrices")
    assert (backend.codebook.size, backend.grid.positions, backend.pixels) == (16384, 576, 384)
    codes = np.random.default_rng(2).integers(0, 16384, READ + 1)
    rows, _ = backend.prompter.rows([PROMPT], guided=True)
    with torch.no_grad():
        image = model.prepare_embeddings_for_image_generation(torch.from_numpy(codes)).expand(2, -1, -1)
        entries = torch.cat([model.get_input_embeddings()(rows), image], dim=1)
        hidden = model.model.language_model(inputs_embeds=entries, attention_mask=torch.ones(entries.shape[:2]))
        expected = model.model.generation_head(hidden.last_hidden_state[:, -2:]).numpy()
    decoding = backend.start([PROMPT], guided=True)
    decoding.replay(codes[None, :READ], None)
    for position in range(2):
        predicted = decoding.logits()
        assert predicted.unconditional is not None
        assert_close(predicted.conditional[0], expected[0, position])
        assert_close(predicted.unconditional[0], expected[1, position])
        decoding.append(codes[READ : READ + 1])


def test_pictures_are_of_the_released_size(folder: Path, model: JanusForConditionalGeneration) -> None:
    backend = load(folder, "rows", "bfloat16")
    grid = np.random.default_rng(3).integers(0, 16384, (1, 24, 24)).astype(np.uint16)
    picture = backend.decode_codes(grid)
    with torch.no_grad():
        expected = model.decode_image_tokens(torch.from_numpy(grid.astype(np.int64)).flatten(1))
    assert picture.shape == (1, 384, 384, 3)
    assert_close(picture / 127.5 - 1, expected.clamp(-1, 1).reshape(picture.shape), relative=0.05)  # rounded to 8 bits
    assert backend.encode_images(picture).shape == (1, 24, 24)
