"""The released .pt files: read by torch's restricted loader, checked by name and shape before anything is made of them.

A file holds the tensors themselves (training with FSDP) or has them under "model" (DDP), "module" (DeepSpeed) or
"state_dict", beside what training needs to go on, which is passed over.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from arrag.types import CheckpointError
from torch import Tensor, nn

WRAPPERS: Final = ("model", "module", "state_dict")
PREFIXES: Final = ("module.", "_orig_mod.")
"""What DDP and torch.compile put before every name."""

UNUSED: Final = ("freqs_cis", "quantize.codebook_used")
"""Angles, which are computed here, and a counter of training."""

SAMPLED: Final = 1024
"""How many values of each tensor its hash is made of."""

Tensors = Mapping[str, Tensor]


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by their published names; CheckpointError when it is missing, damaged or something else.

    Beside tensors and plain values the loader lets pass the settings of the training script, an argparse.Namespace,
    which holds values and runs nothing.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected weights of LlamaGen; download it or mend the path")
    try:
        with torch.serialization.safe_globals([Namespace]):
            held: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"{path}: not a readable weight file ({reason}); download it again") from None
    if isinstance(held, dict):
        held = next((held[name] for name in WRAPPERS if isinstance(held.get(name), dict)), held)
    if not isinstance(held, dict) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        kind = type(held).__name__
        raise CheckpointError(f"{path}: got {kind}, expected named tensors, by themselves or under {WRAPPERS[0]}")
    named = {_plain(str(name)): tensor for name, tensor in held.items()}
    return {name: tensor for name, tensor in named.items() if name not in UNUSED}


def _plain(name: str) -> str:
    """A name without what wrappers of modules put before it."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def shape_of(path: Path, tensors: Tensors, name: str, dimensions: int) -> tuple[int, ...]:
    """Shape of a tensor; CheckpointError when it is missing or has another number of dimensions."""
    if name not in tensors:
        raise CheckpointError(f"{path}: got no {name}, expected it; take a file that LlamaGen released")
    shape = tuple(tensors[name].shape)
    if len(shape) != dimensions or 0 in shape:
        raise CheckpointError(f"{path}: {name}: got {shape}, expected {dimensions} dimensions; download it again")
    return shape


def fill(path: Path, tensors: Tensors, module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Give a module that was made on the meta device its tensors.

    CheckpointError names one that is missing, that nothing asks for, that has another shape, or that is not finite.
    """
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    if missing := sorted(set(expected) - set(tensors)):
        raise CheckpointError(f"{path}: got no {missing[0]} ({len(missing)} missing); download it again")
    if extra := sorted(set(tensors) - set(expected)):
        raise CheckpointError(f"{path}: got {extra[0]}, which this model has not ({len(extra)} unexpected)")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(f"{path}: {name}: got {tuple(tensors[name].shape)}, expected {shape}")
        if not bool(torch.isfinite(tensors[name]).all()):
            raise CheckpointError(f"{path}: {name}: got values that are not finite; download it again")
    module.load_state_dict({name: tensors[name].to(device, dtype) for name in expected}, assign=True)
    module.requires_grad_(False).eval()


def hash_of(tensors: Tensors, *others: object) -> str:
    """Short hash of some values of each tensor, evenly spread, and of whatever else decides what a model draws."""
    digest = hashlib.sha256(repr(others).encode())
    for name in sorted(tensors):
        value = tensors[name].flatten()
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(value[:: max(1, len(value) // SAMPLED)].float().numpy().tobytes())
    return digest.hexdigest()[:16]


def settings_beside(path: Path) -> dict[str, int]:
    """What NAME.json says beside NAME.pt: heads, pixels, or neither; CheckpointError for anything else."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{beside}: not JSON ({' '.join(str(error).split())[:80]}); mend or remove it") from None
    known = isinstance(said, dict) and set(said) <= {"heads", "pixels"}
    if not known or not all(type(value) is int and 0 < value <= 4096 for value in said.values()):
        raise CheckpointError(f"{beside}: got {said!r:.80}, expected an object with heads and pixels, from 1 to 4096")
    return dict(said)
