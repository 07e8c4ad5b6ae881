"""The embedded transformer as decoding runs it: the same numbers as `ARTransformer.forward`, in far fewer operations.

With two or three rows an operation costs more than what it computes, so all that can be is worked out before: weights
are laid out when the model is loaded (`LeanTransformer`), what depends on the prompt when a picture is begun
(`Prompt`). Three identities save the rest. A norm is x / |x|, its factor sqrt(width) being put into the scale. Queries
and keys have unit length, their factors being put into the scale of the attention. And the two numbers that turn
together lie side by side, which does not change a product of queries and keys, so that turning is a complex product.

A pass is over the n >= 1 newest entries of R sequences, with what a cache holds of those before: one code, several that
are guessed or known, or a whole beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blend_pass import BlendPass
from .transformer import ARTransformer, DecoderLayer, Modulation, attention_mask


@dataclass(frozen=True, slots=True)
class LeanLayer:
    """Weights of one layer, (input, output); those of queries and keys with the pairs that turn side by side."""

    qkv: Tensor
    output: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the condition of R rows makes of the network, ready to use.

    layers: for each, shift, scale and gate of both halves [R, 1, D]; head: shift and scale [R, 1, D]; places: [R, S, D]
    row, column and canvas of every position; words: [R, T-1, D]; visible: [R, T]; mask: [R, 1, 1, T-1+S] what is added
    to the scores of an entry after the prefix.
    """

    layers: tuple[tuple[Tensor, ...], ...]
    head: tuple[Tensor, Tensor]
    places: Tensor
    words: Tensor
    visible: Tensor
    mask: Tensor

    def rows(self, chosen: Tensor) -> Prompt:
        """That of the chosen rows [n] alone."""
        layers = tuple(tuple(part[chosen] for part in layer) for layer in self.layers)
        shift, scale = self.head
        parts = (self.places, self.words, self.visible, self.mask)
        return Prompt(layers, (shift[chosen], scale[chosen]), *(part[chosen] for part in parts))


class LeanCache:
    """Keys and values [R, heads, T-1+S, head_dim] of each layer for the sequence so far; one per generation.

    What stands at and after an offset is written anew, so that a position may be computed again.
    """

    def __init__(self, layers: int, rows: int, heads: int, length: int, head_dim: int) -> None:
        shape = (layers, rows, heads, length, head_dim)
        self._keys, self._values = torch.zeros(shape).unbind(0), torch.zeros(shape).unbind(0)

    def rows(self, chosen: Tensor) -> LeanCache:
        """A copy of the chosen rows [n]."""
        copied = LeanCache.__new__(LeanCache)
        copied._keys = tuple(keys[chosen] for keys in self._keys)
        copied._values = tuple(values[chosen] for values in self._values)
        return copied

    def extend(self, layer: int, offset: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put [R, heads, n, head_dim] of the newest entries at `offset`; all of the layer's up to there."""
        end = offset + keys.shape[2]
        all_keys, all_values = self._keys[layer], self._values[layer]
        all_keys[:, :, offset:end] = keys
        all_values[:, :, offset:end] = values
        return all_keys[:, :, :end], all_values[:, :, :end]


@dataclass(frozen=True, slots=True)
class LeanTransformer:
    """The weights of an `ARTransformer` as passes need them; immutable, made with `of`.

    places: [S, D] row and column of every position; start: [D]; codes: [V + 1, D] embeddings; head: weight [D, V] and
    bias [V]; rotary: [T-1+S, 1, head_dim / 2] complex, by what pairs turn; width_norm, head_norm: what the length of
    x is at least, as the norm's epsilon lets it be.
    """

    layers: tuple[LeanLayer, ...]
    codes: Tensor
    start: Tensor
    places: Tensor
    head: tuple[Tensor, Tensor]
    rotary: Tensor
    heads: int
    prefix: int
    width_norm: Tensor
    head_norm: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, model: ARTransformer) -> LeanTransformer:
        """The weights of a model as they are now; a later change of it does not reach them."""
        config, (cosine, sine) = model.config, model.rotary
        head_dim = config.width // config.heads
        half, epsilon = head_dim // 2, torch.finfo(torch.float32).eps
        place = model.row_embedding.weight[:, None] + model.column_embedding.weight
        return cls(
            tuple(_layer(layer, config.heads) for layer in model.layers),  # type: ignore[arg-type]
            model.code_embedding.weight.detach().clone(),
            model.start.detach().clone(),
            place.flatten(0, 1),
            _head(model.head),
            torch.complex(cosine[:, :half], sine[:, half:]).unsqueeze(1),
            config.heads,
            config.prefix,
            torch.tensor((config.width * epsilon) ** 0.5),
            torch.tensor((head_dim * epsilon) ** 0.5),
        )

    def with_head(self, head: nn.Linear) -> LeanTransformer:
        """The same layers before another output head, such as FAiD's."""
        return replace(self, head=_head(head))

    def prompt(self, modulation: Modulation) -> Prompt:
        """What passes need of a modulation of R rows."""
        factor = modulation.head.shape[-1] ** 0.5
        layers = []
        for values in modulation.layers.unsqueeze(3):
            shift1, scale1, gate1, shift2, scale2, gate2 = values.unbind(1)
            parts = (shift1, scale1 * factor, gate1, shift2, scale2 * factor, gate2)
            layers.append(tuple(part.contiguous() for part in parts))
        shift, scale = modulation.head.unsqueeze(2).unbind(1)
        visible = modulation.visible
        shown = F.pad(visible, (0, len(self.places) - 1), value=True)[:, None, None]
        return Prompt(
            tuple(layers),
            (shift.contiguous(), scale * factor),
            self.places + modulation.canvas,
            modulation.words,
            visible,
            _scores(shown),
        )

    def cache(self, rows: int) -> LeanCache:
        """An empty one for so many rows."""
        return LeanCache(len(self.layers), rows, self.heads, *self._length_and_head_dim())

    def _length_and_head_dim(self) -> tuple[int, int]:
        return len(self.rotary), 2 * self.rotary.shape[-1]

    def logits(
        self, prompt: Prompt, cache: LeanCache | None, first: int, codes: Tensor, blending: BlendPass | None = None
    ) -> Tensor:
        """Logits [R, n, V] of the positions from `first` on, from the codes [R, n] of those before each.

        Position 0 has none before it, so at the beginning codes are [R, n - 1]. A position may be computed again.
        Without a cache, first is 0. blending: the blenders of these positions.
        """
        hidden = self.hidden(prompt, cache, first, codes, blending)
        return self.predicted(prompt, hidden[:, self.prefix - 1 :] if first == 0 else hidden)

    def hidden(
        self, prompt: Prompt, cache: LeanCache | None, first: int, codes: Tensor, blending: BlendPass | None = None
    ) -> Tensor:
        """What leaves the last layer [R, n, D], arguments as in `logits`; at the beginning [R, T-1+n, D]."""
        x = torch.embedding(self.codes, codes)
        if first == 0:
            x = torch.cat([self.start.expand(len(codes), 1, -1), x], dim=1)
        x = x + prompt.places[:, first : first + x.shape[1]]
        offset = self.prefix - 1 + first
        if first == 0:
            x, offset = torch.cat([prompt.words, x], dim=1), 0
        rows, count, width = x.shape
        mask = self._mask(prompt, offset, count)
        rotary = self.rotary[offset : offset + count]
        for number, (layer, modulation) in enumerate(zip(self.layers, prompt.layers, strict=True)):
            shift1, scale1, gate1, shift2, scale2, gate2 = modulation
            normed = torch.addcmul(shift1, self._unit(x, self.width_norm), scale1)
            qkv = torch.mm(normed.view(-1, width), layer.qkv).view(rows, count, 3 * self.heads, -1)
            mixed = self._attention(qkv, rotary, mask, cache, number, offset)
            attention = torch.mm(mixed, layer.output).view(rows, count, width)
            if blending is not None:
                blending.add_to(attention, number, x, normed)
            x = torch.addcmul(x, gate1, attention)
            normed = torch.addcmul(shift2, self._unit(x, self.width_norm), scale2)
            gate, up = torch.mm(normed.view(-1, width), layer.gate_up).chunk(2, dim=1)
            x = torch.addcmul(x, gate2, torch.mm(F.silu(gate).mul_(up), layer.down).view(rows, count, width))
        return x

    def predicted(self, prompt: Prompt, hidden: Tensor) -> Tensor:
        """Logits [R, n, V] of what left the last layer [R, n, D]."""
        (shift, scale), (weight, bias) = prompt.head, self.head
        normed = torch.addcmul(shift, self._unit(hidden, self.width_norm), scale)
        return torch.addmm(bias, normed.flatten(0, 1), weight).view(*hidden.shape[:2], -1)

    def _attention(
        self, qkv: Tensor, rotary: Tensor, mask: Tensor, cache: LeanCache | None, layer: int, offset: int
    ) -> Tensor:
        """[R * n, D] of queries, keys and values [R, n, 3 * heads, head_dim]."""
        heads, (rows, count, _, head_dim) = self.heads, qkv.shape
        units = self._unit(qkv[:, :, : 2 * heads], self.head_norm)
        turned = torch.view_as_real(torch.view_as_complex(units.view(rows, count, 2 * heads, -1, 2)) * rotary)
        queries, keys = turned.view(rows, count, 2 * heads, head_dim).transpose(1, 2).chunk(2, dim=1)
        values = qkv[:, :, 2 * heads :].transpose(1, 2)
        if cache is not None:
            keys, values = cache.extend(layer, offset, keys, values)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=head_dim**0.5)
        return mixed.transpose(1, 2).reshape(rows * count, -1)

    def _mask(self, prompt: Prompt, offset: int, count: int) -> Tensor:
        """[R, 1, count, offset + count] what is added to the scores of so many entries from `offset` on."""
        if count == 1 and offset >= self.prefix:
            return prompt.mask[..., : offset + 1]
        return _scores(attention_mask(prompt.visible, count, offset))

    @staticmethod
    def _unit(x: Tensor, least: Tensor) -> Tensor:
        """x [..., D] at unit length, as a norm's epsilon has it: nothing that is shorter than `least` grows to one."""
        return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), least)


def _layer(layer: DecoderLayer, heads: int) -> LeanLayer:
    """The weights of a layer; of queries and keys, pairs (i, i + head_dim / 2) come to (2i, 2i + 1)."""
    weight = layer.self_attn.qkv.weight.detach()
    width = weight.shape[1]
    queries_keys = weight[: 2 * width].view(2, heads, 2, -1, width).transpose(2, 3).reshape(2 * width, width)
    return LeanLayer(
        torch.cat([queries_keys, weight[2 * width :]]).t().contiguous(),
        *(
            linear.weight.detach().t().contiguous()
            for linear in (layer.self_attn.output, layer.mlp.gate_up, layer.mlp.down)
        ),
    )


def _head(head: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight (input, output) and bias of an output head."""
    return head.weight.detach().t().contiguous(), head.bias.detach()


def _scores(shown: Tensor) -> Tensor:
    """What is added to scores: 0 where something is shown, -inf where it is not."""
    return torch.zeros(shown.shape).masked_fill_(~shown, -torch.inf)
