"""The weight files of a Janus model or of a released FAiD checkpoint, read tensor by tensor under one set of names.

Names are transformers' (`model.language_model.layers.0...`). Checkpoints in DeepSeek's naming, which the released FAiD
ones keep, are renamed; LoRA parts are merged; what only understanding needs is passed over. Nothing is unpickled but by
torch's restricted loader.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...types import CheckpointError
from ..checkpoint import read_json

Read = Callable[[], Tensor]

LAYERS: Final = "model.language_model.layers."
LORA_SCALE: Final = 256 / 128
"""alpha / rank of the released training, for checkpoints without an adapter_config.json."""

_RENAMES: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^language_model\.model\.", "model.language_model."),
        (r"^language_model\.lm_head\.", "lm_head."),
        (r"^gen_embed\.", "model.generation_embeddings."),
        (r"^gen_aligner\.layers\.0\.", "model.generation_aligner.fc1."),
        (r"^gen_aligner\.layers\.2\.", "model.generation_aligner.hidden_layers.0."),
        (r"^gen_head\.output_mlp_projector\.", "model.generation_head.proj_out."),
        (r"^gen_head\.vision_head\.", "model.generation_head.vision_head."),
        (r"^gen_vision_model\.", "model.vqmodel."),
        (r"^(model\.vqmodel\.encoder\.)conv_blocks\.", r"\1down."),
        (r"^(model\.vqmodel\.decoder\.)conv_blocks\.", r"\1up."),
        (r"^(model\.vqmodel\..+\.)res\.", r"\1block."),
        (r"^(model\.vqmodel\..+\.mid\.)0\.", r"\1block_1."),
        (r"^(model\.vqmodel\..+\.mid\.)1\.", r"\1attn_1."),
        (r"^(model\.vqmodel\..+\.mid\.)2\.", r"\1block_2."),
    )
)
_UNUSED: Final = re.compile(
    r"^(model\.)?(vision_model|aligner)\.|^lm_head\.|\.rotary_emb\.|^model\.vqmodel\.quantize\.codebook_used$"
)
"""Tensors that only understanding images or writing text needs, and counters."""

_NO_WEIGHTS: Final = ("training_args.bin", "optimizer.bin", "scheduler.bin")
"""What a training leaves beside its weights."""

_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch's files began before 1.6: the pickled number 0x1950A86A20F9469CFC6C."""
_POINTER: Final = b"version https://git-lfs"

_LORA: Final = re.compile(r"^(.+)\.lora_([AB])(\.default)?\.weight$")


def transformers_name(name: str) -> str:
    """The name of a tensor in transformers' Janus classes; other names than DeepSeek's and PEFT's stay as they are."""
    name = name.replace("base_model.model.", "", 1).replace(".base_layer.", ".")
    if name.startswith("model.layers."):  # of an adapter that was saved by itself
        name = f"language_model.{name}"
    for pattern, replacement in _RENAMES:
        name = pattern.sub(replacement, name)
    return name


@dataclass(frozen=True)
class Weights:
    """The tensors of one folder, by their name in transformers; each is read when it is asked for.

    adapters: LoRA parts "A" [rank, in] and "B" [out, rank] by the name of the matrix that they change; scale: what
    their product is multiplied by.
    """

    folder: Path
    tensors: Mapping[str, Read]
    adapters: Mapping[str, Mapping[str, Read]] = field(default_factory=dict)
    scale: float = LORA_SCALE

    @classmethod
    def open(cls, folder: Path) -> Weights:
        """The weights in a folder, safetensors or .bin, sharded or not; CheckpointError when a file is missing."""
        tensors: dict[str, Read] = {}
        adapters: dict[str, dict[str, Read]] = {}
        for path in _files(folder):
            for original, read in _readers(path).items():
                name = transformers_name(original)
                lora = _LORA.match(name)
                if _UNUSED.search(name):
                    continue
                if lora:
                    adapters.setdefault(f"{lora[1]}.weight", {})[lora[2]] = read
                else:
                    tensors[name] = read
        return cls(folder, tensors, adapters, _lora_scale(folder))

    @property
    def complete(self) -> bool:
        """Whether a language model is in here, rather than only what is added to one."""
        return "model.language_model.norm.weight" in self.tensors

    def over(self, base: Weights | None) -> Weights:
        """These weights, with those of a base model for what is not here; LoRA parts are merged."""
        joined = {**(base.tensors if base else {}), **self.tensors}
        for name, parts in self.adapters.items():
            if set(parts) != {"A", "B"} or name not in joined:
                missing = name if set(parts) == {"A", "B"} else f"one of lora_A and lora_B of {name}"
                raise CheckpointError(f"{self.folder}: got LoRA parts, but not {missing}; restore the checkpoint")
            joined[name] = _merged(joined[name], parts["A"], parts["B"], self.scale)
        return Weights(self.folder, joined)

    def expect(self, names: Iterable[str], optional: re.Pattern[str] | None = None) -> None:
        """CheckpointError that names a tensor which is missing, or is neither expected nor `optional`."""
        wanted = set(names)
        if missing := sorted(wanted - set(self.tensors)):
            raise CheckpointError(f"{self.folder}: got no {missing[0]} ({len(missing)} missing); restore the files")
        extra = [name for name in self.tensors if name not in wanted and not (optional and optional.search(name))]
        if extra:
            got = f"got {min(extra)}, which is in no Janus model ({len(extra)} unexpected)"
            raise CheckpointError(f"{self.folder}: {got}; take a checkpoint of Janus-Pro or of its FAiD")

    def read(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """One tensor; CheckpointError when it has another shape or its file is damaged."""
        try:
            tensor = self.tensors[name]()
        except (SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{self.folder}: {name} cannot be read ({error}); download it again") from None
        if tuple(tensor.shape) != shape:
            got = f"{name}: got {tuple(tensor.shape)}, expected {shape}"
            raise CheckpointError(f"{self.folder}: {got}; the files are of another model than config.json")
        return tensor


def files_listed(folder: Path) -> list[str]:
    """Names of the files that hold what is loaded, by the index in a folder; none where there is no index."""
    for index in sorted(folder.glob("*.index.json")):
        listed = read_json(index).get("weight_map")
        if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
            raise CheckpointError(f"{index}: got no weight_map, expected one from tensors to files; download it again")
        used = {file for name, file in listed.items() if not _UNUSED.search(transformers_name(name))}
        return sorted(Path(file).name for file in used)
    return []


def of_one_kind(names: Iterable[str]) -> list[str]:
    """The weight files among those of a folder: safetensors, or .bin where there are none."""
    here = sorted(name for name in names if "/" not in name and name not in _NO_WEIGHTS)
    for suffix in (".safetensors", ".bin"):
        if files := [name for name in here if name.endswith(suffix)]:
            return files
    return []


def _files(folder: Path) -> list[Path]:
    """The weight files of a folder: those that an index lists, or all of the first kind that is there."""
    names = sorted(file.name for file in folder.iterdir())
    if listed := files_listed(folder):
        if absent := [name for name in listed if name not in names]:
            raise CheckpointError(f"{folder}: got no {absent[0]}, which its index lists; download it again")
        return [folder / name for name in listed]
    if files := of_one_kind(names):
        return [folder / name for name in files]
    if others := [name for name in names if name in _NO_WEIGHTS]:
        got = f"got {others[0]}, which holds how a training went and no weights"
        raise CheckpointError(f"{folder}: {got}, expected *.safetensors or *.bin beside it; check the path")
    raise CheckpointError(f"{folder}: got no *.safetensors or *.bin file, expected weights; check the path")


def _readers(path: Path) -> dict[str, Read]:
    """What reads each tensor of a file; a damaged file is a CheckpointError."""
    if reason := _unreadable(path):
        raise CheckpointError(f"{path}: not a readable weight file ({reason})")
    try:
        if path.suffix == ".safetensors":
            file: Any = safe_open(path, framework="pt")
            return {name: partial(file.get_tensor, name) for name in list(file.keys())}
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it holds {found[1] if found else 'more than tensors'}, and only tensors are read"
        raise CheckpointError(f"{path}: not a readable weight file ({reason}); take one of weights alone") from None
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: not a readable weight file ({reason}); download it again") from None
    if not isinstance(held, dict) or not all(isinstance(tensor, Tensor) for tensor in held.values()):
        raise CheckpointError(f"{path}: got something else, expected named tensors; download it again")
    return {str(name): partial(held.__getitem__, name) for name in held}


def _unreadable(path: Path) -> str:
    """Why a file cannot be read, with what to do, by how it begins; "" when that says nothing against it."""
    try:
        with path.open("rb") as file:
            start = file.read(max(len(_POINTER), len(_LEGACY)))
    except OSError as error:
        return f"{error.strerror}; check the path"
    if start.startswith(_POINTER):
        return "it is a pointer of Git LFS; run git lfs pull"
    if path.suffix == ".safetensors":
        return ""
    if start.startswith(_LEGACY):
        return "torch wrote it in its format from before 1.6; read it with torch.load and write it with torch.save"
    return "" if start.startswith(b"PK") else "it is no archive as torch.save writes it; download it again"


def _merged(base: Read, first: Read, second: Read, scale: float) -> Read:
    """What reads a matrix with its LoRA parts added, computed in float32."""

    def read() -> Tensor:
        matrix = base()
        change = scale * (second().float() @ first().float())
        return (matrix.float() + change).to(matrix.dtype)

    return read


def _lora_scale(folder: Path) -> float:
    """alpha / rank of the LoRA parts in a folder."""
    path = folder / "adapter_config.json"
    if not path.exists():
        return LORA_SCALE
    values = read_json(path)
    alpha, rank = values.get("lora_alpha"), values.get("r")
    if not isinstance(alpha, (int, float)) or not isinstance(rank, int) or rank < 1:
        raise CheckpointError(f"{path}: got lora_alpha {alpha!r} and r {rank!r}, expected numbers; download it again")
    return alpha / rank
