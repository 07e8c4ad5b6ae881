"""The embedded autoregressive transformer: words, style and colour in; logits of one code after another out.

Sequence: T-1 word pieces and a start token, then the codes so far; index T-1+p predicts the code of position p.
The condition reaches every position twice: through adaptive norms (DiT, arXiv 2212.09748) and through a canvas, a
bias for each position that a small convolutional generator makes from the condition alone. The canvas goes through the
residual stream to the output head, so it has logits of its own: a draft of the picture, which training supervises too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...faid import Faid
from ...types import CheckpointError, Grid
from ..blend_pass import BlendPass
from .text import COLOURS, STYLES, Caption, TextEncoder


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """Sizes of the embedded transformer."""

    codes: int = 1024
    rows: int = 16
    columns: int = 16
    pieces: int = 15
    text_dim: int = 128
    styles: int = 4
    colours: int = 12
    known_pieces: int = 0
    layers: int = 4
    width: int = 256
    heads: int = 4
    hidden: int = 640
    modulation_rank: int = 64
    canvas_channels: int = 192

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width % (4 * self.heads):  # half of the pairs turn with the row, half with the column
            expected = "expected four times as many, or a multiple of that; change one of them"
            raise CheckpointError(f"transformer: got width {self.width} for {self.heads} heads, {expected}")

    @property
    def grid(self) -> Grid:
        """Shape of the token grid."""
        return Grid(self.rows, self.columns)

    @property
    def prefix(self) -> int:
        """Length T of what stands before the codes: the word pieces and the start token."""
        return self.pieces + 1


@dataclass(frozen=True, slots=True)
class Condition:
    """What B prompts ask for, as tensors.

    vectors: [B, pieces, text_dim] static word-piece vectors, zero where there is none; piece_ids: [B, pieces] rows of
    the learned piece table, 0 for an unknown or absent piece; present: [B, pieces] bool; style, colour: [B] with
    0 for none. All zero and absent is the null condition of classifier-free guidance.
    """

    vectors: Tensor
    piece_ids: Tensor
    present: Tensor
    style: Tensor
    colour: Tensor

    def null(self) -> Condition:
        """The unconditional rows of the same batch."""
        return Condition(*(torch.zeros_like(getattr(self, name)) for name in self.__slots__))

    def joined(self, other: Condition) -> Condition:
        """Both batches, one after the other."""
        return Condition(*(torch.cat([getattr(self, n), getattr(other, n)]) for n in self.__slots__))


@dataclass(frozen=True, slots=True)
class Modulation:
    """What the condition makes of the network, computed once per prompt.

    layers: [L, B, 6, D] shift, scale and gate of both halves of every block; head: [B, 2, D] shift and scale; canvas:
    [B, S, D]; words: [B, T-1, D] the prefix; visible: [B, T] which prefix entries may be attended to.
    """

    layers: Tensor
    head: Tensor
    canvas: Tensor
    words: Tensor
    visible: Tensor


class AdaptiveRMSNorm(nn.Module):
    """RMS norm whose scale and shift come from the condition."""

    def forward(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """[B, n, D] with [B, 1, D] shift and scale."""
        return F.rms_norm(x, x.shape[-1:]) * scale + shift


class Attention(nn.Module):
    """Causal self-attention with normalised queries and keys and two-dimensional rotary positions."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)
        nn.init.zeros_(self.output.weight)

    def forward(self, x: Tensor, rotary: Tensor, mask: Tensor) -> Tensor:
        """[B, n, D] to the same shape; rotary [2, n, head_dim]; mask [B, 1, n, n]."""
        batch, count, width = x.shape
        (q, k), v = self._projected(x, rotary)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.output(mixed.transpose(1, 2).reshape(batch, count, width))  # type: ignore[no-any-return]

    def weights(self, x: Tensor, rotary: Tensor, mask: Tensor) -> Tensor:
        """How much each entry of a whole sequence [B, n, D] looks at each: [B, heads, n, n], rows of sum 1."""
        (q, k), _ = self._projected(x, rotary)
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        weights: Tensor = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        return weights

    def _projected(self, x: Tensor, rotary: Tensor) -> tuple[Tensor, Tensor]:
        """Turned queries and keys [2, B, heads, n, head_dim], and values [B, heads, n, head_dim]."""
        batch, count, _ = x.shape
        qkv = self.qkv(x).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return rotate(F.rms_norm(qkv[:2], qkv.shape[-1:]), rotary), qkv[2]


class SwiGLU(nn.Module):
    """Gated feed-forward layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.width, 2 * config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B, n, D] to the same shape."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)  # type: ignore[no-any-return]


class DecoderLayer(nn.Module):
    """One block, named as in transformers' Llama; its gate is on the attention and on what blenders add to that."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.number = layer
        self.input_layernorm = AdaptiveRMSNorm()
        self.self_attn = Attention(config)
        self.post_attention_layernorm = AdaptiveRMSNorm()
        self.mlp = SwiGLU(config)

    def forward(
        self, x: Tensor, modulation: Tensor, rotary: Tensor, mask: Tensor, blending: BlendPass | None = None
    ) -> Tensor:
        """[B, n, D] to the same shape; modulation [B, 6, D]."""
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation.unsqueeze(2).unbind(1)
        normed = self.input_layernorm(x, shift1, scale1)
        attention = self.self_attn(normed, rotary, mask)
        if blending is not None:
            blending.add_to(attention, self.number, x, normed)
        x = x + gate1 * attention
        return x + gate2 * self.mlp(self.post_attention_layernorm(x, shift2, scale2))  # type: ignore[no-any-return]


class CanvasStage(nn.Module):
    """Two 3 x 3 convolutions around a skip connection, scaled and shifted by the condition."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        channels = config.canvas_channels
        self.norm1 = nn.GroupNorm(8, channels)
        self.modulation = nn.Linear(config.width, 2 * channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """[B, channels, H, W] and the condition [B, D] to the same shape as x."""
        scale, shift = self.modulation(c)[:, :, None, None].chunk(2, dim=1)
        hidden = self.conv1(F.silu(self.norm1(x) * (1 + scale) + shift))
        added: Tensor = x + self.conv2(F.silu(self.norm2(hidden)))
        return added


class Canvas(nn.Module):
    """Condition [B, D] to a bias [B, S, D] for every position, in three stages of doubling size."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        rows, columns, channels = config.rows, config.columns, config.canvas_channels
        self.sizes = tuple((-(-rows // part), -(-columns // part)) for part in (4, 2, 1))
        self.seed = nn.Linear(config.width, channels * self.sizes[0][0] * self.sizes[0][1])
        self.stages = nn.ModuleList(CanvasStage(config) for _ in self.sizes)
        self.place = nn.Parameter(torch.zeros(channels, rows, columns))
        self.output = nn.Linear(channels, config.width, bias=False)

    def forward(self, c: Tensor) -> Tensor:
        """[B, D] to [B, S, D]."""
        x = self.seed(c).view(len(c), -1, *self.sizes[0])
        for size, stage in zip(self.sizes, self.stages, strict=True):
            x = stage(F.interpolate(x, size=size), c)
        return self.output((x + self.place).flatten(2).transpose(1, 2))  # type: ignore[no-any-return]


class ARTransformer(nn.Module):
    """Predicts all codes of token grids, each from those before it; `LeanTransformer` decodes with its weights."""

    rotary: Tensor
    known: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, rank = config.width, config.modulation_rank
        self.code_embedding = nn.Embedding(config.codes + 1, width)  # the last one: masked out (training only)
        self.row_embedding = nn.Embedding(config.rows, width)
        self.column_embedding = nn.Embedding(config.columns, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.piece_delta = nn.Embedding(config.known_pieces + 1, config.text_dim)
        self.word_input = nn.Linear(config.text_dim, width)
        self.word_position = nn.Embedding(config.pieces, width)
        self.pooled_input = nn.Linear(config.text_dim, width)
        self.style_embedding = nn.Embedding(config.styles + 1, width)
        self.colour_embedding = nn.Embedding(config.colours + 1, width)
        self.condition = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width), nn.SiLU())
        self.modulation_in = nn.Linear(width, rank * config.layers)
        self.modulation_out = nn.Parameter(torch.zeros(config.layers, rank, 6 * width))
        self.head_modulation = nn.Linear(width, 2 * width)
        self.canvas = Canvas(config)
        self.layers = nn.ModuleList(DecoderLayer(config, layer) for layer in range(config.layers))
        self.norm = AdaptiveRMSNorm()
        self.head = nn.Linear(width, config.codes)
        self.register_buffer("known", torch.zeros(config.known_pieces, dtype=torch.int64))  # word-piece ids, ascending
        self.register_buffer("rotary", rotary_table(config), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        for table in (self.style_embedding, self.colour_embedding):
            nn.init.normal_(table.weight, std=0.5)  # as large as what comes from the words, or it is heeded late
        nn.init.zeros_(self.piece_delta.weight)
        nn.init.zeros_(self.head_modulation.weight)
        nn.init.zeros_(self.head.weight)

    def modulate(self, condition: Condition) -> Modulation:
        """Everything that depends on the condition alone; scales and gates that do nothing are 1."""
        config, batch = self.config, len(condition.style)
        present = condition.present.unsqueeze(-1)
        vectors = (condition.vectors + self.piece_delta(condition.piece_ids)) * present
        words = self.word_input(vectors) + self.word_position.weight
        pooled = F.normalize(vectors.sum(1), dim=-1) * present.any(1)
        c = self.pooled_input(pooled * config.text_dim**0.5)
        c = c + self.style_embedding(condition.style) + self.colour_embedding(condition.colour)
        c = self.condition(c)
        low_rank = self.modulation_in(c).view(batch, config.layers, -1).transpose(0, 1)
        layers = torch.bmm(low_rank, self.modulation_out).view(config.layers, batch, 6, -1)
        layers = layers + layers.new_tensor([0, 1, 1, 0, 1, 1])[:, None]
        head = self.head_modulation(c).view(batch, 2, -1)
        head = head + head.new_tensor([0, 1])[:, None]
        visible = torch.cat([condition.present, torch.ones_like(condition.present[:, :1])], dim=1)
        return Modulation(layers, head, self.canvas(c), words, visible)

    def forward(
        self,
        codes: Tensor,
        modulation: Modulation,
        head: nn.Module | None = None,
        blending: BlendPass | None = None,
    ) -> Tensor:
        """Teacher-forced logits [B, S, V] of token grids [B, S]: entry p sees the codes before p only.

        head: another output head than the model's own, such as FAiD's; blending: the blenders of all positions.
        """
        x = self.entries(codes, modulation)
        mask = attention_mask(modulation.visible, x.shape[1], 0)
        rotary = self.rotary[:, : x.shape[1]]
        for layer, values in zip(self.layers, modulation.layers, strict=True):
            x = layer(x, values, rotary, mask, blending)
        return self.logits(x[:, self.config.pieces :], modulation, head)

    def draft(self, modulation: Modulation) -> Tensor:
        """Logits [B, S, V] of the canvas: what the condition alone expects at every position."""
        return self.logits(modulation.canvas, modulation)

    def entries(self, codes: Tensor, modulation: Modulation) -> Tensor:
        """What enters the first layer [B, T - 1 + n, D] for the first n codes [B, n], of which the last is not read."""
        batch, count = codes.shape
        start = self.start.expand(batch, 1, -1)
        place = (self.row_embedding.weight[:, None] + self.column_embedding.weight).flatten(0, 1)
        inputs = torch.cat([start, self.code_embedding(codes[:, :-1])], dim=1) + place[:count]
        return torch.cat([modulation.words, inputs + modulation.canvas[:, :count]], dim=1)

    def logits(self, hidden: Tensor, modulation: Modulation, head: nn.Module | None = None) -> Tensor:
        """[B, n, V] of the last layer's output."""
        shift, scale = modulation.head.unsqueeze(2).unbind(1)
        return (head or self.head)(self.norm(hidden, shift, scale))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class FaidConfig:
    """Shape of the embedded model's FAiD: a blender in layers 0, blend_every, ..., with hops 1 to largest_hop."""

    blend_every: int = 3
    largest_hop: int = 2


class TunedFaid(nn.Module):
    """What tuning for FAiD adds to the frozen transformer: blenders, and an output head in place of its own."""

    def __init__(self, config: FaidConfig, base: TransformerConfig) -> None:
        super().__init__()
        blended = range(0, base.layers, config.blend_every)
        self.blenders = Faid(base.width, blended, range(1, config.largest_hop + 1))
        self.head = nn.Linear(base.width, base.codes)


def conditions(captions: Sequence[Caption], encoder: TextEncoder, model: ARTransformer) -> Condition:
    """The captions as tensors for `model`; word pieces beyond its prefix are cut off."""
    limit, known = model.config.pieces, model.known.numpy()
    vectors = torch.zeros(len(captions), limit, model.config.text_dim)
    piece_ids = torch.zeros(len(captions), limit, dtype=torch.int64)
    present = torch.zeros(len(captions), limit, dtype=torch.bool)
    for row, caption in enumerate(captions):
        pieces = caption.pieces[:limit]
        count = len(pieces)
        vectors[row, :count] = torch.from_numpy(encoder.vectors(pieces))
        present[row, :count] = True
        if len(known):
            found = np.searchsorted(known, pieces).clip(max=len(known) - 1)
            piece_ids[row, :count] = torch.from_numpy(np.where(known[found] == pieces, found + 1, 0))
    styles, colours = [name for name, _ in STYLES], [name for name, _ in COLOURS]
    style = torch.tensor([1 + styles.index(c.style) if c.style else 0 for c in captions])
    colour = torch.tensor([1 + colours.index(c.colour) if c.colour else 0 for c in captions])
    return Condition(vectors, piece_ids, present, style, colour)


def rotary_table(config: TransformerConfig) -> Tensor:
    """[2, T + S, head_dim] cosine and sine: half of the pairs turn with the row, half with the column.

    The sine is what the other one of a pair is multiplied by, so it is negative for the first one. The prefix stands at
    row -1, column -1; its order is given by the learned word positions.
    """
    head_dim = config.width // config.heads
    frequencies = 32.0 ** -(torch.arange(head_dim // 4) / (head_dim // 4))
    target = torch.arange(config.grid.positions)
    image = torch.stack([target // config.columns, target % config.columns])
    places = torch.cat([torch.full((2, config.pieces), -1), image], dim=1)
    angles = torch.cat([places[0, :, None] * frequencies, places[1, :, None] * frequencies], dim=1)
    cosine, sine = angles.cos(), angles.sin()
    return torch.stack([torch.cat([cosine, cosine], dim=1), torch.cat([-sine, sine], dim=1)])


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turn the pairs (i, i + head_dim / 2) of [..., n, head_dim] (RoFormer, arXiv 2104.09864)."""
    cosine, sine = rotary.to(x.dtype)
    turned: Tensor = x * cosine + x.roll(x.shape[-1] // 2, dims=-1) * sine
    return turned


def attention_mask(visible: Tensor, count: int, offset: int) -> Tensor:
    """[B, 1, count, offset + count] bool: causal, and without the absent word pieces of the prefix.

    An absent piece still sees itself, so that no row of the softmax is empty.
    """
    total = offset + count
    shown = F.pad(visible, (0, max(0, total - visible.shape[1])), value=True)[:, None, None, :total]
    query = torch.arange(offset, total, device=visible.device)[:, None]
    key = torch.arange(total, device=visible.device)[None]
    return ((key <= query) & shown) | (key == query)
