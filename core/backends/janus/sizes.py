"""What a Janus-Pro folder says of itself before any weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEAlignerMLP, JanusVQVAEHead

from ...types import CheckpointError, Grid
from .config import read_config
from .llama import LlamaConfig

DEFAULT_MODEL: Final = "deepseek-community/Janus-Pro-1B"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What config.json says of the parts that draw."""

    llama: LlamaConfig
    words: int
    codes: int
    code_dim: int
    grid: Grid
    pixels: int

    @classmethod
    def of(cls, config: Any, folder: Path) -> Sizes:
        """Sizes in transformers' JanusConfig; CheckpointError for a model that this decoding does not know."""
        text, vq = config.text_config, config.vq_config
        rope = getattr(text, "rope_parameters", None) or {}
        known = {
            "model_type": (text.model_type, "llama"),
            "hidden_act": (text.hidden_act, "silu"),
            "attention_bias": (text.attention_bias, False),
            "mlp_bias": (text.mlp_bias, False),
            "rope_type": (rope.get("rope_type", "default"), "default"),
            "num_image_tokens": (config.vision_config.num_image_tokens, vq.num_patches**2),
        }
        for name, (got, expected) in known.items():
            if got != expected:
                raise CheckpointError(f"{folder}: got {name} {got!r}, expected {expected!r}; take a Janus-Pro model")
        heads = text.num_attention_heads
        llama = LlamaConfig(
            width=text.hidden_size,
            hidden=text.intermediate_size,
            layers=text.num_hidden_layers,
            heads=heads,
            key_heads=text.num_key_value_heads,
            head_width=text.head_dim or text.hidden_size // heads,
            epsilon=text.rms_norm_eps,
            theta=float(rope.get("rope_theta", 10000.0)),
        )
        side = vq.num_patches
        pixels = side * 2 ** (len(vq.channel_multiplier) - 1)
        return cls(llama, text.vocab_size, vq.num_embeddings, vq.embed_dim, Grid(side, side), pixels)


@dataclass(frozen=True)
class Model:
    """A model folder without its weights: transformers' config, sizes, shapes of tensors."""

    folder: Path
    config: Any
    sizes: Sizes
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def open(cls, folder: Path) -> Model:
        """Read config.json, transformers' or DeepSeek's; CheckpointError for another kind of model."""
        config = read_config(folder)
        sizes = Sizes.of(config, folder)
        return cls(folder, config, sizes, _shapes(config, sizes))


def _shapes(config: Any, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors that drawing needs."""
    with torch.device("meta"):
        parts = {
            "generation_aligner": JanusVQVAEAlignerMLP(config.vq_config),
            "generation_head": JanusVQVAEHead(config.vq_config),
            "vqmodel": JanusVQVAE(config.vq_config),
        }
    shapes: dict[str, tuple[int, ...]] = {
        "model.language_model.embed_tokens.weight": (sizes.words, sizes.llama.width),
        "model.generation_embeddings.weight": (sizes.codes, sizes.code_dim),
    }
    shapes |= {f"model.language_model.{name}": shape for name, shape in sizes.llama.shapes()}
    for part, module in parts.items():
        shapes |= {f"model.{part}.{name}": tuple(value.shape) for name, value in module.state_dict().items()}
    return shapes
