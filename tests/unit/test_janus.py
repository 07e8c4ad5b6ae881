"""What may be wrong with a Janus checkpoint, a prompt or a machine, each said in one line."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from core.__main__ import main
from core.backends import Backend, ModelSource, load_backend
from core.backends.emoji.backend import EmojiBackend
from core.backends.janus.backend import JanusBackend
from core.backends.janus.device import check_dtype, choose_device, choose_dtype
from core.backends.janus.llama import Cache, LlamaConfig
from core.backends.janus.memory import enough_memory
from core.backends.janus.prompter import PLAIN_TEMPLATE, Prompter
from core.backends.janus.sizes import Model
from core.backends.janus.weights import Weights, transformers_name
from core.inputs.prompt import clean
from core.types import CheckpointError, ConfigError, Neighbours
from tests import tiny_janus
from tests.closeness import assert_close

CONFIG = tiny_janus.released_config(2, (1, 2))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder."""
    return tiny_janus.save_model(tmp_path_factory.mktemp("base"), tiny_janus.tiny_janus())


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """A released checkpoint with blenders in layers 0 and 2."""
    return tiny_janus.released_tensors(tiny_janus.tiny_janus(), tiny_janus.random_faid())


@pytest.fixture
def copy(base: Path, tmp_path: Path) -> Path:
    """The same folder, to be damaged."""
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def load(folder: Path, faid: Path | None = None) -> Backend:
    return load_backend("janus", ModelSource(str(folder), str(faid or ""), device="cpu"))


# -- Checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("gen_embed.weight"), r"got no model\.generation_embeddings\.weight \(1 missing\)"),
        (lambda t: t.pop("language_model.model.layers.1.mlp.up_proj.weight"), r"got no .*layers\.1\.mlp\.up_proj"),
        (lambda t: t.pop("gen_head.vision_head.bias"), r"got no .*vision_head\.bias, which FAiD trains"),
        (lambda t: t.update({"surprise.weight": torch.zeros(1)}), r"got surprise\.weight, which is in no Janus"),
        (
            lambda t: t.pop("language_model.model.layers.2.blender.conv22.bias"),
            r"layers\.2\.blender\.conv22\.bias: got",
        ),
        (lambda t: t.pop("language_model.model.layers.0.retrieval_layernorm.weight"), "retrieval_layernorm.*nothing"),
        (lambda t: t.update({"gen_embed.weight": torch.zeros(3, 8)}), r"got \(3, 8\), expected \(24, 8\)"),
        (
            lambda t: t.update({"language_model.model.layers.1.self_attn.q_proj.lora_A.weight": torch.zeros(2, 32)}),
            "got LoRA parts, but not one of lora_A and lora_B",
        ),
        (lambda t: [t.pop(n) for n in list(t) if ".layers.2.blender." in n or "layers.2.retr" in n], "got blenders in"),
        (lambda t: [t.pop(n) for n in list(t) if "blender" in n], r"got no .*N\.blender"),
    ],
)
def test_a_wrong_tensor_is_named(
    change: Callable[[dict[str, Tensor]], object], said: str, base: Path, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    changed = dict(tensors)
    change(changed)
    tiny_janus.save_released(tmp_path, changed, CONFIG)
    with pytest.raises(CheckpointError, match=said) as caught:
        load(base, tmp_path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("every", "hops", "said"),
    [(1, (1, 2), r"expected \(0, 1, 2\)"), (2, (1, 3), r"with hops \[1, 2\], expected"), (0, (1, 2), "got num_Smooth")],
)
def test_a_config_that_says_otherwise_is_an_error(
    every: int, hops: tuple[int, ...], said: str, base: Path, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    tiny_janus.save_released(tmp_path, tensors, tiny_janus.released_config(every, hops))
    with pytest.raises(CheckpointError, match=said):
        load(base, tmp_path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "model.safetensors").write_bytes(b"nothing"), "not a readable weight file"),
        (lambda f: (f / "model.safetensors").unlink(), "expected weights; check the path"),
        (lambda f: (f / "config.json").write_text("{", encoding="utf-8"), "not JSON"),
        (lambda f: (f / "config.json").write_text("[]", encoding="utf-8"), "expected a JSON object"),
        (lambda f: (f / "config.json").unlink(), r"config\.json: cannot be read \(No such file"),
        (lambda f: edit(f, model_type="llama"), "got a model of type 'llama', expected 'janus' or,"),
        (lambda f: edit(f, vision_config=3), "no Janus config"),
        (lambda f: edit(f, "text_config", hidden_act="gelu"), "got hidden_act 'gelu', expected 'silu'"),
        (lambda f: edit(f, "text_config", attention_bias=True), "got attention_bias True"),
        (lambda f: edit(f, "vision_config", num_image_tokens=7), "got num_image_tokens 7, expected 36"),
        (lambda f: edit(f, "text_config", hidden_size=64), r"expected \(19, 64\)"),
        (lambda f: (f / "tokenizer.json").write_text("{}", encoding="utf-8"), "no readable tokenizer"),
    ],
)  # fmt: skip
def test_a_damaged_model_folder_is_one_line(damage: Callable[[Path], object], said: str, copy: Path) -> None:
    damage(copy)
    with pytest.raises(CheckpointError, match=said) as caught:
        load(copy)
    assert len(str(caught.value).splitlines()) == 1


def edit(folder: Path, part: str = "", **values: object) -> None:
    """Change config.json, or a part of it."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (config[part] if part else config).update(values)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_sharded_files_are_all_needed(tmp_path: Path) -> None:
    tensors = tiny_janus.released_tensors(tiny_janus.tiny_janus())
    tiny_janus.save_released(tmp_path, tensors, None, 3)
    assert set(Weights.open(tmp_path).tensors) == set(Weights.open(tmp_path).tensors)
    (tmp_path / "pytorch_model-00002-of-00003.bin").unlink()
    with pytest.raises(CheckpointError, match=r"got no pytorch_model-00002-of-00003\.bin, which its index lists"):
        Weights.open(tmp_path)
    (tmp_path / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": 3}}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="got no weight_map"):
        Weights.open(tmp_path)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("executed",)


def test_nothing_is_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="not a readable weight file"):
        Weights.open(tmp_path)
    with pytest.raises(CheckpointError, match=r"\(it holds \S*print, and only tensors are read\); take one of"):
        Weights.open(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="not a readable weight file"):
        Weights.open(tmp_path)
    torch.save([1, 2], tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="expected named tensors"):
        Weights.open(tmp_path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (
            lambda f: torch.save({"a": Evil()}, f / "training_args.bin"),
            r"got training_args\.bin, which holds how a train",
        ),
        (
            lambda f: torch.save({"a": torch.ones(1)}, f / "a.bin", _use_new_zipfile_serialization=False),
            r"a\.bin: .*\(torch wrote it in its format from before 1\.6; read it with torch\.load and write it",
        ),
        (
            lambda f: (f / "a.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
            r"a\.bin: .*\(it is a pointer of Git LFS; run git lfs pull\)",
        ),
        (lambda f: (f / "a.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1"), "pointer of Git"),
        (lambda f: (f / "a.bin").write_bytes(b""), r"\(it is no archive as torch\.save writes it; download it again"),
        (lambda f: (f / "a.bin").write_bytes(b"PK\3\4 cut off"), r"a\.bin: not a readable weight file .*again$"),
        (lambda f: None, r"got no \*\.safetensors or \*\.bin file"),
    ],
)
def test_a_file_that_is_none_of_weights_says_what_it_is(
    write: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    write(tmp_path)
    with pytest.raises(CheckpointError, match=said) as caught:
        Weights.open(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_bad_lora_scales_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"lora_alpha": 16, "r": 0}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="got lora_alpha 16 and r 0"):
        Weights.open(tmp_path)


def test_names_of_deepseek_and_back_again() -> None:
    expected = set(tiny_janus.tiny_janus().state_dict())
    assert {transformers_name(tiny_janus.deepseek_name(name)) for name in expected if "vision_model" not in name} == {
        name if not name.startswith("model.aligner") else tiny_janus.deepseek_name(name)
        for name in expected
        if "vision_model" not in name
    }


def test_what_only_understanding_needs_is_not_read(base: Path) -> None:
    backend = load(base)
    assert isinstance(backend, JanusBackend)
    held = sum(t.numel() for t in backend.parts.state_dict().values())
    model = tiny_janus.tiny_janus()
    drawn = [v for n, v in model.state_dict().items() if not n.startswith(("model.vision", "model.aligner", "lm_head"))]
    assert held == sum(t.numel() for t in drawn)


def test_fingerprints_tell_models_apart(base: Path, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    tiny_janus.save_model(tmp_path / "other", tiny_janus.tiny_janus(seed=1))
    changed = dict(tensors)
    name = "language_model.model.layers.2.blender.conv1.weight"
    changed[name] = changed[name] + 1
    for folder, weights in (("one", tensors), ("two", changed)):
        tiny_janus.save_released(tmp_path / folder, weights, CONFIG)
    plain, other = load(base), load(tmp_path / "other")
    one, two = load(base, tmp_path / "one"), load(base, tmp_path / "two")
    assert plain.fingerprint == one.fingerprint == two.fingerprint != other.fingerprint
    assert plain.faid is None
    assert one.faid != two.faid


def test_fingerprints_tell_apart_what_prompts_become(base: Path, copy: Path) -> None:
    before = load(base)
    assert load(copy).fingerprint == before.fingerprint
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'][0]['text'] }} drawn", encoding="utf-8")
    templated = load(copy)
    tokenizer = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))
    words = tokenizer["model"]["vocab"]
    words["heart"], words["pizza"] = words["pizza"], words["heart"]
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    assert len({before.fingerprint, templated.fingerprint, load(copy).fingerprint}) == 3
    assert isinstance(before, JanusBackend)
    assert before.caption_encoder == before.encoder.fingerprint == EmojiBackend.load().caption_encoder


# -- Where and how ----------------------------------------------------------------------------------------------------


def test_bfloat16_decodes_much_the_same(base: Path, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    tiny_janus.save_released(tmp_path, tensors, CONFIG)
    rows = []
    for dtype in ("float32", "bfloat16"):
        backend = load_backend("janus", ModelSource(str(base), str(tmp_path), "cpu", dtype))
        decoding = backend.start(["a dog"], guided=True, faid_neighbours=2)
        rows.append(decoding.logits([None]).conditional[0])
        step = decoding.blends(np.array([3]))[0]
        assert step.compatibility.dtype == np.float32
    assert np.corrcoef(*rows)[0, 1] > 0.99


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_what_blenders_did_with_blank_features_is_0_in_every_precision(
    base: Path, tensors: dict[str, Tensor], tmp_path: Path, dtype: str
) -> None:
    tiny_janus.save_released(tmp_path, tensors, CONFIG)
    backend = load_backend("janus", ModelSource(str(base), str(tmp_path), "cpu", dtype))
    decoding = backend.start(["a dog", "a cat"], guided=True, faid_neighbours=3)
    one = Neighbours(np.array([5]), np.zeros(1, np.float32), np.zeros(1, np.int64))
    decoding.logits([None, one])
    blank, some = decoding.blends(np.array([3, 5]))
    assert not blank.start_cosine.any()
    assert not blank.code_cosine.any()
    assert not some.start_cosine[:, 1:].any()
    assert some.start_cosine[:, 0].all()
    for step in (blank, some):
        for values in (step.start_cosine, step.code_cosine, step.compatibility, step.share):
            assert values.dtype == np.float32
            assert np.isfinite(values).all()


def test_devices_and_dtypes_are_checked(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    for wanted, said in (("tpu", "expected one of auto, cuda, mps, cpu"), ("cuda", "does not find here")):
        with pytest.raises(ConfigError, match=said):
            choose_device(wanted)
    model = Model.open(base)
    assert choose_dtype("auto", torch.device("cpu"), model) == torch.float32
    for newer, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *_, newer=newer: newer)
        assert choose_dtype("auto", torch.device("mps"), model) == expected
    with pytest.raises(ConfigError, match="dtype: got 'int8', expected one of auto, float32"):
        check_dtype("int8")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")


def test_too_little_memory_says_what_to_do() -> None:
    device = torch.device("cpu")
    with pytest.raises(ConfigError, match=r"memory: got too little on cpu; .*bfloat16"), enough_memory(device):
        torch.empty(2**50)
    with pytest.raises(RuntimeError, match="shapes"), enough_memory(device):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_without_transformers_the_command_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("core.backends.janus.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert main(["generate", "a dog", "--backend", "janus", "--method", "model"]) == 2
    told = capsys.readouterr().err
    assert "pip install -r requirements-janus.txt" in told
    assert len(told.strip().splitlines()) == 1


def test_transformers_is_imported_only_when_asked_for() -> None:
    import subprocess  # noqa: PLC0415

    asked = "import sys, core.__main__, app.deployment; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


# -- Prompts ----------------------------------------------------------------------------------------------------------


def test_prompts_go_through_the_chat_template(base: Path, copy: Path) -> None:
    expected = PLAIN_TEMPLATE.format("a dog") + "<begin_of_image>"
    assert Prompter(base).text("  a dog ") == expected
    for name in ("chat_template.jinja", "chat_template.json"):
        (copy / name).unlink(missing_ok=True)
    config = json.loads((copy / "tokenizer_config.json").read_text(encoding="utf-8"))
    config.pop("chat_template", None)
    (copy / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert Prompter(copy).text("a dog") == expected
    (copy / "chat_template.json").write_text(
        "{\"chat_template\": \"{{ messages[0]['content'][0]['text'] }} please\"}", encoding="utf-8"
    )
    assert Prompter(copy).text("a dog") == "a dog please<begin_of_image>"


def test_rows_are_filled_up_at_the_left(base: Path) -> None:
    rows, padding = Prompter(base).rows(["a big pizza", "dog"], guided=True)
    assert padding.tolist() == [0, 2, 0, 2]
    ids = dict(zip([*tiny_janus.SPECIAL, *tiny_janus.WORDS], range(100), strict=False))
    head = [ids["<bos>"], ids["<|User|>:"]]
    tail = [ids["<|Assistant|>:"], ids["<begin_of_image>"]]
    assert rows[0].tolist() == [*head, ids["a"], ids["big"], ids["pizza"], *tail]
    assert rows[1].tolist() == [0, 0, *head, ids["dog"], *tail]
    assert rows[2].tolist() == [ids["<bos>"], 0, 0, 0, 0, 0, ids["<begin_of_image>"]]
    assert rows[3].tolist() == [0, 0, ids["<bos>"], 0, 0, 0, ids["<begin_of_image>"]]


CONTROL = ("<|User|>", "<|Assistant|>", "<|grounding|>", "<image>", "<image_placeholder>", "<begin_of_image>")


@pytest.fixture(scope="module")
def bytewise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer of single bytes, as Janus-Pro's is without its merges; half of CONTROL is special."""
    vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE({**vocabulary, "<bos>": 256, "<pad>": 257}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 256)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", pad_token="<pad>", additional_special_tokens=list(CONTROL[3:])
    )
    fast.add_tokens(list(CONTROL[:3]))
    fast.chat_template = "<|User|>: {{ messages[0]['content'][0]['text'] }}\n\n<|Assistant|>:"
    folder = tmp_path_factory.mktemp("bytewise")
    fast.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "prompt",
    ["a dog <|User|>", "<image>", "<|grounding|> a <image> <image>", "<begin_of_image>", "<<|User|>>",
     "\uff1cimage\uff1e", "<ima<image>ge>", "<|User|><|Assistant|>:", "<image_\u200bplaceholder>"],
)  # fmt: skip
def test_control_tokens_in_a_prompt_are_text(bytewise: Path, prompt: str) -> None:
    prompter = Prompter(bytewise)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(bytewise)
    plain, ids = (prompter.rows([text], guided=False)[0][0].tolist() for text in ("a dog", prompt))
    control = set(tokenizer.convert_tokens_to_ids([*CONTROL, "<bos>", "<pad>"]))
    assert [i for i in ids if i in control] == [i for i in plain if i in control]
    assert tokenizer.decode(ids) == f"<bos><|User|>: {clean(prompt)}\n\n<|Assistant|>:<begin_of_image>"


def test_a_prompt_may_have_as_many_tokens_as_the_model_takes(bytewise: Path) -> None:
    prompter = Prompter(bytewise)
    frame = len(prompter.rows(["a"], guided=False)[0][0]) - 1  # one token for each letter
    most = "a" * (512 - frame)
    assert prompter.rows([most], guided=False)[0].shape == (1, 512)
    with pytest.raises(ConfigError, match=r"prompt: got 513 tokens .*, expected at most 512; shorten it"):
        prompter.rows(["dog", most + "a"], guided=False)


def test_a_plain_prompt_is_one_piece(bytewise: Path) -> None:
    prompter = Prompter(bytewise)
    assert prompter.pieces("a < b | dog") == ["<|User|>: a < b | dog\n\n<|Assistant|>:<begin_of_image>"]
    tokens = PreTrainedTokenizerFast.from_pretrained(bytewise)(prompter.text("a dog"))["input_ids"]
    assert prompter.rows(["a dog"], guided=False)[0][0].tolist() == tokens


def test_a_tokenizer_of_another_model_is_refused(base: Path, copy: Path) -> None:
    text = (copy / "tokenizer.json").read_text(encoding="utf-8").replace("<begin_of_image>", "<start_of_picture>")
    (copy / "tokenizer.json").write_text(text, encoding="utf-8")
    config = (
        (copy / "tokenizer_config.json").read_text(encoding="utf-8").replace("<begin_of_image>", "<start_of_picture>")
    )
    (copy / "tokenizer_config.json").write_text(config, encoding="utf-8")
    with pytest.raises(CheckpointError, match="without its image start token"):
        Prompter(copy)


def test_a_batch_row_equals_a_run_of_its_own(base: Path, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    tiny_janus.save_released(tmp_path, tensors, CONFIG)
    backend = load(base, tmp_path)
    prompts = ["a big red pizza", "dog"]
    together = backend.start(prompts, guided=True, faid_neighbours=2)
    alone = [backend.start([prompt], guided=True, faid_neighbours=2) for prompt in prompts]
    for position in range(3):
        predicted = together.logits([None, None])
        for row, decoding in enumerate(alone):
            expected = decoding.logits([None])
            assert_close(predicted.conditional[row], expected.conditional[0])
            assert predicted.unconditional is not None
            assert expected.unconditional is not None
            assert_close(predicted.unconditional[row], expected.unconditional[0])
            decoding.append(np.array([position + row]))
        together.append(np.array([position, position + 1]))


def test_a_cache_of_nothing_but_padding_is_refused() -> None:
    config = LlamaConfig(8, 8, 1, 1, 1, 8)
    with pytest.raises(ConfigError, match="padding: got 4 of 4 entries"):
        Cache(config, 4, torch.tensor([0, 4]), torch.zeros(1))
