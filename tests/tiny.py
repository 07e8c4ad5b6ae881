"""The embedded model's own classes at a tiny size with random weights, and a database of random grids for it."""

from __future__ import annotations

import numpy as np
import torch

from core.backends import ModelSource
from core.backends.emoji.backend import FOLDER, EmojiBackend
from core.backends.emoji.text import TextEncoder
from core.backends.emoji.tokenizer import TokenizerConfig, VQTokenizer
from core.backends.emoji.transformer import ARTransformer, FaidConfig, TransformerConfig, TunedFaid
from core.context import Context
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo

SIDE, CODES = 8, 48


def tiny_backend(seed: int = 0, faid: bool = True) -> EmojiBackend:
    """64 x 64 pixels, an 8 x 8 grid of 48 codes, three layers; every parameter is random, so everything matters."""
    torch.manual_seed(seed)
    tokenizer = VQTokenizer(TokenizerConfig(8 * SIDE, CODES, 8, 8, 16, 1, 1)).eval()
    config = TransformerConfig(
        codes=CODES, rows=SIDE, columns=SIDE, known_pieces=3, layers=3, width=64, heads=4, hidden=96, modulation_rank=8
    )
    transformer = ARTransformer(config).eval()
    encoder = TextEncoder.load(FOLDER)
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.normal_(std=0.15)
        transformer.known.copy_(torch.tensor(sorted(int(p) for p in encoder.encode("red heart pizza").pieces)))
    return EmojiBackend.assemble(tokenizer, encoder, transformer, tiny_faid(config) if faid else None)


def load(source: ModelSource) -> EmojiBackend:
    """The same as `--backend tests.tiny:load` takes it."""
    return tiny_backend()


def tiny_faid(config: TransformerConfig) -> TunedFaid:
    """Two blenders with hops 1 and 2."""
    tuned = TunedFaid(FaidConfig(blend_every=2), config).eval()
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            parameter.normal_(std=0.05 if "blender.conv" in name else 0.15)
    return tuned


def tiny_database(backend: EmojiBackend, images: int = 12, context: Context | None = None) -> PatchDatabase:
    """Spatially correlated random grids in two styles, with caption vectors."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, CODES, size=(images, SIDE // 2, SIDE // 2))
    grids = coarse.repeat(2, axis=1).repeat(2, axis=2)
    grids = np.where(rng.random(grids.shape) < 0.2, rng.integers(0, CODES, size=grids.shape), grids)
    captions = [
        f"{word} {n}" for n, word in zip(range(images), ["pizza", "heart", "dog", "car"] * images, strict=False)
    ]
    infos = [ImageInfo(caption, ("3d", "flat")[n % 2], f"c{n}", "test") for n, caption in enumerate(captions)]
    return PatchDatabase.build(
        backend.codebook, grids.astype(np.uint16), infos, context or Context(), backend.embed_captions(captions),
        caption_encoder=backend.caption_encoder,
    )  # fmt: skip
