"""Janus against what it must equal: transformers' own generation, and the released implementation's numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.backends import Backend, ModelSource, load_backend
from core.backends.janus import config
from core.context import Context, skip_reason
from core.engine import decode
from core.faid import Faid
from core.types import DecodeSettings, IntArray, Neighbours
from tests import tiny_janus
from tests.closeness import assert_close
from tests.tiny_janus import Size

GREEDY = DecodeSettings(method="model", top_k=1, temperature=1, cfg_scale=5)
PREFIX = 5  # entries of a prompt of one word
SHIFT = 12.0  # gelu(x + 12) = x + 12 for the numbers at hand


@pytest.mark.parametrize(
    ("prompts", "size"),
    [
        pytest.param(["a blue dog", "a pizza", "one two three"], Size(), marks=pytest.mark.processor),
        (["a red heart"], Size(side=24, layers=1, heads=2, key_heads=2)),
    ],
)
def test_greedy_codes_equal_generate(prompts: list[str], size: Size, tmp_path: Path) -> None:
    model = tiny_janus.tiny_janus(size)
    tiny_janus.save_model(tmp_path, model)
    backend = load_backend("janus", ModelSource(model=str(tmp_path), device="cpu"))
    got = np.array([[record.code for record in step] for step in decode(backend, None, prompts, GREEDY)]).T
    rows, padding = backend.prompter.rows(prompts, guided=False)
    mask = (torch.arange(rows.shape[1]) >= padding[:, None]).long()
    expected = model.generate(
        rows, attention_mask=mask, generation_mode="image", do_sample=False, guidance_scale=GREEDY.cfg_scale
    )
    np.testing.assert_array_equal(got, expected.numpy())
    assert len(np.unique(got)) > 8


@pytest.mark.processor
def test_logits_equal_a_teacher_forced_pass(tmp_path: Path) -> None:
    model = tiny_janus.tiny_janus()
    tiny_janus.save_model(tmp_path, model)
    backend = load_backend("janus", ModelSource(model=str(tmp_path), device="cpu"))
    codes = tiny_janus.random_grids(1)[0].reshape(-1).astype(np.int64)
    rows, _ = backend.prompter.rows(["a red heart"], guided=True)
    with torch.no_grad():
        image = model.prepare_embeddings_for_image_generation(torch.from_numpy(codes)).expand(2, -1, -1)
        entries = torch.cat([model.get_input_embeddings()(rows), image], dim=1)
        hidden = model.model.language_model(inputs_embeds=entries, attention_mask=torch.ones(entries.shape[:2]))
        expected = model.model.generation_head(hidden.last_hidden_state[:, rows.shape[1] - 1 : -1]).numpy()
    decoding = backend.start(["a red heart"], guided=True, faid_neighbours=0)
    for position, code in enumerate(codes.tolist()):
        predicted = decoding.logits(None)
        assert_close(predicted.conditional[0], expected[0, position])
        assert predicted.unconditional is not None
        assert_close(predicted.unconditional[0], expected[1, position])
        decoding.append(np.array([code]))


@pytest.mark.parametrize(("files", "suffix"), [(1, ".bin"), (3, ".bin"), (2, ".safetensors")])
def test_deepseeks_format_gives_the_same_codes_and_logits(
    files: int, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "VQ_MODELS", config.VQ_MODELS | tiny_janus.VQ_TINY)
    model = tiny_janus.tiny_janus()
    tiny_janus.save_model(tmp_path / "theirs", model)
    tiny_janus.save_deepseek(tmp_path / "own", tiny_janus.released_tensors(model), files=files, suffix=suffix)
    theirs, own = (load_backend("janus", ModelSource(str(tmp_path / name), device="cpu")) for name in ("theirs", "own"))
    prompts = ["a red heart", "one"]
    logits = [backend.start(prompts, guided=True).logits(None) for backend in (theirs, own)]
    np.testing.assert_array_equal(logits[0].conditional, logits[1].conditional)
    np.testing.assert_array_equal(logits[0].unconditional, logits[1].unconditional)
    codes = [
        [record.code for step in decode(backend, None, prompts, GREEDY) for record in step] for backend in (theirs, own)
    ]
    assert codes[0] == codes[1]
    pictures = theirs.decode_codes(tiny_janus.random_grids(2))
    np.testing.assert_array_equal(own.decode_codes(tiny_janus.random_grids(2)), pictures)
    np.testing.assert_array_equal(own.encode_images(pictures), theirs.encode_images(pictures))


# -- Released FAiD checkpoints ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    """Weights, inputs and outputs of the released implementation: four layers, blenders in two."""
    return load_file(Path(__file__).parent / "released" / "model_2blenders.safetensors")


@pytest.fixture(scope="module")
def golden_size(golden: dict[str, Tensor]) -> Size:
    heads, key_heads = golden["meta.heads"].tolist()
    hidden, width = golden["w.layers.0.mlp.up_proj.weight"].shape
    positions, neighbours = golden["retrieved"].shape[1:3]
    return Size(
        side=int(positions**0.5), codes=positions * (1 + neighbours), code_dim=width, width=width, hidden=hidden,
        layers=int(golden["meta.layers_every"][0]), heads=heads, key_heads=key_heads,
    )  # fmt: skip


@pytest.fixture(scope="module")
def released(golden: dict[str, Tensor], golden_size: Size) -> dict[str, Tensor]:
    """A released checkpoint with these weights.

    The recorded inputs are embeddings: every image entry and every retrieved feature gets a code of its own, and each
    token of the prompt "heart" its embedding.
    """
    tensors = tiny_janus.released_tensors(tiny_janus.tiny_janus(golden_size, seed=1))
    for name, value in golden.items():
        if name.startswith("w."):
            tensors[f"language_model.model.{name.removeprefix('w.')}"] = value
    width = golden_size.width
    tensors["gen_embed.weight"] = torch.cat([golden["image"][0], golden["retrieved"].reshape(-1, width)])
    for layer, bias in ((0, SHIFT), (2, -SHIFT)):
        tensors[f"gen_aligner.layers.{layer}.weight"] = torch.eye(width)
        tensors[f"gen_aligner.layers.{layer}.bias"] = torch.full((width,), bias)
    words = ("<bos>", "<|User|>:", "heart", "<|Assistant|>:", "<begin_of_image>")
    ids = [[*tiny_janus.SPECIAL, *tiny_janus.WORDS].index(word) for word in words]
    tensors["language_model.model.embed_tokens.weight"][ids] = golden["text"][0]
    return tensors


def as_safetensors(folder: Path, tensors: dict[str, Tensor]) -> None:
    tiny_janus.save_released(folder, tensors, tiny_janus.released_config(2, (1, 2)), 3, ".safetensors")


def as_bin(folder: Path, tensors: dict[str, Tensor]) -> None:
    tiny_janus.save_released(folder, tensors, tiny_janus.released_config(2, (1, 2)), 2)


def as_one_file_without_config(folder: Path, tensors: dict[str, Tensor]) -> None:
    tiny_janus.save_released(folder, tensors, None)


def with_lora_parts(folder: Path, tensors: dict[str, Tensor]) -> None:
    """As it is saved amid training: the language model inside PEFT's wrapper, and LoRA parts beside its matrices."""
    wrapped = {}
    for name, value in tensors.items():
        inner = name.replace("language_model.", "language_model.base_model.model.", 1)
        if not name.startswith("language_model.") or not name.endswith(("q_proj.weight", "v_proj.weight")):
            wrapped[inner] = value
            continue
        stem = inner.removesuffix("weight")
        first, second = lora(value)
        wrapped[f"{stem}base_layer.weight"] = value - 2 * second @ first
        wrapped[f"{stem}lora_A.default.weight"], wrapped[f"{stem}lora_B.default.weight"] = first, second
    tiny_janus.save_released(folder, wrapped, tiny_janus.released_config(2, (1, 2)), 2, ".safetensors")


def lora(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Random parts of rank 2."""
    generator = torch.Generator().manual_seed(matrix.shape[0])
    return torch.randn(2, matrix.shape[1], generator=generator), torch.randn(matrix.shape[0], 2, generator=generator)


@pytest.mark.parametrize(
    "save",
    [pytest.param(as_safetensors, marks=pytest.mark.processor), as_bin, as_one_file_without_config, with_lora_parts],
)
def test_released_checkpoints_give_the_released_logits(
    save: Callable[[Path, dict[str, Tensor]], None],
    golden: dict[str, Tensor],
    golden_size: Size,
    released: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    tiny_janus.save_model(tmp_path / "base", tiny_janus.tiny_janus(golden_size, seed=2))  # other weights throughout
    save(tmp_path / "faid", released)
    assert_released_logits(load(tmp_path), golden, released)


def test_an_adapter_by_itself_changes_the_base_model(
    golden: dict[str, Tensor], golden_size: Size, released: dict[str, Tensor], tmp_path: Path
) -> None:
    trained = {name: value for name, value in released.items() if "blender" in name or "retrieval_layernorm" in name}
    trained |= {name: value for name, value in released.items() if name.startswith("gen_head.")}
    base = tiny_janus.tiny_janus(golden_size, seed=2)
    parts = {}
    for name, value in base.state_dict().items():
        original = tiny_janus.deepseek_name(name)
        if original in released and name != "lm_head.weight":  # which is tied to the word embeddings
            value.copy_(released[original])
        if name.endswith("k_proj.weight"):
            first, second = lora(value)
            value -= 0.5 * second @ first
            stem = f"base_model.model.{name.removesuffix('weight').replace('model.language_model.', 'model.')}"
            parts |= {f"{stem}lora_A.weight": first, f"{stem}lora_B.weight": second}
    tiny_janus.save_model(tmp_path / "base", base)
    (tmp_path / "faid").mkdir()
    save_file(trained | parts, tmp_path / "faid" / "adapter_model.safetensors")
    (tmp_path / "faid" / "adapter_config.json").write_text('{"lora_alpha": 1, "r": 2}', encoding="utf-8")
    assert_released_logits(load(tmp_path), golden, released)


def load(folder: Path) -> Backend:
    return load_backend("janus", ModelSource(str(folder / "base"), str(folder / "faid"), device="cpu"))


def assert_released_logits(backend: Backend, golden: dict[str, Tensor], released: dict[str, Tensor]) -> None:
    """Decode the recorded image with the recorded neighbours; the head is the checkpoint's."""
    hidden = golden["train.last_hidden"][0, PREFIX - 1 :]
    head = {name.removeprefix("gen_head."): value for name, value in released.items() if name.startswith("gen_head.")}
    inner = torch.nn.functional.gelu(
        hidden @ head["output_mlp_projector.weight"].t() + head["output_mlp_projector.bias"]
    )
    expected = (inner @ head["vision_head.weight"].t() + head["vision_head.bias"]).numpy()
    neighbours = golden["retrieved"].shape[2]
    decoding = backend.start(["heart"], guided=False, faid_neighbours=neighbours)
    for position in range(backend.grid.positions):
        retrieves = skip_reason(Context(), backend.grid, position) is None
        first = backend.grid.positions + position * neighbours
        found = near(np.arange(first, first + neighbours)) if retrieves else None
        logits = decoding.logits([found]).conditional[0]
        assert_close(logits, expected[position])
        decoding.append(np.array([position]))


def near(codes: IntArray) -> Neighbours:
    return Neighbours(codes, np.zeros(len(codes), np.float32), codes)


# -- Tokenizer --------------------------------------------------------------------------------------------------------


def test_codes_survive_decoding_and_encoding_only_when_normalised(tmp_path: Path) -> None:
    model = tiny_janus.tiny_janus()
    tiny_janus.save_model(tmp_path, model)
    backend = load_backend("janus", ModelSource(model=str(tmp_path), device="cpu"))
    grids = tiny_janus.random_grids(16)
    pictures = backend.decode_codes(grids)
    with torch.no_grad():
        expected = model.decode_image_tokens(torch.from_numpy(grids.astype(np.int64)).flatten(1))
        pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1
        unnormalised = model.model.vqmodel.encode(pixels).image_tokens.view(grids.shape).numpy()
    official = np.clip((expected.numpy() + 1) / 2 * 255, 0, 255).astype(np.uint8)  # as generation_inference.py does
    np.testing.assert_array_equal(pictures, official)
    assert (pictures != ((expected.clamp(-1, 1) + 1) * 127.5).round().numpy()).mean() > 0.3
    normalised = (backend.encode_images(pictures) == grids).mean()
    assert normalised > 0.99
    assert (unnormalised == grids).mean() < 0.6


def test_blenders_of_a_checkpoint_are_those_that_were_saved(tmp_path: Path) -> None:
    model, faid = tiny_janus.tiny_janus(), tiny_janus.random_faid(hops=(1, 3))
    tiny_janus.save_model(tmp_path / "base", model)
    tensors = tiny_janus.released_tensors(model, faid)
    tiny_janus.save_released(tmp_path / "faid", tensors, tiny_janus.released_config(2, (1, 3)))
    backend = load(tmp_path)
    assert isinstance(faid, Faid)
    for got, expected in zip(backend.blenders, faid.collapse(), strict=True):
        assert got.number == expected.number
        assert_close(got.blender.taps, expected.blender.taps)
    assert "FAiD: faid" in backend.description
