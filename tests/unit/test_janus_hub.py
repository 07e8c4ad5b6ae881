"""Which files of a repository are fetched, and why some cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.__main__ import main
from core.backends import ModelSource, load_backend
from core.backends.janus import config, hub
from core.types import CheckpointError, ConfigError
from tests import tiny_janus
from tests.hub import COMMITS, Hub, asked, served

REPOSITORY = "deepseek-ai/Tiny"
INDEX = "pytorch_model.bin.index.json"
FIRST, SECOND = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
OTHERS = dict.fromkeys((SECOND, "training_args.bin", "README.md", "original/pytorch_model.bin", "a.gguf"), b"not read")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """DeepSeek's format in two files, the second one of the tower that sees pictures; and what else may lie there."""
    folder = tmp_path_factory.mktemp("model")
    tensors = tiny_janus.released_tensors(tiny_janus.tiny_janus())
    drawn = {name: tensor for name, tensor in tensors.items() if not name.startswith(("vision_model.", "aligner."))}
    tiny_janus.save_deepseek(folder, drawn)
    (folder / "pytorch_model.bin").rename(folder / FIRST)
    index = {name: FIRST if name in drawn else SECOND for name in tensors}
    (folder / INDEX).write_text(json.dumps({"weight_map": index}), encoding="utf-8")
    return {file.name: file.read_bytes() for file in folder.iterdir()} | OTHERS


@pytest.fixture
def sharded(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has these files."""
    monkeypatch.setattr(config, "VQ_MODELS", config.VQ_MODELS | tiny_janus.VQ_TINY)
    there = Hub(REPOSITORY, dict(files))
    with served(there, tmp_path / "cache", monkeypatch):
        yield there


def test_only_what_is_loaded_is_fetched_and_then_it_is_there_without_a_connection(
    sharded: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = load_backend("janus", ModelSource(REPOSITORY, device="cpu"))
    assert sorted(sharded.sent) == [
        "config.json", "processor_config.json", FIRST, INDEX, "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert fetched.description == "Tiny on cpu, float32"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load_backend("janus", ModelSource(REPOSITORY, device="cpu")).fingerprint == fetched.fingerprint
    asked("http://127.0.0.1:9", tmp_path / "cache", monkeypatch)
    hub.fetch_weights(REPOSITORY, hub.fetch(REPOSITORY))
    assert len(sharded.sent) == 6


def test_a_revision_is_fetched_and_config_and_weights_are_of_one_commit(sharded: Hub) -> None:
    folder = hub.fetch(f"{REPOSITORY}@v1")
    hub.fetch_weights(f"{REPOSITORY}@v1", folder)
    assert folder.name == COMMITS["v1"]
    assert (folder / FIRST).exists()
    with pytest.raises(CheckpointError, match=r"@v2: not a folder, .*\(no such revision\); check what follows the @$"):
        hub.fetch(f"{REPOSITORY}@v2")


def test_of_two_kinds_of_weights_one_is_fetched(sharded: Hub) -> None:
    sharded.files.pop(INDEX)
    sharded.files["model.safetensors"] = b"weights"
    folder = hub.fetch(REPOSITORY)
    hub.fetch_weights(REPOSITORY, folder)
    assert [name for name in sharded.sent if "model" in name] == ["model.safetensors"]


def test_a_model_that_is_none_is_refused_before_its_weights_are_fetched(sharded: Hub) -> None:
    sharded.files["config.json"] = b'{"model_type": "llama"}'
    with pytest.raises(CheckpointError, match="got a model of type 'llama'"):
        load_backend("janus", ModelSource(REPOSITORY))
    assert not [name for name in sharded.sent if name.endswith(".bin")]


def test_what_cannot_be_fetched_says_why(
    sharded: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CheckpointError, match=r"other/model: .*\(no such repository, or a private one\); check the n"):
        hub.fetch("other/model")
    folder = hub.fetch(REPOSITORY)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"\(not in the cache, and HF_HUB_OFFLINE is set\); check the connection"):
        hub.fetch_weights(REPOSITORY, folder)
    asked("http://127.0.0.1:9", tmp_path / "empty", monkeypatch)
    with pytest.raises(CheckpointError, match=r"\(not in the cache, and the hub cannot be reached\)"):
        hub.fetch(REPOSITORY)
    capsys.readouterr()
    assert main(["generate", "a dog", "--backend", "janus", "--model", REPOSITORY, "--method", "model"]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert "the hub cannot be reached" in told[0]


def test_a_repository_without_weights_says_so(sharded: Hub) -> None:
    for name in [name for name in sharded.files if name.startswith("pytorch_model")]:
        sharded.files.pop(name)
    folder = hub.fetch(REPOSITORY)
    with pytest.raises(CheckpointError, match=r"deepseek-ai/Tiny: got no \*\.safetensors or \*\.bin file"):
        hub.fetch_weights(REPOSITORY, folder)


def test_a_file_that_its_index_lists_and_nobody_has_is_named(sharded: Hub) -> None:
    sharded.files.pop(FIRST)
    with pytest.raises(CheckpointError, match=r"got no pytorch_model-00001-of-00002\.bin, which its index lists"):
        load_backend("janus", ModelSource(REPOSITORY, device="cpu"))


@pytest.mark.parametrize("source", ["nowhere", "./nowhere", "a/b/c", " ", "a/b@", "a/b@../c", "a/b@x y"])
def test_what_is_no_folder_and_no_repository_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="expected a folder, or a repository"):
        hub.fetch(source)


def test_a_file_is_not_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ConfigError, match=r"got the file '.*', expected the folder that it is in"):
        hub.fetch(str(tmp_path / "pytorch_model.bin"))


def test_another_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> str:
        raise OSError("no\nroom")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(CheckpointError, match=r"some/model: not a folder, .*OSError: no room\); check the name"):
        hub.fetch("some/model")
