"""A plain Llama-like stack of decoder layers, parameters named as in the released model; it knows nothing of FAiD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

THETA = 10000.0


class Attention(nn.Module):
    """Causal grouped-query attention with rotary positions in the half-split layout; answers with a pair, as Llama."""

    def __init__(self, width: int, heads: int, key_heads: int) -> None:
        super().__init__()
        self.head_width = width // heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, key_heads * self.head_width, bias=False)
        self.v_proj = nn.Linear(width, key_heads * self.head_width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cache: list[Tensor]) -> tuple[Tensor, None]:
        """[B, n, D]; cache holds the keys and values [B, heads, m, head] so far and gets the newest n."""
        batch, count, _ = x.shape
        q, k, v = (f(x).view(batch, count, -1, self.head_width).transpose(1, 2) for f in self.projections())
        start = cache[0].shape[2] if cache else 0
        q, k = rotate(q, start), rotate(k, start)
        if cache:
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        cache[:] = k, v
        mask = torch.ones(count, start + count, dtype=torch.bool).tril(start)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, count, -1)), None

    def projections(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        return self.q_proj, self.k_proj, self.v_proj


class FeedForward(nn.Module):
    """SiLU-gated, without biases."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        down: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return down


class Layer(nn.Module):
    """One pre-norm block."""

    def __init__(self, width: int, hidden: int, heads: int, key_heads: int) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(width, eps=1e-6)
        self.self_attn = Attention(width, heads, key_heads)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=1e-6)
        self.mlp = FeedForward(width, hidden)

    def forward(self, x: Tensor, cache: list[Tensor]) -> Tensor:
        attention, _ = self.self_attn(self.input_layernorm(x), cache=cache)
        x = x + attention
        hidden: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return hidden


class Stack(nn.Module):
    """Layers and the final norm; keys and values are the caller's, one list for each layer."""

    def __init__(self, layers: int, width: int, hidden: int, heads: int, key_heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(width, hidden, heads, key_heads) for _ in range(layers)])
        self.norm = nn.RMSNorm(width, eps=1e-6)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], layers: int, heads: int, key_heads: int) -> Stack:
        """The stack whose weights are among `tensors`; others are passed over. ValueError when one does not fit."""
        hidden, width = tensors["layers.0.mlp.up_proj.weight"].shape
        stack = cls(layers, width, hidden, heads, key_heads)
        for name, parameter in stack.state_dict().items():
            if tensors[name].shape != parameter.shape:
                raise ValueError(f"{name}: got {tuple(tensors[name].shape)}, expected {tuple(parameter.shape)}")
            parameter.copy_(tensors[name])
        return stack

    def layer(self, number: int) -> Layer:
        """One of the layers."""
        return cast(Layer, self.layers[number])

    def caches(self) -> list[list[Tensor]]:
        """Empty keys and values of one generation."""
        return [[] for _ in self.layers]

    def forward(self, x: Tensor, caches: list[list[Tensor]]) -> Tensor:
        """[B, n, D] of the newest entries to their last hidden states."""
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, cache)
        hidden: Tensor = self.norm(x)
        return hidden


def rotate(x: Tensor, start: int) -> Tensor:
    """Turn [B, heads, n, head] at entries start, start + 1, ..."""
    half = x.shape[-1] // 2
    angles = torch.arange(start, start + x.shape[2])[:, None] * THETA ** -(torch.arange(half) / half)
    cosine, sine = angles.cos(), angles.sin()
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
