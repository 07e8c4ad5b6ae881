"""The inside of Janus against transformers' own attention and hidden states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.backends import ModelSource, load_backend
from core.backends.complete import inspecting
from tests import tiny_janus
from tests.closeness import assert_close


@pytest.mark.processor
def test_attention_and_lens_are_those_of_transformers(tmp_path: Path) -> None:
    model = tiny_janus.tiny_janus()
    tiny_janus.save_model(tmp_path, model)
    backend = load_backend("janus", ModelSource(model=str(tmp_path), device="cpu"))
    codes = tiny_janus.random_grids(1)[0].reshape(-1).astype(np.int64)
    rows, _ = backend.prompter.rows(["a red heart"], guided=False)
    words = rows.shape[1]
    model.set_attn_implementation("eager")
    with torch.no_grad():
        image = model.prepare_embeddings_for_image_generation(torch.from_numpy(codes[:-1]))[None]
        entries = torch.cat([model.get_input_embeddings()(rows), image.reshape(1, len(codes) - 1, -1)], dim=1)
        language = model.model.language_model
        ran = language(inputs_embeds=entries, output_attentions=True, output_hidden_states=True)
        heads = [model.model.generation_head(language.norm(state))[0, words - 1 :] for state in ran.hidden_states[:-1]]
        heads.append(model.model.generation_head(ran.last_hidden_state)[0, words - 1 :])
    seen = inspecting(backend).inspect("a red heart", codes)
    assert seen.words[0] == "<bos>"
    assert [stage.place for stage in seen.stages] == ["start", "end", "end", "end"]
    expected = torch.stack(ran.attentions)[:, 0, :, words - 1 :].numpy()
    np.testing.assert_allclose(seen.attention.astype(np.float32), expected, atol=1e-3)
    for stage, logits in enumerate(heads):
        chances = logits.softmax(dim=-1)
        assert_close(seen.taken[stage], chances[np.arange(len(codes)), codes].numpy())
        assert_close(seen.chances[stage, :, 0], chances.amax(dim=-1).numpy())
