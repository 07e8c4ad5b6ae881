"""Weights as safetensors (half precision) beside one config.json; nothing here can run code from a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.types import CheckpointError

Config = TypeVar("Config")


MAX_BYTES = 9_000_000  # of one file, so that hosts without large-file storage take it


def save_weights(folder: Path, part: str, module: nn.Module) -> None:
    """Write a module's parameters and buffers, floats as fp16, as `part`-1.safetensors and on."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, value in module.state_dict().items():
        tensor = (value.half() if value.is_floating_point() else value).contiguous()
        size += tensor.nbytes
        if size > MAX_BYTES and shards[-1]:
            shards.append({})
            size = tensor.nbytes
        shards[-1][name] = tensor
    for old in folder.glob(f"{part}-*.safetensors"):
        old.unlink()
    for number, shard in enumerate(shards, start=1):
        save_file(shard, folder / f"{part}-{number}.safetensors")


def load_weights(folder: Path, part: str, module: nn.Module) -> None:
    """Fill a module from the files of `part`, as fp32; CheckpointError names what is missing or does not fit."""
    paths = sorted(folder.glob(f"{part}-*.safetensors"))
    if not paths:
        raise CheckpointError(f"{folder}: no {part}-1.safetensors, expected trained weights; restore or train them")
    tensors: dict[str, Tensor] = {}
    for path in paths:
        try:
            tensors.update(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path}: not a readable safetensors file ({error}); restore it") from None
    expected = module.state_dict()
    wrong = sorted(set(expected) ^ set(tensors)) or [k for k, v in expected.items() if v.shape != tensors[k].shape]
    if wrong:
        raise CheckpointError(f"{folder}: {part} has another {wrong[0]} than config.json says; restore both")
    if not all(bool(torch.isfinite(v).all()) for v in tensors.values() if v.is_floating_point()):
        raise CheckpointError(f"{folder}: {part} has values that are not finite, expected numbers; restore the files")
    module.load_state_dict({k: v.to(expected[k].dtype) for k, v in tensors.items()})


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Short hash of named tensors, the same on every machine."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def read_config(folder: Path) -> dict[str, Any]:
    """The JSON object in `folder`/config.json; CheckpointError when there is none."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise CheckpointError(f"{folder}: no config.json, expected a model folder; check the path") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}); restore it") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: got {type(config).__name__}, expected a JSON object; restore it")
    return config


def write_config(folder: Path, part: str, values: Mapping[str, Any]) -> None:
    """Set one part of `folder`/config.json and keep the others."""
    folder.mkdir(parents=True, exist_ok=True)
    config = read_config(folder) if (folder / "config.json").exists() else {}
    config[part] = dict(values)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def config_part(config: Mapping[str, Any], part: str, kind: type[Config]) -> Config:
    """One part of a config.json as its dataclass; CheckpointError names what is missing, unknown or no whole number."""
    values = config.get(part)
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, dict) or set(values) != names:
        raise CheckpointError(f"config.json: {part} must have exactly {', '.join(sorted(names))}; restore the file")
    if bad := [k for k, v in values.items() if not isinstance(v, (int, float)) or isinstance(v, bool) or v < 0]:
        raise CheckpointError(f"config.json: {part}.{bad[0]}: got {values[bad[0]]!r}, expected a positive number")
    return kind(**values)
