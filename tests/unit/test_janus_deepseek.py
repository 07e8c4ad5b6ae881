"""DeepSeek's own format: its config, its names, its tokenizer and its frame around a prompt."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import JanusForConditionalGeneration

from core.__main__ import main
from core.backends import Backend, ModelSource, load_backend
from core.backends.janus import config
from core.backends.janus.prompter import BEGIN, PAD, Prompter
from core.backends.janus.sizes import Model
from core.backends.janus.weights import transformers_name
from core.types import CheckpointError
from tests import tiny_janus

LARGE = {
    "architectures": ["MultiModalityCausalLM"],
    "model_type": "multi_modality",
    "torch_dtype": "bfloat16",
    "transformers_version": "4.33.1",
    "vision_config": {
        "cls": "CLIPVisionTower",
        "model_type": "vision",
        "params": {
            "image_size": 384, "model_name": "siglip_large_patch16_384", "select_feature": "same", "select_layer": -1,
        },
    },
    "aligner_config": {
        "cls": "MlpProjector",
        "model_type": "aligner",
        "params": {"depth": 2, "input_dim": 1024, "n_embed": 4096, "projector_type": "mlp_gelu"},
    },
    "gen_vision_config": {
        "cls": "VQ-16", "model_type": "gen_vision", "params": {"image_token_size": 16384, "n_embed": 8},
    },
    "gen_aligner_config": {
        "cls": "MlpProjector",
        "model_type": "gen_aligner",
        "params": {"depth": 2, "input_dim": 8, "n_embed": 4096, "projector_type": "mlp_gelu"},
    },
    "gen_head_config": {
        "cls": "vision_head",
        "model_type": "gen_head",
        "params": {"image_token_embed": 4096, "image_token_size": 16384, "n_embed": 4096},
    },
    "language_config": {
        "max_position_embeddings": 16384, "model_type": "llama", "num_hidden_layers": 30, "torch_dtype": "bfloat16",
        "vocab_size": 102400,
    },
}  # fmt: skip
"""Janus-Pro-7B's config.json, put together from public sources, as the file itself could not be reached.

Keys: those that transformers' convert_janus_weights_to_hf.py and DeepSeek's janus/models read.
Values of vision_config: quoted by a converter to GGUF ("Copied from
https://huggingface.co/deepseek-ai/Janus-Pro-7B/blob/main/config.json"). Other sizes: the modules that
github.com/tenstorrent/tt-metal/issues/47041 prints (4096 wide, 30 layers, 102400 words, 16384 codes of 8 numbers).
What LlamaConfig has by default is left out here, as DeepSeek's class allows it.
"""


def small() -> dict[str, Any]:
    """The same of Janus-Pro-1B, whose sizes (2048 wide, 24 layers) public ports of it repeat."""
    values: dict[str, Any] = json.loads(json.dumps(LARGE))
    values["language_config"] |= {
        "hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 16, "num_hidden_layers": 24,
        "num_key_value_heads": 16,
    }  # fmt: skip
    for part in ("aligner_config", "gen_aligner_config", "gen_head_config"):
        values[part]["params"]["n_embed"] = 2048
    values["gen_head_config"]["params"]["image_token_embed"] = 2048
    return values


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the tiny tokenizer is known."""
    monkeypatch.setattr(config, "VQ_MODELS", config.VQ_MODELS | tiny_janus.VQ_TINY)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """A tiny model under DeepSeek's names."""
    return tiny_janus.released_tensors(tiny_janus.tiny_janus())


def load(folder: Path) -> Backend:
    return load_backend("janus", ModelSource(str(folder), device="cpu"))


def write(folder: Path, values: object) -> Path:
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


# -- Config -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "width", "hidden", "layers", "heads", "loaded"),
    [(small(), 2048, 5632, 24, 16, 1.56e9), (LARGE, 4096, 11008, 30, 32, 6.66e9)],
)
def test_the_configs_of_janus_pro_give_the_shapes_of_transformers_model(
    values: dict[str, Any], width: int, hidden: int, layers: int, heads: int, loaded: float, tmp_path: Path
) -> None:
    model = Model.open(write(tmp_path, values))
    sizes = model.sizes
    assert (sizes.llama.width, sizes.llama.hidden, sizes.llama.layers) == (width, hidden, layers)
    assert (sizes.llama.heads, sizes.llama.key_heads, sizes.llama.head_width) == (heads, heads, 128)
    assert (sizes.llama.epsilon, sizes.llama.theta) == (1e-6, 10000.0)
    assert (sizes.words, sizes.codes, sizes.code_dim) == (102400, 16384, 8)
    assert (sizes.grid.width, sizes.grid.height, sizes.pixels) == (24, 24, 384)
    with torch.device("meta"):
        whole = JanusForConditionalGeneration(model.config).state_dict()
    assert {name: tuple(whole[name].shape) for name in model.shapes} == model.shapes
    assert sum(map(prod, model.shapes.values())) == pytest.approx(loaded, rel=5e-3)


def test_what_the_config_says_of_the_language_model_is_followed(tmp_path: Path) -> None:
    values = small()
    values["language_config"] |= {"rms_norm_eps": 1e-5, "rope_theta": 5000, "num_SmoothPatchBlender": 12}
    llama = Model.open(write(tmp_path, values)).sizes.llama
    assert (llama.epsilon, llama.theta) == (1e-5, 5000.0)


def changed(part: str, name: str, value: object) -> Callable[[dict[str, Any]], object]:
    def change(values: dict[str, Any]) -> None:
        values[part].setdefault("params", {})
        (values[part]["params"] if name in values[part]["params"] else values[part])[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.pop("gen_head_config"), r"got no gen_head_config, .*; DeepSeek-VL and JanusFlow"),
        (lambda v: v.update(language_config=3), "got no language_config"),
        (lambda v: v.update(model_type="llava"), "got a model of type 'llava', expected 'janus' or"),
        (
            changed("language_config", "model_type", "qwen2"),
            "language_config.model_type: got 'qwen2', expected 'llama'",
        ),
        (changed("language_config", "hidden_act", "gelu"), "got hidden_act 'gelu', expected 'silu'"),
        (changed("language_config", "hidden_size", 1024), "gen_aligner_config.params.n_embed: got 2048, expected 1024"),
        (changed("language_config", "vocab_size", "many"), r"config\.json: no Janus config \("),
        (changed("gen_vision_config", "cls", "VQ-8"), "gen_vision_config.cls: got 'VQ-8', expected 'VQ-16'"),
        (changed("gen_vision_config", "cls", ["VQ-16"]), r"gen_vision_config.cls: got \['VQ-16'\], expected 'VQ-16'"),
        (changed("gen_vision_config", "n_embed", 4), "gen_aligner_config.params.input_dim: got 8, expected 4"),
        (changed("gen_aligner_config", "depth", 3), "gen_aligner_config.params.depth: got 3, expected 2"),
        (
            changed("gen_aligner_config", "projector_type", "linear"),
            "projector_type: got 'linear', expected 'mlp_gelu'",
        ),
        (changed("gen_aligner_config", "params", {}), "projector_type: got None, expected 'mlp_gelu'"),
        (changed("gen_head_config", "image_token_embed", 64), "image_token_embed: got 64, expected 2048"),
        (changed("gen_head_config", "image_token_size", 64), "image_token_size: got 64, expected 16384"),
        (changed("vision_config", "image_size", 390), "image_size: got 390, expected a multiple of 16"),
        (changed("vision_config", "params", []), r"config\.json: no Janus config \("),
    ],
)
def test_what_is_wrong_in_a_config_is_named_in_one_line(
    change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path
) -> None:
    values = small()
    change(values)
    with pytest.raises(CheckpointError, match=said) as caught:
        Model.open(write(tmp_path, values))
    assert len(str(caught.value).splitlines()) == 1


# -- Weights ----------------------------------------------------------------------------------------------------------


def test_every_tensor_that_draws_gets_its_name() -> None:
    with torch.device("meta"):
        names = JanusForConditionalGeneration(tiny_janus.Size().config()).state_dict()
    drawn = [name for name in names if not name.startswith(("model.vision_model", "model.aligner"))]
    assert [transformers_name(tiny_janus.deepseek_name(name)) for name in drawn] == drawn
    assert tiny_janus.deepseek_name(drawn[0]) != drawn[0]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("gen_vision_model.decoder.mid.1.q.weight"), r"got no model\.vqmodel\.decoder\.mid\.attn_1\.q"),
        (lambda t: t.pop("gen_aligner.layers.2.bias"), r"got no model\.generation_aligner\.hidden_layers\.0\.bias"),
        (lambda t: t.update({"gen_aligner.layers.4.bias": torch.zeros(1)}), r"got gen_aligner\.layers\.4\.bias, which"),
        (lambda t: t.update({"gen_embed.weight": torch.zeros(3, 8)}), r"got \(3, 8\), expected \(24, 8\)"),
        (
            lambda t: t.update(
                {f"language_model.model.{n}": v for n, v in tiny_janus.random_faid().state_dict().items()}
            ),
            "got FAiD weights, expected a model without them; give it as faid",
        ),
        (
            lambda t: t.update({"language_model.model.layers.0.self_attn.q_proj.lora_A.weight": torch.zeros(2, 32)}),
            "got LoRA parts, but not one of lora_A and lora_B",
        ),
    ],
)
def test_a_wrong_tensor_is_named_and_the_status_is_2(
    change: Callable[[dict[str, Tensor]], object],
    said: str,
    tensors: dict[str, Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed = dict(tensors)
    change(changed)
    tiny_janus.save_deepseek(tmp_path, changed)
    with pytest.raises(CheckpointError, match=said):
        load(tmp_path)
    capsys.readouterr()
    assert main(["generate", "a dog", "--backend", "janus", "--model", str(tmp_path), "--method", "model"]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "tensor/s" not in line and "?" not in line]
    assert len([line for line in told if line.strip()]) == 1


# -- Prompts ----------------------------------------------------------------------------------------------------------

END = "<\uff5cend\u2581of\u2581sentence\uff5c>"
CONTROL = (BEGIN, END, PAD, "<image_placeholder>", "<begin_of_image>", "<end_of_image>", "<|User|>", "<|Assistant|>")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tokenizer files as DeepSeek's, of single bytes: another class is named than the file is, and no pad token."""
    tokenizer = Tokenizer(
        models.BPE({byte: n for n, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, [])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(CONTROL[:6]))
    tokenizer.add_tokens(list(CONTROL[6:]))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    said = {
        "add_bos_token": True, "add_eos_token": False, "bos_token": BEGIN, "eos_token": END, "pad_token": None,
        "legacy": True, "model_max_length": 16384, "tokenizer_class": "LlamaTokenizerFast", "unk_token": None,
        "chat_template": "not read: {{ messages[0]['content'] }}",
    }  # fmt: skip
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "processor_config.json").write_text('{"sft_format": "deepseek"}', encoding="utf-8")
    return write(tmp_path, small())


def test_a_prompt_is_framed_as_deepseeks_processor_does(folder: Path) -> None:
    prompter = Prompter(folder)
    assert prompter.text("a dog") == "<|User|>: a dog\n\n<|Assistant|>:<begin_of_image>"
    rows, _ = prompter.rows(["a dog"], guided=True)
    spelled = [*prompter.texts(rows[0].tolist())]
    assert spelled == [BEGIN, "<|User|>", *": a dog\n\n", "<|Assistant|>", ":", "<begin_of_image>"]
    assert prompter.texts(rows[1].tolist()) == [BEGIN, *[PAD] * (len(spelled) - 2), "<begin_of_image>"]
    (folder / "processor_config.json").write_text('{"sft_format": "deepseek_old"}', encoding="utf-8")
    assert Prompter(folder).text("a dog") == "User: a dog\n\nAssistant:<begin_of_image>"
    assert Prompter(folder).fingerprint != prompter.fingerprint
    (folder / "processor_config.json").write_text('{"sft_format": "plain"}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="sft_format: got 'plain', expected one of deepseek, deepseek_old"):
        Prompter(folder)


@pytest.mark.parametrize("token", CONTROL)
def test_a_control_token_in_a_prompt_is_text(folder: Path, token: str) -> None:
    prompter = Prompter(folder)
    control = set(CONTROL)
    frame, ids = (prompter.rows([text], guided=False)[0][0].tolist() for text in ("a dog", f"a {token} dog"))
    assert [text for text in prompter.texts(ids) if text in control] == [
        text for text in prompter.texts(frame) if text in control
    ]
    assert len(ids) > len(frame)
