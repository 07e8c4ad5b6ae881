"""The weights of Janus-Pro: read one by one onto a device, and hashed on the way."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEAlignerMLP, JanusVQVAEHead

from ...faid import Faid
from ...types import CheckpointError
from ..checkpoint import read_json
from .llama import Llama
from .matrices import choose_layout, lay_out
from .sizes import Model, Sizes
from .weights import LAYERS, Weights

SAMPLED_VALUES: Final = 1024
"""How many values of each tensor the fingerprint is made of; all of them would take minutes for 7B."""

BLENDER: Final = re.compile(re.escape(LAYERS) + r"\d+\.(blender\.|retrieval_layernorm\.)")
"""Names of the tensors that FAiD adds to a model."""


class Loading:
    """Reads tensors one by one onto a device, shows how far it is, and hashes what it reads."""

    def __init__(self, weights: Weights, count: int, device: torch.device, dtype: torch.dtype) -> None:
        self._weights, self.device, self.dtype = weights, device, dtype
        self._digest = hashlib.sha256()
        self._bar = tqdm(total=count, desc=f"load {weights.folder.name}", unit="tensor")

    def read(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor, on the device; CheckpointError when it has another shape."""
        stored = self._weights.read(name, shape)
        self._digest.update(f"{name} {shape}".encode() + _sampled(stored))
        self._bar.update()
        return stored.to(self.device, self.dtype)

    def fill(self, module: nn.Module, prefix: str, pixels: torch.device | None = None) -> None:
        """Give a module made on the meta device its tensors; what makes pixels stays in float32, on its own device."""
        tensors = {name: self.read(prefix + name, tuple(value.shape)) for name, value in module.state_dict().items()}
        if pixels is not None:
            tensors = {name: value.to(pixels, torch.float32) for name, value in tensors.items()}
        module.load_state_dict(tensors, assign=True)
        module.requires_grad_(False)

    def fingerprint(self) -> str:
        """Hash of everything that was read so far."""
        return self._digest.hexdigest()[:16]

    def close(self) -> None:
        """End the progress bar."""
        self._bar.close()


class Parts(nn.Module):
    """What draws: word and code embeddings, language model, head, and the VQ tokenizer."""

    words: Tensor

    def __init__(self, config: Any, sizes: Sizes, loading: Loading, pixels: torch.device) -> None:
        super().__init__()
        shapes = dict(sizes.llama.shapes())
        prefix = "model.language_model."
        self.register_buffer("words", loading.read(f"{prefix}embed_tokens.weight", (sizes.words, sizes.llama.width)))
        layout = choose_layout(2 * sizes.llama.hidden, sizes.llama.width, loading.dtype, loading.device)
        self.llama = Llama(sizes.llama, lambda name: loading.read(prefix + name, shapes[name]), layout)
        with torch.device("meta"):
            self.code_embedding = nn.Embedding(sizes.codes, sizes.code_dim)
            self.aligner = JanusVQVAEAlignerMLP(config.vq_config)
            self.head = JanusVQVAEHead(config.vq_config)
            self.vq = JanusVQVAE(config.vq_config)
        loading.fill(self.code_embedding, "model.generation_embeddings.")
        loading.fill(self.aligner, "model.generation_aligner.")
        loading.fill(self.head, "model.generation_head.")
        loading.fill(self.vq, "model.vqmodel.", pixels)
        lay_out(self.aligner, layout)
        lay_out(self.head, layout)
        self.eval()

    def features(self, codes: Tensor) -> Tensor:
        """What enters the language model [..., D] for codes [...]."""
        aligned: Tensor = self.aligner(self.code_embedding(codes))
        return aligned


def blended_layers(weights: Weights) -> set[str]:
    """The layers that have blenders, as the names of their tensors begin."""
    return {name[: found.start(1)] for name in weights.tensors if (found := BLENDER.search(name))}


def read_blenders(weights: Weights, sizes: Sizes, device: torch.device) -> Faid:
    """The blenders of a checkpoint, in float32; CheckpointError when they stand in other layers than it says."""
    names = sorted(name for name in weights.tensors if BLENDER.search(name))
    faid = Faid.from_tensors({name: weights.tensors[name]().to(device, torch.float32) for name in names}, LAYERS)
    if faid.width != sizes.llama.width:
        raise CheckpointError(f"{weights.folder}: got blenders of width {faid.width}, expected {sizes.llama.width}")
    path = weights.folder / "config.json"
    said: Mapping[str, Any] = read_json(path).get("language_config", {}) if path.exists() else {}
    first_two = [*faid.blended, sizes.llama.layers][:2]
    every = said.get("num_SmoothPatchBlender", first_two[1] - first_two[0])
    hops = said.get("num_hop", list(faid.hops))
    if not isinstance(every, int) or every < 1:
        raise CheckpointError(f"{path}: got num_SmoothPatchBlender {every!r}, expected a whole number from 1")
    expected = tuple(range(0, sizes.llama.layers, every))
    if faid.blended != expected or list(faid.hops) != hops:
        raise CheckpointError(
            f"{weights.folder}: got blenders in layers {faid.blended} with hops {list(faid.hops)}, expected "
            f"{expected} with {hops}; restore the checkpoint"
        )
    return faid.requires_grad_(False)


def joined(model: Model, tuned: Weights | None) -> Weights:
    """All weights of a model: of its folder, or of a FAiD checkpoint, which may leave some to the folder."""
    if tuned is None:
        weights = Weights.open(model.folder).over(None)
        if any(BLENDER.search(name) for name in weights.tensors):
            raise CheckpointError(f"{model.folder}: got FAiD weights, expected a model without them; give it as faid")
        weights.expect(model.shapes)
        return weights
    head = [name for name in model.shapes if name.startswith("model.generation_head.")]
    if absent := [name for name in head if name not in tuned.tensors]:  # the base's would load, but is another one
        raise CheckpointError(f"{tuned.folder}: got no {absent[0]}, which FAiD trains; take its whole checkpoint")
    joined = tuned.over(None if tuned.complete else Weights.open(model.folder))
    joined.expect(model.shapes, BLENDER)
    return joined


def hash_of(faid: Faid) -> str:
    """Hash of the blenders."""
    digest = hashlib.sha256(json.dumps([faid.blended, faid.hops]).encode())
    for name, value in faid.state_dict().items():
        digest.update(name.encode() + _sampled(value))
    return digest.hexdigest()[:16]


def _sampled(tensor: Tensor) -> bytes:
    """Some values of a tensor, evenly spread."""
    values: bytes = tensor.flatten()[:: max(1, tensor.numel() // SAMPLED_VALUES)].float().cpu().numpy().tobytes()
    return values
