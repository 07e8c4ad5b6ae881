"""A Llama stack for decoding: transformers' numbers, a KV cache that is made once, matrices laid out for few rows.

Symbols: R rows (all conditional, then all unconditional), T entries of the prompt, n entries of one pass, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...types import ConfigError
from ..blend_pass import BlendPass
from .matrices import Layout, Matrix

ALIGNED: Final = 16
"""Entries of a cache for fixed shapes are a multiple of it: attention on CUDA copies masks of other widths."""

Read = Callable[[str], Tensor]
"""From the name of a tensor, as in transformers' LlamaModel, to the tensor in its dtype and on its device."""


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Sizes of the stack; head_width times heads need not be the width; theta is the base of the rotary angles."""

    width: int
    hidden: int
    layers: int
    heads: int
    key_heads: int
    head_width: int
    epsilon: float = 1e-6
    theta: float = 10000.0

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes of all tensors that a stack is made of; embeddings are not part of it."""
        queries, keys = self.heads * self.head_width, self.key_heads * self.head_width
        of_layer = {
            "self_attn.q_proj.weight": (queries, self.width),
            "self_attn.k_proj.weight": (keys, self.width),
            "self_attn.v_proj.weight": (keys, self.width),
            "self_attn.o_proj.weight": (self.width, queries),
            "mlp.gate_proj.weight": (self.hidden, self.width),
            "mlp.up_proj.weight": (self.hidden, self.width),
            "mlp.down_proj.weight": (self.width, self.hidden),
            "input_layernorm.weight": (self.width,),
            "post_attention_layernorm.weight": (self.width,),
        }
        for number in range(self.layers):
            yield from ((f"layers.{number}.{name}", shape) for name, shape in of_layer.items())
        yield "norm.weight", (self.width,)


@dataclass(frozen=True, slots=True)
class Step:
    """What all layers of one pass share: where its n entries are, their angles [R or 1, 1, n, head], and the mask.

    places: where the entries start, or their places [n] in a pass whose shapes are the same wherever it is.
    mask: [R or 1, 1, n, entries so far], True where a key may be seen; None where all may. With places: over all
    entries of the cache, to be added to the scores, 0 where a key may be seen and -inf elsewhere.
    """

    places: int | Tensor
    cosine: Tensor
    sine: Tensor
    mask: Tensor | None


class Cache:
    """Keys and values of one generation, [layers, 2, R, key heads, entries, head], and where the rows' prompts begin.

    padding: [R] entries at the left of each row that are no part of its prompt: they are never seen, and a row counts
    its positions from the first entry after them. fixed: made for `fixed`, too. Raises ConfigError for a padding that
    leaves no entry.
    """

    def __init__(self, config: LlamaConfig, entries: int, padding: Tensor, like: Tensor, fixed: bool = False) -> None:
        if int(padding.max()) >= entries:
            got = f"got {int(padding.max())} of {entries} entries"
            raise ConfigError(f"padding: {got}, expected fewer; take prompts of about one length")
        rows, self._padding = len(padding), padding
        if fixed:
            entries += -entries % ALIGNED
        self._held = like.new_empty(config.layers, 2, rows, config.key_heads, entries, config.head_width)
        if fixed:
            self._held.zero_()  # entries to come are masked, and yet what is no number would stay none
        self._seen = torch.arange(entries, device=like.device) >= padding[:, None] if bool(padding.any()) else None
        positions = (torch.arange(entries, device=like.device) - padding[:, None]).clamp_min(0)
        if self._seen is None:
            positions = positions[:1]
        half = torch.arange(0, config.head_width, 2, device=like.device, dtype=torch.float32)
        angles = positions[:, None, :, None] * config.theta ** -(half / config.head_width)
        angles = torch.cat([angles, angles], dim=-1)
        self._cosine, self._sine = angles.cos().to(like.dtype), angles.sin().to(like.dtype)

    @property
    def row_bytes(self) -> int:
        """Memory of one entry of one row."""
        return self._held[:, :, 0, :, 0].numel() * self._held.element_size()

    def taken(self, row: int, stop: int) -> Tensor:
        """A copy of a row's entries before `stop`, without its padding: [layers, 2, key heads, entries, head]."""
        return self._held[:, :, row, :, int(self._padding[row]) : stop].clone()

    def put(self, row: int, taken: Tensor, stop: int) -> None:
        """Fill a row's entries before `stop` with the first ones of what was taken from another one."""
        begin = int(self._padding[row])
        self._held[:, :, row, :, :begin] = 0  # which are masked: what is no number would stay none
        self._held[:, :, row, :, begin:stop] = taken[..., : stop - begin, :]

    def rows(self, chosen: Tensor) -> Cache:
        """A copy of the chosen rows [n]."""
        copied = copy(self)
        copied._held, copied._padding = self._held[:, :, chosen], self._padding[chosen]
        if self._seen is not None:
            copied._seen = self._seen[chosen]
            copied._cosine, copied._sine = self._cosine[chosen], self._sine[chosen]
        return copied

    def step(self, start: int, count: int) -> Step:
        """What the layers need to know of a pass over entries start..start+count-1."""
        stop = start + count
        mask = None
        if count > 1:
            mask = torch.ones(count, stop, dtype=torch.bool, device=self._held.device).tril(start)[None, None]
        if self._seen is not None:
            seen = self._seen[:, None, None, :stop]
            mask = seen if mask is None else mask & seen
            if count > 1:  # padding sees itself: a row of nothing but masked keys would be no number
                mask = mask | torch.eye(count, stop, dtype=torch.bool, device=mask.device).roll(start, dims=1)
        return Step(start, self._cosine[:, :, start:stop], self._sine[:, :, start:stop], mask)

    def fixed(self, places: Tensor) -> Step:
        """What the layers need to know of a pass over the entries at places [n], each of which sees those before it.

        Shapes and work are the same wherever the places are, so that the pass can be recorded and replayed.
        """
        cosine, sine = self._cosine.index_select(2, places), self._sine.index_select(2, places)
        entries = torch.arange(self._held.shape[-2], device=places.device)
        seen = (entries <= places[:, None])[None, None]
        if self._seen is not None:
            seen = seen & self._seen[:, None, None]
        hidden = torch.full((), -torch.inf, dtype=self._held.dtype, device=places.device)
        return Step(places, cosine, sine, torch.where(seen, torch.zeros_like(hidden), hidden))

    def update(self, layer: int, places: int | Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put keys and values [R, key heads, n, head] at their places of `Step`; those that its mask is about.

        A pass may be repeated.
        """
        held_keys, held_values = self._held[layer]
        if isinstance(places, Tensor):
            return held_keys.index_copy_(2, places, keys), held_values.index_copy_(2, places, values)
        start, stop = places, places + keys.shape[2]
        held_keys[:, :, start:stop], held_values[:, :, start:stop] = keys, values
        return held_keys[:, :, :stop], held_values[:, :, :stop]


class Attention(nn.Module):
    """Causal grouped-query attention with rotary positions in the half-split layout."""

    def __init__(self, config: LlamaConfig, number: int, read: Read, layout: Layout) -> None:
        super().__init__()
        self._heads, self._key_heads, self._number = config.heads, config.key_heads, number
        self._head_width, self._grouped = config.head_width, config.heads != config.key_heads
        self.inner = Matrix(torch.cat([read(f"{name}_proj.weight") for name in "qkv"]), layout)
        self.outer = Matrix(read("o_proj.weight"), layout)

    def forward(self, x: Tensor, step: Step, cache: Cache) -> Tensor:
        """[R, n, D] of the normed input to the same shape."""
        rows, count, _ = x.shape
        queries, keys, values = self._projected(x, step)
        keys, values = cache.update(self._number, step.places, keys, values)
        if x.device.type == "mps":  # where strides of these have been misread, see docs/janus.md
            queries, keys, values = queries.contiguous(), keys.contiguous(), values.contiguous()
        seen = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=step.mask, enable_gqa=self._grouped
        )  # fmt: skip
        put_out: Tensor = self.outer(seen.transpose(1, 2).reshape(rows, count, -1))
        return put_out

    def weights(self, x: Tensor, step: Step) -> Tensor:
        """How much each entry of a whole sequence [R, n, D] looks at each: [R, heads, n, n] float32, rows of sum 1."""
        queries, keys, _ = self._projected(x, step)
        keys = keys.repeat_interleave(self._heads // self._key_heads, dim=1)
        scores = (queries @ keys.transpose(-1, -2)).float() * self._head_width**-0.5
        if step.mask is not None:
            scores = scores.masked_fill(~step.mask, -torch.inf)
        weights: Tensor = scores.softmax(dim=-1)
        return weights

    def _projected(self, x: Tensor, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """Turned queries [R, heads, n, head], turned keys and values [R, key heads, n, head]."""
        rows, count, _ = x.shape
        mixed = self.inner(x).view(rows, count, -1, self._head_width).transpose(1, 2)
        turned, values = torch.split(mixed, [self._heads + self._key_heads, self._key_heads], dim=1)
        first, second = turned.chunk(2, dim=-1)
        turned = turned * step.cosine + torch.cat([-second, first], dim=-1) * step.sine
        queries, keys = torch.split(turned, [self._heads, self._key_heads], dim=1)
        return queries, keys, values


class Layer(nn.Module):
    """One pre-norm block with a SiLU-gated MLP, without biases."""

    def __init__(self, config: LlamaConfig, number: int, read: Read, layout: Layout) -> None:
        super().__init__()
        self._number = number
        self.input_layernorm = _norm(config, read("input_layernorm.weight"))
        self.self_attn = Attention(config, number, lambda name: read(f"self_attn.{name}"), layout)
        self.post_attention_layernorm = _norm(config, read("post_attention_layernorm.weight"))
        self.gates = Matrix(torch.cat([read("mlp.gate_proj.weight"), read("mlp.up_proj.weight")]), layout)
        self.down = Matrix(read("mlp.down_proj.weight"), layout)

    def forward(self, x: Tensor, step: Step, cache: Cache, blending: BlendPass | None) -> Tensor:
        """[R, n, D] to the same shape."""
        normed = self.input_layernorm(x)
        attention = self.self_attn(normed, step, cache)
        if blending is not None:
            blending.add_to(attention, self._number, x, normed)
        hidden: Tensor = x + attention
        gate, up = self.gates(self.post_attention_layernorm(hidden)).chunk(2, dim=-1)
        mixed: Tensor = self.down(F.silu(gate) * up)
        return hidden + mixed


class Llama(nn.Module):
    """Layers and the final norm; keys and values are the caller's."""

    def __init__(self, config: LlamaConfig, read: Read, layout: Layout) -> None:
        super().__init__()
        self.config = config
        readers = [lambda name, n=n: read(f"layers.{n}.{name}") for n in range(config.layers)]
        self.layers = nn.ModuleList([Layer(config, n, reader, layout) for n, reader in enumerate(readers)])
        self.norm = _norm(config, read("norm.weight"))

    def forward(
        self, x: Tensor, start: int, cache: Cache, blending: BlendPass | None = None, newest: int = 1
    ) -> Tensor:
        """Last hidden states [R, newest, D] of the newest of the entries [R, n, D] that begin at `start`."""
        x = self.through(x, cache.step(start, x.shape[1]), cache, blending)
        hidden: Tensor = self.norm(x[:, -newest:])
        return hidden

    def through(self, x: Tensor, step: Step, cache: Cache, blending: BlendPass | None = None) -> Tensor:
        """Entries [R, n, D] through all layers, without the final norm."""
        for layer in self.layers:
            x = layer(x, step, cache, blending)
        return x


def _norm(config: LlamaConfig, weight: Tensor) -> nn.RMSNorm:
    """A norm with that weight."""
    norm = nn.RMSNorm(config.width, eps=config.epsilon, device="meta")
    norm.weight = nn.Parameter(weight, requires_grad=False)
    return norm
