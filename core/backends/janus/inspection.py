"""The inside of Janus-Pro: attention and lens of one run, see `Inspecting`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ...types import IntArray, Neighbours
from ..blend_pass import BlendPass
from ..inspecting import Reading, record_of
from ..protocol import Inspection
from .llama import Cache, Layer, Llama
from .memory import enough_memory

if TYPE_CHECKING:
    from .backend import JanusBackend


@torch.inference_mode()
def inspect(
    backend: JanusBackend,
    prompt: str,
    codes: IntArray,
    neighbours: Sequence[Neighbours | None] | None,
    faid_neighbours: int,
    stopped: Callable[[], bool],
) -> Inspection:
    """See `Inspecting.inspect`."""
    parts, device = backend.parts, backend.parts.words.device
    tokens, padding = backend.prompter.rows([prompt], False)
    prefix = tokens.shape[1]
    with enough_memory(device):
        blending = None
        if neighbours is not None:
            blending = backend.blending(1, faid_neighbours).replay(prefix, [[found] for found in neighbours])
        reading = Reading(
            codes,
            backend.prompter.texts(tokens[0].tolist()),
            torch.ones(prefix, dtype=torch.bool, device=device),
            (parts.llama.config.layers, parts.llama.config.heads),
            lambda hidden: parts.head(parts.llama.norm(hidden)),
            stopped,
        )
        read = parts.features(torch.from_numpy(codes[None, :-1]).to(device))
        x = torch.cat([F.embedding(tokens.to(device), parts.words), read], dim=1)
        _read_layers(reading, parts.llama, x, Cache(parts.llama.config, x.shape[1], padding.to(device), x), blending)
    return reading.done()


def _read_layers(reading: Reading, llama: Llama, x: Tensor, cache: Cache, blending: BlendPass | None) -> None:
    """The pass: entries [1, n, D] go through all layers as in `Llama.forward`, and what they show is read."""
    step = cache.step(0, x.shape[1])
    reading.read(0, "start", x[0])
    for number, layer in enumerate(cast(Sequence[Layer], llama.layers)):
        normed = layer.input_layernorm(x)
        reading.attended(number, layer.self_attn.weights(normed, step)[0])
        entering, x = x, layer(x, step, cache, blending)
        if (record := record_of(blending, number)) is not None:
            attention = layer.self_attn(normed, step, cache)
            reading.read_blender(record, entering[0], attention[0], 1.0)
        reading.read(number, "end", x[0])
