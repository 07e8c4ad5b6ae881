"""The VQ tokenizer of LlamaGen, with the published names of its tensors: pictures to codes and back.

A VQGAN (Esser et al. 2021) whose code vectors are compared and used at unit length (Yu et al. 2022). Janus has the same
one, of the same sizes and names. All sizes follow from the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch.nn.functional as F
from arrag.types import CheckpointError
from torch import Tensor, nn

from .weights import Tensors, shape_of

GROUPS: Final = 32
PLACE: Final = re.compile(r"encoder\.conv_blocks\.(\d+)\.res\.(\d+)\.conv1\.weight")
"""Level and block of a residual block."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Channels before the first level and in each, residual blocks of one, channels between, codes, their length."""

    first: int
    levels: tuple[int, ...]
    blocks: int
    latent: int
    codes: int
    dim: int

    @classmethod
    def of(cls, path: Path, tensors: Tensors) -> Sizes:
        """Those that the shapes of the tensors tell; CheckpointError for another kind of file."""
        codes, dim = shape_of(path, tensors, "quantize.embedding.weight", 2)
        first = shape_of(path, tensors, "encoder.conv_in.weight", 4)[0]
        latent = shape_of(path, tensors, "encoder.conv_out.weight", 4)[0]
        places = {place.groups() for name in tensors if (place := PLACE.match(name))}
        count = len({level for level, _ in places})
        level = "encoder.conv_blocks.{}.res.0.conv1.weight"
        levels = tuple(shape_of(path, tensors, level.format(number), 4)[0] for number in range(count))
        if not levels or any(channels % GROUPS for channels in (first, *levels)):
            got = f"got levels of {(first, *levels)} channels, expected multiples of {GROUPS}"
            raise CheckpointError(f"{path}: {got}; take vq_ds16_c2i.pt")
        return cls(first, levels, len(places) // count, latent, codes, dim)

    @property
    def downsample(self) -> int:
        """Pixels in a row of one code."""
        return int(2 ** (len(self.levels) - 1))


class Residual(nn.Module):
    """Two convolutions of a normed input, added to it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = _norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = _norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H, W]."""
        mixed: Tensor = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return mixed + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attention(nn.Module):
    """One head over all cells, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] to the same shape."""
        normed = self.norm(x)
        queries, keys, values = (part(normed).flatten(2).transpose(1, 2) for part in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).reshape(x.shape)
        mixed: Tensor = x + self.proj_out(seen)
        return mixed


class Resample(nn.Module):
    """Half or twice the height and width."""

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        self._up = up
        self.conv = nn.Conv2d(channels, channels, 3, stride=1 if up else 2, padding=1 if up else 0)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] to [N, channels, 2 H, 2 W] or [N, channels, H / 2, W / 2]."""
        x = F.interpolate(x, scale_factor=2.0, mode="nearest") if self._up else F.pad(x, (0, 1, 0, 1))
        moved: Tensor = self.conv(x)
        return moved


class Level(nn.Module):
    """Residual blocks, with attention at the coarsest level, and a way to the next level unless it is the last."""

    def __init__(self, inputs: int, outputs: int, blocks: int, attends: bool, next_level: str) -> None:
        super().__init__()
        self.res = nn.ModuleList([Residual(inputs if block == 0 else outputs, outputs) for block in range(blocks)])
        self.attn = nn.ModuleList([Attention(outputs) for _ in range(blocks if attends else 0)])
        if next_level:
            self.add_module(next_level, Resample(outputs, next_level == "upsample"))

    def parts(self) -> Iterator[nn.Module]:
        """What a picture goes through, in turn."""
        for number, residual in enumerate(self.res):
            yield residual
            yield from self.attn[number : number + 1]
        for name in ("downsample", "upsample"):
            if hasattr(self, name):
                yield getattr(self, name)


class Coder(nn.Module):
    """What encoder and decoder share: levels, and a middle at the coarsest one."""

    def __init__(self, inputs: int, outputs: int, first: int, levels: list[Level], middle: int, last: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(inputs, first, 3, padding=1)
        self.conv_blocks = nn.ModuleList(levels)
        self.mid = nn.ModuleList([Residual(middle, middle), Attention(middle), Residual(middle, middle)])
        self.norm_out = _norm(last)
        self.conv_out = nn.Conv2d(last, outputs, 3, padding=1)

    def through(self, x: Tensor, middle_first: bool) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H', W']."""
        levels = [part for level in self.conv_blocks if isinstance(level, Level) for part in level.parts()]
        x = self.conv_in(x)
        for part in [*self.mid, *levels] if middle_first else [*levels, *self.mid]:
            x = part(x)
        outputs: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return outputs


class Tokenizer(nn.Module):
    """Encoder, code vectors and decoder."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        wide, count, blocks = sizes.levels, len(sizes.levels), sizes.blocks
        into = (sizes.first, *wide)
        down = [
            Level(into[n], wide[n], blocks, n == count - 1, "" if n == count - 1 else "downsample")
            for n in range(count)
        ]
        out_of = (wide[-1], *reversed(wide))
        up = [
            Level(out_of[n], out_of[n + 1], blocks + 1, n == 0, "" if n == count - 1 else "upsample")
            for n in range(count)
        ]
        self.encoder = Coder(3, sizes.latent, sizes.first, down, wide[-1], wide[-1])
        self.decoder = Coder(sizes.latent, 3, wide[-1], up, wide[-1], wide[0])
        self.quantize = nn.Module()
        self.quantize.embedding = nn.Embedding(sizes.codes, sizes.dim)
        self.quant_conv = nn.Conv2d(sizes.latent, sizes.dim, 1)
        self.post_quant_conv = nn.Conv2d(sizes.dim, sizes.latent, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        """Codes [N, height, width] of pixels [N, 3, H, W] in -1..1: those whose vectors point most like the latents."""
        latents = self.quant_conv(self.encoder.through(pixels, middle_first=False)).permute(0, 2, 3, 1)
        return (F.normalize(latents, dim=-1) @ self._vectors().T).argmax(dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Pixels [N, 3, H, W], about -1..1, of codes [N, height, width]."""
        vectors = self._vectors()[codes].permute(0, 3, 1, 2)
        return self.decoder.through(self.post_quant_conv(vectors), middle_first=True)

    def _vectors(self) -> Tensor:
        """Unit code vectors [V, d]."""
        return F.normalize(self.get_parameter("quantize.embedding.weight"), dim=-1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=1e-6)
