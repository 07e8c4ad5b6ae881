"""The transformer of LlamaGen, class to image, with the published names of its tensors.

Llama's layers (RMSNorm before attention and before a SwiGLU, no biases) over one entry for the class and then the codes
in raster order. Positions are turned in two dimensions: half of each head by the row of a code, half by its column. The
entry of the class is multiplied by 0 where others are turned, as published: it has neither query nor key, and is
attended to with the score 0.

Symbols: R rows (all conditional, then all unconditional), n entries of one pass, D width, V codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from arrag.types import CheckpointError
from torch import Tensor, nn

from .weights import Tensors, shape_of

BASE: Final = 10_000.0
EPSILON: Final = 1e-5
HEADS: Final = {
    (12, 768): 12, (24, 1024): 16, (36, 1280): 20, (48, 1536): 24, (48, 2560): 40, (24, 3200): 32,
}  # fmt: skip
"""Heads by layers and width, of the published sizes B, L, XL, XXL, XXXL and 3B: shapes do not tell them."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a model; side: height and width of its grid in codes."""

    layers: int
    width: int
    heads: int
    hidden: int
    codes: int
    classes: int
    side: int

    @classmethod
    def of(cls, path: Path, tensors: Tensors, heads: int | None, side: int) -> Sizes:
        """Those that the shapes of the tensors tell; CheckpointError for what is no class-to-image model.

        heads: their number where it is said, else that of the published model with these layers and this width.
        """
        if any(name.startswith("cls_embedding.cap_proj.") for name in tensors):
            got = "got a text-to-image model, whose prompts are read by Flan-T5 XL, which is not part of this"
            raise CheckpointError(f"{path}: {got}; take a class-to-image one, c2i_*.pt")
        codes, width = shape_of(path, tensors, "tok_embeddings.weight", 2)
        rows, _ = shape_of(path, tensors, "cls_embedding.embedding_table.weight", 2)
        hidden, _ = shape_of(path, tensors, "layers.0.feed_forward.w1.weight", 2)
        layers = len({found[1] for name in tensors if (found := re.match(r"layers\.(\d+)\.", name))})
        heads = heads or HEADS.get((layers, width), 0)
        if not heads or width % (4 * heads):
            got = f"got {layers} layers of width {width} and {heads or 'an unknown number of'} heads"
            remedy = f'say {{"heads": ...}} in {path.with_suffix(".json").name} beside it'
            raise CheckpointError(f"{path}: {got}, expected heads of a width that 4 divides; {remedy}")
        return cls(layers, width, heads, hidden, codes, rows - 1, side)


class Cache:
    """Keys and values of one generation [layers, 2, R, heads, entries, head], and the angles of all entries."""

    def __init__(self, sizes: Sizes, rows: int, like: Tensor) -> None:
        head = sizes.width // sizes.heads
        self.held = like.new_zeros(sizes.layers, 2, rows, sizes.heads, sizes.side**2, head)
        self.turns = turns(sizes.side, head).to(like.device)


def turns(side: int, head: int) -> Tensor:
    """Cosine and sine [1 + side * side, head / 2, 2] by which pairs of numbers of a query or key are turned.

    The first half of the pairs by the row, the other by the column; (0, 0) for the class, which comes first.
    """
    half = head // 2
    frequencies = BASE ** -(torch.arange(0, half, 2, dtype=torch.float32) / half)
    angles = torch.arange(side, dtype=torch.float32)[:, None] * frequencies
    by_row, by_column = (line.expand(side, side, -1) for line in (angles[:, None], angles[None]))
    grid = torch.cat([by_row, by_column], dim=-1).flatten(0, 1)
    return torch.cat([torch.zeros(1, half, 2), torch.stack([grid.cos(), grid.sin()], dim=-1)])


def turned(x: Tensor, turn: Tensor) -> Tensor:
    """[R, n, heads, head], the numbers 2i and 2i + 1 of each head turned together; turn: [n, head / 2, 2]."""
    first, second = x.float().reshape(*x.shape[:-1], -1, 2).unbind(-1)
    cosine, sine = turn[:, None].unbind(-1)
    pairs = torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
    return pairs.flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Causal attention over what is in the cache and the n newest entries."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self._heads = sizes.heads
        self.wqkv = nn.Linear(sizes.width, 3 * sizes.width, bias=False)
        self.wo = nn.Linear(sizes.width, sizes.width, bias=False)

    def forward(self, x: Tensor, start: int, held: Tensor, turn: Tensor, mask: Tensor | None) -> Tensor:
        """[R, n, D] to the same shape; held: the cache of this layer, into which the entries from `start` on go."""
        rows, count, _ = x.shape
        queries, keys, values = self.wqkv(x).view(rows, count, 3, self._heads, -1).unbind(2)
        stop = start + count
        held[0, :, :, start:stop] = turned(keys, turn).transpose(1, 2)
        held[1, :, :, start:stop] = values.transpose(1, 2)
        seen = F.scaled_dot_product_attention(
            turned(queries, turn).transpose(1, 2), held[0, :, :, :stop], held[1, :, :, :stop], attn_mask=mask
        )
        mixed: Tensor = self.wo(seen.transpose(1, 2).flatten(-2))
        return mixed


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.w1 = nn.Linear(sizes.width, sizes.hidden, bias=False)
        self.w3 = nn.Linear(sizes.width, sizes.hidden, bias=False)
        self.w2 = nn.Linear(sizes.hidden, sizes.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[R, n, D] to the same shape."""
        mixed: Tensor = self.w2(F.silu(self.w1(x)) * self.w3(x))
        return mixed


class Layer(nn.Module):
    """One block."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(sizes.width, eps=EPSILON)
        self.attention = Attention(sizes)
        self.ffn_norm = nn.RMSNorm(sizes.width, eps=EPSILON)
        self.feed_forward = FeedForward(sizes)

    def forward(self, x: Tensor, start: int, held: Tensor, turn: Tensor, mask: Tensor | None) -> Tensor:
        """[R, n, D] to the same shape."""
        x = x + self.attention(self.attention_norm(x), start, held, turn, mask)
        mixed: Tensor = x + self.feed_forward(self.ffn_norm(x))
        return mixed


class Classes(nn.Module):
    """One entry for each class, and a last one for no class at all."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(sizes.classes + 1, sizes.width)


class GPT(nn.Module):
    """The whole model; keys and values are the caller's."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.cls_embedding = Classes(sizes)
        self.tok_embeddings = nn.Embedding(sizes.codes, sizes.width)
        self.layers = nn.ModuleList([Layer(sizes) for _ in range(sizes.layers)])
        self.norm = nn.RMSNorm(sizes.width, eps=EPSILON)
        self.output = nn.Linear(sizes.width, sizes.codes, bias=False)

    def forward(self, entries: Tensor, start: int, cache: Cache) -> Tensor:
        """Logits [R, V] float32 of what follows the entries [R, n, D], which begin at `start` and go into the cache."""
        x, stop = entries, start + entries.shape[1]
        mask = None
        if entries.shape[1] > 1:
            mask = torch.ones(entries.shape[1], stop, dtype=torch.bool, device=x.device).tril(start)
        for layer, held in zip(self.layers, cache.held, strict=True):
            x = layer(x, start, held, cache.turns[start:stop], mask)
        logits: Tensor = self.output(self.norm(x[:, -1])).float()
        return logits
