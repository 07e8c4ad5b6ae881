"""Weights as safetensors (half precision) beside one config.json; nothing here can run code from a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..types import CheckpointError

Config = TypeVar("Config")
Part = TypeVar("Part", bound=nn.Module)

LARGEST_SIZE = 65536
"""Largest number in a config.json."""

MAX_BYTES = 9_000_000  # of one file, so that hosts without large-file storage take it
SMALL = 4096  # matrices below this many values are not worth a scale
SCALE = ":scale"


def save_weights(folder: Path, part: str, module: nn.Module, bits: Literal[8, 16] = 16) -> None:
    """Write a module's parameters and buffers as `part`-1.safetensors and on.

    Floats become fp16; with 8 bits, large matrices and convolutions become int8 with one fp32 scale for each output
    (`NAME:scale`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, value in module.state_dict().items():
        stored = _stored(name, value, bits)
        bytes_of = sum(tensor.nbytes for tensor in stored.values())
        size += bytes_of
        if size > MAX_BYTES and shards[-1]:
            shards.append({})
            size = bytes_of
        shards[-1].update(stored)
    for old in folder.glob(f"{part}-*.safetensors"):
        old.unlink()
    for number, shard in enumerate(shards, start=1):
        save_file(shard, folder / f"{part}-{number}.safetensors")


def _stored(name: str, value: Tensor, bits: Literal[8, 16]) -> dict[str, Tensor]:
    """A tensor as it goes to the file."""
    if not value.is_floating_point():
        return {name: value.contiguous()}
    if bits == 16 or value.ndim < 2 or value.numel() < SMALL:
        return {name: value.half().contiguous()}
    values = value.float()
    largest = values.abs().amax(dim=_inputs(value), keepdim=True)
    scale = (largest / 127).clamp_min(torch.finfo(torch.float32).tiny)
    return {name: (values / scale).round().to(torch.int8), name + SCALE: scale}


def _inputs(value: Tensor) -> tuple[int, ...]:
    """Dimensions that one scale covers: all but the outputs of a convolution, the last one of anything else."""
    return (1, 2, 3) if value.ndim == 4 else (-1,)


def load_weights(folder: Path, part: str, module: nn.Module) -> None:
    """Fill a module from the files of `part`, as fp32; CheckpointError names what is missing or does not fit."""
    paths = sorted(folder.glob(f"{part}-*.safetensors"))
    if not paths:
        raise CheckpointError(f"{folder}: no {part}-1.safetensors, expected trained weights; restore or train them")
    files: dict[str, Tensor] = {}
    for path in paths:
        try:
            files.update(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path}: not a readable safetensors file ({error}); restore it") from None
    scales = {name.removesuffix(SCALE): files.pop(name) for name in list(files) if name.endswith(SCALE)}
    expected = module.state_dict()
    wrong = sorted(set(expected) ^ set(files)) or [k for k, v in expected.items() if v.shape != files[k].shape]
    wrong += [k for k, v in scales.items() if k not in files or v.shape != files[k].amax(_inputs(files[k]), True).shape]
    if wrong:
        raise CheckpointError(f"{folder}: {part} has another {wrong[0]} than config.json says; restore both")
    tensors = {k: v.to(expected[k].dtype) * scales.get(k, 1) for k, v in files.items()}
    if not all(bool(torch.isfinite(v).all()) for v in tensors.values() if v.is_floating_point()):
        raise CheckpointError(f"{folder}: {part} has values that are not finite, expected numbers; restore the files")
    module.load_state_dict(tensors)


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Short hash of named tensors, the same on every machine."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().contiguous().cpu()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode() + value.numpy().tobytes())
    return digest.hexdigest()[:16]


def joint_fingerprint(*parts: object) -> str:
    """Short hash of the reprs of several things: hashes, sizes, constants."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def read_config(folder: Path) -> dict[str, Any]:
    """The JSON object in `folder`/config.json; CheckpointError when there is none."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder}: no config.json, expected a model folder; check the path")
    return read_json(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; CheckpointError when the file is missing or something else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "damaged"
        raise CheckpointError(f"{path}: cannot be read ({reason}), expected a part of a model; restore it") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}); restore it") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: got {type(values).__name__}, expected a JSON object; restore it")
    return values


def write_config(folder: Path, part: str, values: Mapping[str, Any]) -> None:
    """Set one part of `folder`/config.json and keep the others."""
    folder.mkdir(parents=True, exist_ok=True)
    config = read_config(folder) if (folder / "config.json").exists() else {}
    config[part] = dict(values)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def config_part(config: Mapping[str, Any], part: str, kind: type[Config]) -> Config:
    """One part of a config.json as its dataclass; CheckpointError names what is missing, unknown or no size.

    Sizes are whole numbers, from 1 on unless the dataclass itself begins with 0.
    """
    values = config.get(part)
    least = {f.name: 0 if f.default == 0 else 1 for f in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, dict) or set(values) != set(least):
        raise CheckpointError(f"config.json: {part} must have exactly {', '.join(sorted(least))}; restore the file")
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or not least[name] <= value <= LARGEST_SIZE:
            expected = f"expected a whole number from {least[name]} to {LARGEST_SIZE}; restore the file"
            raise CheckpointError(f"config.json: {part}.{name}: got {value!r:.80}, {expected}")
    return kind(**values)


def build(part: str, make: Callable[[], Part]) -> Part:
    """A module of the sizes in config.json; CheckpointError when they do not go together."""
    try:
        return make()
    except (ArithmeticError, LookupError, ValueError, RuntimeError, MemoryError) as error:
        reason = str(error).split("\n")[0][:160]
        raise CheckpointError(f"config.json: {part}: got sizes that do not fit ({reason}); restore the file") from None
