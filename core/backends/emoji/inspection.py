"""The inside of the embedded model: attention and lens of one run, see `Inspecting`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

import torch
from torch import Tensor

from ...types import IntArray, Neighbours
from ..blend_pass import BlendPass
from ..inspecting import Reading, record_of
from ..protocol import Inspection
from .transformer import ARTransformer, DecoderLayer, Modulation, attention_mask, conditions

if TYPE_CHECKING:
    from .backend import EmojiBackend

START: Final = "(start)"
"""What stands between the words and the first code."""

NOTE: Final = (
    "The prompt reaches this model in other ways, too: its style, its colour and its words as a whole set the scale of "
    "every layer and a first draft of the picture. Words that name the style are not among those that are attended to."
)


@torch.inference_mode()
def inspect(
    backend: EmojiBackend,
    prompt: str,
    codes: IntArray,
    neighbours: Sequence[Neighbours | None] | None,
    faid_neighbours: int,
    stopped: Callable[[], bool],
) -> Inspection:
    """See `Inspecting.inspect`."""
    model, config = backend.transformer, backend.transformer.config
    caption = backend.encoder.encode(prompt)
    modulation = model.modulate(conditions([caption], backend.encoder, model))
    blending, head = None, None
    if neighbours is not None:
        blending = backend.blending(1, faid_neighbours, modulation).replay(config.prefix, [[n] for n in neighbours])
        head = backend.tuned.head if backend.tuned else None
    reading = Reading(
        codes,
        [*backend.encoder.texts(caption.pieces[: config.pieces]), START],
        modulation.visible[0],
        (config.layers, config.heads),
        lambda hidden: model.logits(hidden[None], modulation, head)[0],
        stopped,
    )
    _read_layers(reading, model, model.entries(torch.from_numpy(codes)[None], modulation), modulation, blending)
    return reading.done(NOTE)


def _read_layers(
    reading: Reading, model: ARTransformer, x: Tensor, modulation: Modulation, blending: BlendPass | None
) -> None:
    """The pass: entries [1, n, D] go through all layers as in `ARTransformer.forward`, and what they show is read."""
    rotary, mask = model.rotary[:, : x.shape[1]], attention_mask(modulation.visible, x.shape[1], 0)
    reading.read(0, "start", x[0])
    for layer, values in zip(cast(Sequence[DecoderLayer], model.layers), modulation.layers, strict=True):
        shift, scale, gate = values.unsqueeze(2).unbind(1)[:3]
        normed = layer.input_layernorm(x, shift, scale)
        reading.attended(layer.number, layer.self_attn.weights(normed, rotary, mask)[0])
        entering, x = x, layer(x, values, rotary, mask, blending)
        if (record := record_of(blending, layer.number)) is not None:
            attention = layer.self_attn(normed, rotary, mask)
            reading.read_blender(record, entering[0], attention[0], gate[0])
        reading.read(layer.number, "end", x[0])
