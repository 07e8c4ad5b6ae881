"""The example of LlamaGen: it keeps to the contract, reads the files that are out there, and says what is wrong."""

from __future__ import annotations

import json
import os
import pickle
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import arrag_llamagen
import numpy as np
import pytest
import torch
from arrag_llamagen import LlamaGen
from arrag_llamagen.classes import NAMES, class_of
from torch import Tensor

from core.backends import ModelSource, load_backend
from core.context import Context
from core.engine import Request, decode_together, generate
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.testing import check_backend, discs
from core.types import ArragError, CheckpointError, ConfigError, DecodeSettings
from tests.closeness import assert_close
from tests.tiny_llamagen import NAME, PIXELS, Size, gpt_tensors, save, tokenizer_tensors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llamagen")).parent


@pytest.fixture(scope="module")
def backend(folder: Path) -> LlamaGen:
    return arrag_llamagen.load(ModelSource(str(folder / NAME), device="cpu"))


def test_it_keeps_to_the_contract(backend: LlamaGen) -> None:
    check_backend(backend, prompts=("3", "7"))


def test_the_contract_is_checked_with_two_prompts(backend: LlamaGen) -> None:
    with pytest.raises(AssertionError, match="prompts: got 1, expected two"):
        check_backend(backend, prompts=("3",))


def test_it_says_what_it_is(backend: LlamaGen) -> None:
    assert (backend.name, backend.pixels, backend.grid.positions) == ("llamagen", PIXELS, 36)
    assert backend.description == "LlamaGen c2i_tiny_24, class to image, on cpu, float32"
    defaults = backend.defaults
    assert (defaults.cfg_scale, defaults.temperature, defaults.top_k, defaults.top_p) == (4, 1, 2000, 1)
    assert defaults.caption_filter == 0


def test_it_is_found_by_the_name_of_its_function(folder: Path, backend: LlamaGen) -> None:
    found = load_backend("arrag_llamagen:load", ModelSource(str(folder / NAME), device="cpu"))
    assert found.fingerprint == backend.fingerprint
    assert found.faid is None
    with pytest.raises(ConfigError, match="got no FAiD weights"):
        found.start(["3"], guided=True, faid_neighbours=3)


def test_rows_of_a_batch_are_the_pictures_of_each_alone(backend: LlamaGen) -> None:
    settings = DecodeSettings(method="model", cfg_scale=4, seed=3)
    requests = [Request(backend, None, prompt, settings) for prompt in ("3", "7")]
    together = np.array([[record.code for record in step] for step in decode_together(requests)]).T
    for row, prompt in zip(together, ("3", "7"), strict=True):
        np.testing.assert_array_equal(row, generate(backend, None, prompt, settings).codes)
    assert (together[0] != together[1]).any()


def test_a_database_from_pictures_changes_what_is_drawn(backend: LlamaGen) -> None:
    grids = backend.encode_images(discs(PIXELS))
    database = PatchDatabase.build(backend.codebook, grids, [ImageInfo("disc"), ImageInfo("negative")], Context(1))
    settings = DecodeSettings(seed=1, retrieval_weight=0.9, gate=0, caption_filter=0)
    trace = generate(backend, database, "3", settings)
    assert trace.retrieving_positions == 5 * 4
    assert len(trace.flips()) > 0


def test_half_precision_is_near(folder: Path, backend: LlamaGen) -> None:
    half = arrag_llamagen.load(ModelSource(str(folder / NAME), device="cpu", dtype="bfloat16"))
    assert half.gpt.output.weight.dtype == torch.bfloat16
    assert half.tokenizer.quant_conv.weight.dtype == torch.float32
    whole, rounded = (model.start(["3"], guided=True).logits().conditional for model in (backend, half))
    assert_close(rounded, whole, relative=0.1)


# -- Prompts ----------------------------------------------------------------------------------------------------------


def test_the_names_are_the_thousand_of_imagenet() -> None:
    assert len(NAMES) == 1000
    for number, name in (
        (0, "tench"),
        (207, "golden retriever"),
        (360, "otter"),
        (974, "geyser"),
        (999, "toilet tissue"),
    ):
        assert NAMES[number] == name
        assert class_of(name, 1000) == class_of(name.upper(), 1000) == class_of(str(number), 1000) == number


@pytest.mark.parametrize(
    ("prompt", "classes", "said"),
    [
        ("a red heart", 1000, "got 'a red heart', expected a class of ImageNet: a number from 0 to 999 or a name"),
        ("retriever", 1000, "take one of .*207 golden retriever"),
        ("gold fish", 1000, "take one of .*1 goldfish"),
        ("cardigan", 1000, "take one of 264 Cardigan, 474 cardigan"),
        ("1000", 1000, "got '1000', expected"),
        ("-1", 1000, "got '-1', expected"),
        ("²", 1000, "got '²', expected"),
        ("goldfish", 12, "a number from 0 to 11$"),
        ("9" * 5000, 12, "got '9{,79}"),
    ],
)
def test_other_prompts_are_refused_in_one_line(prompt: str, classes: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refusal:
        class_of(prompt, classes)
    assert len(str(refusal.value)) < 300


def test_a_prompt_is_refused_before_anything_is_drawn(backend: LlamaGen) -> None:
    with pytest.raises(ConfigError, match="expected a class of ImageNet: a number from 0 to 11"):
        generate(backend, None, "a red heart", replace(backend.defaults, method="model"))


# -- Files ------------------------------------------------------------------------------------------------------------

WAYS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "DDP": lambda named: {
        "model": named,
        "optimizer": {"state": {0: torch.ones(2)}},
        "steps": 1,
        "args": Namespace(a=1),
    },
    "DeepSpeed": lambda named: {"module": named},
    "state dict": lambda named: {"state_dict": named},
    "FSDP": lambda named: named,
    "DDP, not unwrapped": lambda named: {"model": {f"module.{name}": value for name, value in named.items()}},
    "compiled": lambda named: {f"_orig_mod.{name}": value for name, value in named.items()},
    "angles": lambda named: {**named, "freqs_cis": torch.zeros(37, 6, 2)},
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_files_of_every_kind_of_training_are_read(way: str, folder: Path, backend: LlamaGen) -> None:
    path = folder / "c2i_way_24.pt"
    torch.save(WAYS[way](gpt_tensors()), path)
    path.with_suffix(".json").write_text('{"heads": 4}', encoding="utf-8")
    loaded = arrag_llamagen.load(ModelSource(str(path), device="cpu"))
    assert loaded.fingerprint == backend.fingerprint
    assert_close(loaded.start(["3"], False).logits().conditional, backend.start(["3"], False).logits().conditional)


def test_other_weights_and_other_heads_have_another_fingerprint(tmp_path: Path, backend: LlamaGen) -> None:
    others = [save(tmp_path / "seed", tensors=gpt_tensors(seed=1)), save(tmp_path / "heads", Size(heads=2))]
    found = {arrag_llamagen.load(ModelSource(str(path), device="cpu")).fingerprint for path in others}
    assert len({backend.fingerprint, *found}) == 3


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_runs_none(folder: Path) -> None:
    path, ran = folder / "c2i_hostile_24.pt", folder / "ran"
    for write in (
        lambda value: torch.save({"model": gpt_tensors(), "args": value}, path),
        lambda value: path.write_bytes(pickle.dumps(value)),
    ):
        write(Hostile(ran))
        with pytest.raises(CheckpointError, match="not a readable weight file"):
            arrag_llamagen.load(ModelSource(str(path)))
    assert not ran.exists()


def changed(name: str, value: Tensor | None) -> dict[str, Tensor]:
    """The tensors with one replaced, or without it."""
    named = {**gpt_tensors(), **({} if value is None else {name: value})}
    return {key: tensor for key, tensor in named.items() if value is not None or key != name}


DAMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "missing": (changed("norm.weight", None), "got no norm.weight"),
    "no layers": (changed("layers.0.feed_forward.w1.weight", None), "got no layers.0.feed_forward.w1.weight"),
    "extra": (changed("layers.0.blender", torch.zeros(1)), "got layers.0.blender, which this model has not"),
    "shape": (
        changed("layers.1.attention.wo.weight", torch.zeros(2, 2)),
        r"wo.weight: got \(2, 2\), expected \(48, 48\)",
    ),
    "dimensions": (changed("tok_embeddings.weight", torch.zeros(3)), r"got \(3,\), expected 2 dimensions"),
    "not finite": (changed("output.weight", torch.full((24, 48), torch.nan)), "not finite"),
    "codes": (gpt_tensors(Size(codes=25)), "got 25 codes, expected the 24 of vq_ds16_c2i.pt"),
    "text": (changed("cls_embedding.cap_proj.fc1.weight", torch.zeros(1)), "got a text-to-image model.*take a class"),
    "tokenizer": (tokenizer_tensors(), "got no tok_embeddings.weight"),
    "no tensors": ({"model": {"a": 1}}, "expected named tensors"),
    "nothing": ({}, "expected named tensors"),
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
def test_files_of_something_else_are_refused_in_one_line(damage: str, folder: Path) -> None:
    tensors, said = DAMAGE[damage]
    path = folder / "c2i_damaged_24.pt"
    torch.save(tensors, path)
    path.with_suffix(".json").write_text('{"heads": 4}', encoding="utf-8")
    refused(path, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object with heads and pixels"),
        ('{"heads": 0}', "from 1 to 4096"),
        ('{"heads": true}', "from 1 to 4096"),
        ('{"layers": 4}', "expected an object with heads and pixels"),
        ('{"heads": 5}', "got 3 layers of width 48 and 5 heads"),
        ('{"heads": 4, "pixels": 25}', "got pictures of 25 pixels, expected a multiple of the 4 of a code"),
    ],
)
def test_what_stands_beside_is_checked(text: str, said: str, folder: Path) -> None:
    path = folder / "c2i_beside_24.pt"
    torch.save(gpt_tensors(), path)
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    refused(path, said)


def test_heads_and_pixels_come_from_what_stands_beside(folder: Path) -> None:
    path = folder / "my_own.pt"
    torch.save(gpt_tensors(), path)
    refused(path, 'a name that does not end with the size of its pictures; say {"pixels": 384} in my_own.json')
    path.with_suffix(".json").write_text(json.dumps({"pixels": 32}), encoding="utf-8")
    refused(path, "got 3 layers of width 48 and an unknown number of heads")
    path.with_suffix(".json").write_text(json.dumps({"pixels": 32, "heads": 4}), encoding="utf-8")
    assert arrag_llamagen.load(ModelSource(str(path), device="cpu")).grid.positions == 64


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path)
    refused(tmp_path / "c2i_B_384.pt", "no such file, expected weights of LlamaGen")
    vq = tmp_path / "vq_ds16_c2i.pt"
    torch.save({"model": {**tokenizer_tensors(), "encoder.conv_in.weight": torch.zeros(33, 3, 3, 3)}}, vq)
    refused(path, "expected multiples of 32")
    vq.write_bytes(vq.read_bytes()[:1000])
    refused(path, "vq_ds16_c2i.pt: not a readable weight file")
    vq.unlink()
    refused(path, "vq_ds16_c2i.pt: no such file")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"model": ""}, "model: got nothing, expected a file such as c2i_B_384.pt, with vq_ds16_c2i.pt beside it"),
        ({"faid": "some/folder"}, "faid: got 'some/folder', expected nothing: there are no FAiD weights for LlamaGen"),
        ({"device": "abacus"}, "device: got 'abacus', expected one that is here: auto"),
        ({"pixels_device": "abacus"}, "device: got 'abacus'"),
        ({"dtype": "int8"}, "dtype: got 'int8', expected one of auto, float32, bfloat16, float16"),
    ],
)
def test_what_cannot_be_is_refused(source: dict[str, str], said: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        arrag_llamagen.load(ModelSource(**{"model": str(folder / NAME), "device": "cpu", **source}))


def refused(path: Path, said: str) -> None:
    """It is not loaded, for a reason of one line that names the file."""
    with pytest.raises(ArragError, match=said) as refusal:
        arrag_llamagen.load(ModelSource(str(path), device="cpu"))
    assert str(path.parent) in str(refusal.value)
    assert "\n" not in str(refusal.value)
