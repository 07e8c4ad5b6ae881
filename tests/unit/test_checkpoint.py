"""Weights and configuration: what is written is read back, and every damage has its own sentence."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from core.backends import checkpoint, load_backend
from core.backends.emoji.backend import FOLDER, EmojiBackend
from core.backends.emoji.tokenizer import TokenizerConfig, VQTokenizer
from core.backends.emoji.transformer import TransformerConfig
from core.codebook import Codebook
from core.types import CheckpointError, ConfigError
from tests.closeness import assert_close


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def test_weights_survive_as_half_precision(module: nn.Module, tmp_path: Path) -> None:
    checkpoint.save_weights(tmp_path, "part", module)
    other = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    checkpoint.load_weights(tmp_path, "part", other)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-3, atol=1e-3)
    assert other[0].weight.dtype == torch.float32  # type: ignore[union-attr]


def test_eight_bits_keep_every_row_to_a_half_of_its_127th_part(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, other = nn.Linear(96, 64), nn.Linear(96, 64)
    with torch.no_grad():
        module.weight[3] *= 1000  # a large row must not cost the others their precision
        module.weight[4] = 0
    checkpoint.save_weights(tmp_path, "part", module, bits=8)
    checkpoint.load_weights(tmp_path, "part", other)
    error = (other.weight - module.weight).abs().amax(dim=1)
    assert (error <= module.weight.abs().amax(dim=1) / 127 / 2 * 1.001).all()
    torch.testing.assert_close(other.bias, module.bias, rtol=1e-3, atol=1e-3)
    assert (tmp_path / "part-1.safetensors").stat().st_size < 64 * 96 + 1500


def test_a_scale_without_its_matrix_is_named(tmp_path: Path) -> None:
    checkpoint.save_weights(tmp_path, "part", nn.Linear(96, 64), bits=8)
    tensors = load_file(tmp_path / "part-1.safetensors")
    save_file(tensors | {"weight:scale": torch.ones(63, 1)}, tmp_path / "part-1.safetensors")
    with pytest.raises(CheckpointError, match="another weight"):
        checkpoint.load_weights(tmp_path, "part", nn.Linear(96, 64))


def test_large_weights_are_split_and_old_parts_removed(
    module: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "part-9.safetensors").write_bytes(b"old")
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 20)
    checkpoint.save_weights(tmp_path, "part", module)
    assert len(list(tmp_path.glob("part-*.safetensors"))) > 2
    checkpoint.load_weights(tmp_path, "part", module)


def test_damage_is_named(module: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no part-1"):
        checkpoint.load_weights(tmp_path, "part", module)
    (tmp_path / "part-1.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="not a readable"):
        checkpoint.load_weights(tmp_path, "part", module)
    checkpoint.save_weights(tmp_path, "part", nn.Linear(4, 3))
    with pytest.raises(CheckpointError, match="another"):
        checkpoint.load_weights(tmp_path, "part", module)
    with torch.no_grad():
        module[0].weight[0, 0] = float("nan")  # type: ignore[union-attr, index, operator]
    checkpoint.save_weights(tmp_path, "part", module)
    with pytest.raises(CheckpointError, match="not finite"):
        checkpoint.load_weights(tmp_path, "part", module)


def test_config_round_trip_and_errors(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        checkpoint.read_config(tmp_path)
    values = {name: getattr(TokenizerConfig(), name) for name in TokenizerConfig.__slots__}
    checkpoint.write_config(tmp_path, "tokenizer", values)
    checkpoint.write_config(tmp_path, "other", {"a": 1})
    config = checkpoint.read_config(tmp_path)
    assert checkpoint.config_part(config, "tokenizer", TokenizerConfig) == TokenizerConfig()
    with pytest.raises(CheckpointError, match="must have exactly"):
        checkpoint.config_part(config, "other", TokenizerConfig)
    for bad in ("many", 1024.0, True, -1, None):
        config["tokenizer"]["codes"] = bad
        with pytest.raises(CheckpointError, match=r"tokenizer\.codes.*expected a whole number"):
            checkpoint.config_part(config, "tokenizer", TokenizerConfig)
    for name in ("codes", "pixels", "fine_blocks"):
        with pytest.raises(CheckpointError, match=rf"tokenizer\.{name}: got 0, expected a whole number from 1"):
            checkpoint.config_part({"tokenizer": values | {name: 0}}, "tokenizer", TokenizerConfig)
    for content in ("[1]", "{"):
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
        with pytest.raises(CheckpointError, match="JSON"):
            checkpoint.read_config(tmp_path)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("transformer", {"heads": 0}, r"transformer\.heads: got 0"),
        ("transformer", {"width": 0}, r"transformer\.width: got 0"),
        ("transformer", {"layers": 10**30}, r"transformer\.layers: got 10*, expected"),
        ("transformer", {"heads": 3}, "got width 256 for 3 heads"),
        ("transformer", {"heads": 128}, "got width 256 for 128 heads"),
        ("transformer", {"canvas_channels": 9}, "transformer: got sizes that do not fit"),
        ("tokenizer", {"fine_width": 9}, "tokenizer: got sizes that do not fit"),
        ("faid", {"blend_every": 0}, r"faid\.blend_every: got 0"),
    ],
)
def test_sizes_that_give_no_model_are_named(part: str, changes: dict[str, int], message: str, tmp_path: Path) -> None:
    for file in filter(Path.is_file, FOLDER.iterdir()):
        shutil.copyfile(file, tmp_path / file.name)
    config = checkpoint.read_config(FOLDER)
    config[part] |= changes
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match=message) as caught:
        EmojiBackend.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_may_know_no_pieces() -> None:
    sizes = asdict(TransformerConfig())
    assert sizes["known_pieces"] == 0
    assert checkpoint.config_part({"transformer": sizes}, "transformer", TransformerConfig) == TransformerConfig()


def test_fingerprint_depends_on_names_and_values_only() -> None:
    one, two = {"a": torch.ones(2), "b": torch.zeros(2)}, {"b": torch.zeros(2), "a": torch.ones(2)}
    assert checkpoint.fingerprint(one) == checkpoint.fingerprint(two)
    assert checkpoint.fingerprint(one) != checkpoint.fingerprint({"a": torch.ones(2), "b": torch.ones(2)})
    shapes = [torch.zeros(2, 3), torch.zeros(3, 2), torch.zeros(6), torch.zeros(3, dtype=torch.float64)]
    assert len({checkpoint.fingerprint({"a": value}) for value in shapes}) == len(shapes)


def test_codebook_normalises_and_refuses_what_has_no_direction() -> None:
    book = Codebook.from_vectors(np.array([[3.0, 4.0], [0.0, 2.0]], np.float32))
    assert_close(book.vectors, [[0.6, 0.8], [0.0, 1.0]], 1e-6)
    assert (book.size, book.dim) == (2, 2)
    assert book.fingerprint == Codebook.from_vectors(book.vectors * 2).fingerprint
    for bad in ([[0.0, 0.0], [1.0, 0.0]], [[float("nan"), 1.0], [1.0, 0.0]], [[1.0, 0.0]]):
        with pytest.raises(CheckpointError, match="codebook"):
            Codebook.from_vectors(np.array(bad, np.float32))


def test_unknown_backend_is_named() -> None:
    with pytest.raises(ConfigError, match="'nothing', expected one of emoji"):
        load_backend("nothing")


def test_parts_that_do_not_fit_are_refused(backend: EmojiBackend) -> None:
    other = VQTokenizer(TokenizerConfig(pixels=128, codes=16, fine_width=8, coarse_width=16))
    with pytest.raises(CheckpointError, match="train or restore both together"):
        EmojiBackend.assemble(other, backend.encoder, backend.transformer)
