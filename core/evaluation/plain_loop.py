"""Drawing as it was before decoding was lean, kept to measure against: one module call after the other, one position a
pass, truncation by a full sort. In as few lines as tell it; what did not change is the engine's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..backends.blend_pass import BlendPass
from ..backends.blending import Blending
from ..backends.emoji.backend import EmojiBackend
from ..backends.emoji.transformer import DecoderLayer, Modulation, attention_mask, conditions
from ..backends.protocol import Predicted
from ..daid import mix_of, model_distribution
from ..draw import Distribution, race
from ..guidance import guide
from ..lookup import look_up
from ..patches.protocol import Database
from ..types import DecodeSettings, FloatArray, IntArray, Neighbours, Seconds, StepRecord, neighbours_of


class PlainDecoding:
    """The model's part of one guided picture: a step of module calls, with a cache of keys and values."""

    def __init__(self, backend: EmojiBackend, prompt: str, faid_neighbours: int = 0, negatives: bool = True) -> None:
        self._model, encoder = backend.transformer, backend.encoder
        caption = encoder.encode(prompt)
        condition = conditions([caption], encoder, self._model)
        condition = condition.joined(condition.null())
        opposite = encoder.negative(caption, mixed_up=backend.mixed_up) if negatives else None
        if opposite:
            condition = condition.joined(conditions([opposite], encoder, self._model))
        config, self._rows = self._model.config, len(condition.style)
        length, head_dim = len(self._model.rotary[0]), config.width // config.heads
        self._cache = torch.zeros(2, config.layers, self._rows, config.heads, length, head_dim)
        with torch.inference_mode():
            self._modulation: Modulation = self._model.modulate(condition)
        self._head, self.blending = self._model.head, cast("Blending | None", None)
        if faid_neighbours and backend.tuned is not None:
            gates, hops = self._modulation.layers[:, :1, 2], backend.tuned.blenders.hops
            embedding = self._model.code_embedding
            self.blending = Blending(backend.blenders, hops, embedding, gates, config.grid, 1, faid_neighbours)
            self._head = backend.tuned.head

    @torch.inference_mode()
    def logits(self, position: int, codes: IntArray, found: Neighbours | None = None) -> Predicted:
        """Logits [1, V] of a position, from the codes [S] before it."""
        model, modulation, rows = self._model, self._modulation, self._rows
        newest = model.start if position == 0 else model.code_embedding(torch.tensor(codes[position - 1]))
        place = (model.row_embedding.weight[:, None] + model.column_embedding.weight).flatten(0, 1)
        x = newest.expand(rows, 1, -1) + (place[: position + 1] + modulation.canvas[:, : position + 1])[:, position:]
        if position == 0:
            x = torch.cat([modulation.words, x], dim=1)
        offset, blending = model.config.pieces + position if position else 0, None
        if self.blending is not None:
            blending = self.blending.step(position, [found])
        mask = attention_mask(modulation.visible, x.shape[1], offset)
        for layer, values in zip(cast(Sequence[DecoderLayer], model.layers), modulation.layers, strict=True):
            x = self._layer(layer, x, values, mask, offset, blending)
        logits = np.split(model.logits(x[:, -1:], modulation, self._head)[:, 0].numpy(), rows)
        return Predicted(*logits)

    def _layer(
        self, layer: DecoderLayer, x: Tensor, values: Tensor, mask: Tensor, offset: int, blending: BlendPass | None
    ) -> Tensor:
        """One layer over the newest entries [R, n, D]."""
        shift1, scale1, gate1, shift2, scale2, gate2 = values.unsqueeze(2).unbind(1)
        normed, end = layer.input_layernorm(x, shift1, scale1), offset + x.shape[1]
        (queries, keys), new = layer.self_attn._projected(normed, self._model.rotary[:, offset:end])
        held, contents = self._cache[0, layer.number], self._cache[1, layer.number]
        held[:, :, offset:end], contents[:, :, offset:end] = keys, new
        mixed = F.scaled_dot_product_attention(queries, held[:, :, :end], contents[:, :, :end], attn_mask=mask)
        attention = layer.self_attn.output(mixed.transpose(1, 2).reshape(x.shape))
        if blending is not None:
            blending.add_to(attention, layer.number, x, normed)
        x = x + gate1 * attention
        return x + gate2 * layer.mlp(layer.post_attention_layernorm(x, shift2, scale2))  # type: ignore[no-any-return]


@torch.inference_mode()
def plain_picture(
    backend: EmojiBackend, database: Database | None, prompt: str, settings: DecodeSettings
) -> list[StepRecord]:
    """One guided picture: its records, by the engine's loop as it was.

    database: for methods that retrieve; the settings are those of a run that filters by caption and nothing else.
    """
    view = None
    if settings.retrieves and database is not None:
        vector = backend.embed_captions([prompt])[0]
        view = database.subset(database.nearest_captions(vector, settings.caption_filter))
    features = settings.faid_neighbours if settings.blends else 0
    decoding = PlainDecoding(backend, prompt, features, settings.negative_share > 0)
    codes, records = np.zeros(backend.grid.positions, np.int64), list[StepRecord]()
    for position in range(backend.grid.positions):
        begin = time.perf_counter()
        answer = look_up(view, codes, position, settings, {})
        searched = time.perf_counter()
        found = neighbours_of(answer)
        logits = guide(decoding.logits(position, codes, found), [settings])[0]
        predicted = time.perf_counter()
        blended = plain_blend(logits, found, settings)
        codes[position] = race(settings.seed, position, len(logits)).draw(blended)
        faid = decoding.blending.blends(codes[position : position + 1])[0] if decoding.blending else None
        seconds = Seconds(predicted - searched, searched - begin, time.perf_counter() - predicted)
        records.append(StepRecord(position, logits.copy(), answer, int(codes[position]), faid, seconds))
    return records


def plain_blend(logits: FloatArray, found: Neighbours | None, settings: DecodeSettings) -> Distribution:
    """What a code is drawn from [V], with a model's side that all values are sorted for."""
    mass = truncated(model_distribution(logits, settings.temperature), settings.top_p)
    model: Distribution = mass / mass.sum()
    if found is None or not settings.mixes:
        return model
    return mix_of(settings.method).mix(model, found, replace(settings, top_p=1.0, top_k=0)).blended


def truncated(mass: Distribution, top_p: float) -> Distribution:
    """All but the fewest codes that hold a share of the mass set to zero, by a full sort; ties go lowest first."""
    falling = np.sort(mass)[::-1]
    cumulative = np.cumsum(falling)
    falling = falling[: int(np.searchsorted(cumulative, top_p * cumulative[-1])) + 1]
    least = falling[-1]
    kept = np.where(mass > least, mass, 0.0)
    kept[np.flatnonzero(mass == least)[: int(np.count_nonzero(falling == least))]] = least
    return kept
