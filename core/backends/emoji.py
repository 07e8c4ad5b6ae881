"""The embedded model: VQ tokenizer, static text table and transformer, all in one folder; runs on any CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from core import checkpoint
from core.text import TextEncoder
from core.tokenizer import Codebook, TokenizerConfig, VQTokenizer
from core.transformer import ARTransformer, KVCache, TransformerConfig, conditions
from core.types import CheckpointError, CodeArray, ConfigError, FloatArray, Grid, IntArray

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "models" / "emoji"


class EmojiDecoding:
    """One generation of the embedded transformer; rows are all conditional ones, then all unconditional ones."""

    def __init__(self, model: ARTransformer, encoder: TextEncoder, prompts: Sequence[str], guided: bool) -> None:
        condition = conditions([encoder.encode(prompt) for prompt in prompts], encoder, model)
        if guided:
            condition = condition.joined(condition.null())
        self._model, self._prompts, self._guided = model, len(prompts), guided
        with torch.inference_mode():
            self._modulation = model.modulate(condition)
        self._cache: KVCache | None = KVCache(model.config, len(condition.style))
        self._position = 0
        self._newest: torch.Tensor | None = None

    def logits(self) -> tuple[FloatArray, FloatArray | None]:
        """Conditional and unconditional logits [B, V] of the next code."""
        if self._cache is None:
            raise ConfigError("decoding: got a closed one, expected an open one; start a new generation")
        rows = self._model.step(self._modulation, self._cache, self._position, self._newest).numpy()
        return rows[: self._prompts], rows[self._prompts :] if self._guided else None

    def append(self, codes: IntArray) -> None:
        """Take the [B] codes chosen for the position that `logits` was asked for."""
        chosen = torch.from_numpy(np.asarray(codes, dtype=np.int64))
        self._newest = chosen.repeat(2) if self._guided else chosen
        self._position += 1

    def close(self) -> None:
        """Drop the KV cache."""
        self._cache = None


@dataclass(frozen=True)
class EmojiBackend:
    """The embedded text-to-image model; load it with `load`."""

    tokenizer: VQTokenizer
    encoder: TextEncoder
    transformer: ARTransformer
    codebook: Codebook
    fingerprint: str
    name: str = "emoji"

    @classmethod
    def load(cls, folder: Path = FOLDER) -> EmojiBackend:
        """Read config.json, the weights and the text table; CheckpointError says what is missing or damaged."""
        config = checkpoint.read_config(folder)
        transformer = ARTransformer(checkpoint.config_part(config, "transformer", TransformerConfig))
        checkpoint.load_weights(folder, "transformer", transformer)
        return cls.assemble(load_tokenizer(folder), TextEncoder.load(folder), transformer.eval())

    @classmethod
    def assemble(cls, tokenizer: VQTokenizer, encoder: TextEncoder, transformer: ARTransformer) -> EmojiBackend:
        """A backend from its three parts; CheckpointError when their sizes differ."""
        grid, codes = tokenizer.config.grid, tokenizer.config.codes
        if (grid, codes) != (transformer.config.grid, transformer.config.codes):
            raise CheckpointError(
                f"transformer: got {transformer.config.codes} codes on {transformer.config.grid}, expected the "
                f"tokenizer's {codes} on {grid}; train or restore both together"
            )
        if encoder.dim != transformer.config.text_dim:
            raise CheckpointError(f"text table: got {encoder.dim} columns, expected {transformer.config.text_dim}")
        codebook = Codebook.from_vectors(tokenizer.codebook.numpy())
        return cls(tokenizer, encoder, transformer, codebook, checkpoint.fingerprint(transformer.state_dict()))

    @property
    def grid(self) -> Grid:
        """Shape of the token grid."""
        return self.transformer.config.grid

    def start(self, prompts: Sequence[str], guided: bool) -> EmojiDecoding:
        """Begin a generation; ConfigError for a prompt that is empty or too long."""
        if not prompts:
            raise ConfigError("prompts: got none, expected at least one")
        return EmojiDecoding(self.transformer, self.encoder, prompts, guided)

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, E] of texts, without their style words; zero where no word is known."""
        return self.encoder.pooled([self.encoder.encode(text).text for text in texts])

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, height, width] of RGB images [N, pixels, pixels, 3]."""
        return self.tokenizer.encode(images)

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB images [N, pixels, pixels, 3] of token grids [N, height, width]."""
        return self.tokenizer.decode(grids)


def load_tokenizer(folder: Path = FOLDER) -> VQTokenizer:
    """The VQ tokenizer in `folder`, its code vectors of unit length."""
    config = checkpoint.config_part(checkpoint.read_config(folder), "tokenizer", TokenizerConfig)
    tokenizer = VQTokenizer(config)
    checkpoint.load_weights(folder, "tokenizer", tokenizer)
    tokenizer.codebook.copy_(torch.from_numpy(Codebook.from_vectors(tokenizer.codebook.numpy()).vectors.copy()))
    return tokenizer.eval()
