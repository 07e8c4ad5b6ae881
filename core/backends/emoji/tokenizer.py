"""The VQ tokenizer that turns images into token grids and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...types import CodeArray, Grid
from ..pixels import to_pictures, to_pixels


@dataclass(frozen=True, slots=True)
class TokenizerConfig:
    """Sizes of the VQ tokenizer: a code covers 8 x 8 pixels, after unshuffling by 4 and one halving."""

    pixels: int = 128
    codes: int = 1024
    code_dim: int = 8
    fine_width: int = 64
    coarse_width: int = 128
    fine_blocks: int = 4
    coarse_blocks: int = 4

    @property
    def grid(self) -> Grid:
        """Shape of the token grid."""
        return Grid(self.pixels // 8, self.pixels // 8)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a skip connection, at one resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)  # the block begins as the identity

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, H, W] to the same shape."""
        hidden = self.conv1(F.silu(self.norm1(x)))
        added: Tensor = x + self.conv2(F.silu(self.norm2(hidden)))
        return added


class VQTokenizer(nn.Module):
    """Encoder to unit latents, nearest-code quantisation, decoder to pixels; pixels are in -1..1.

    Code vectors live on the unit sphere (as in ViT-VQGAN and LlamaGen); BatchNorm without affine parameters in front of
    the normalisation keeps all of the sphere in use.
    """

    codebook: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        fine, coarse, dim = config.fine_width, config.coarse_width, config.code_dim
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, fine, 3, padding=1),
            *(ResidualBlock(fine) for _ in range(config.fine_blocks)),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * fine, coarse, 1),
            *(ResidualBlock(coarse) for _ in range(config.coarse_blocks)),
            nn.GroupNorm(8, coarse),
            nn.SiLU(),
            nn.Conv2d(coarse, dim, 1),
            nn.BatchNorm2d(dim, affine=False),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, coarse, 3, padding=1),
            *(ResidualBlock(coarse) for _ in range(config.coarse_blocks)),
            nn.Conv2d(coarse, 4 * fine, 1),
            nn.PixelShuffle(2),
            *(ResidualBlock(fine) for _ in range(config.fine_blocks)),
            nn.GroupNorm(8, fine),
            nn.SiLU(),
            nn.Conv2d(fine, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )
        self.register_buffer("codebook", F.normalize(torch.randn(config.codes, dim), dim=1))

    def latents(self, pixels: Tensor) -> Tensor:
        """Unit latents [B, H, W, d] of pixels [B, 3, 8H, 8W]."""
        unit: Tensor = F.normalize(self.encoder(pixels).permute(0, 2, 3, 1).float(), dim=-1)
        return unit

    def nearest_codes(self, latents: Tensor) -> Tensor:
        """Code of the nearest code vector for unit latents [..., d]."""
        codes: Tensor = (latents @ self.codebook.T).argmax(dim=-1)
        return codes

    def pixels(self, vectors: Tensor) -> Tensor:
        """Pixels [B, 3, 8H, 8W] of code vectors [B, H, W, d]."""
        decoded: Tensor = self.decoder(vectors.permute(0, 3, 1, 2))
        return decoded

    @torch.inference_mode()
    def encode(self, pictures: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, H, W] of RGB pictures [N, 8H, 8W, 3]."""
        chunks = [
            self.nearest_codes(self.latents(to_pixels(pictures[i : i + 32]))) for i in range(0, len(pictures), 32)
        ]
        return torch.cat(chunks).numpy().astype(np.uint16)

    @torch.inference_mode()
    def decode(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB pictures [N, 8H, 8W, 3] of token grids [N, H, W]."""
        codes = torch.from_numpy(grids.astype(np.int64))
        chunks = [self.pixels(self.codebook[codes[i : i + 32]]) for i in range(0, len(codes), 32)]
        return to_pictures(torch.cat(chunks))
