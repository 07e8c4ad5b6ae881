"""The config.json of a model folder as transformers' JanusConfig: theirs, or DeepSeek's own, from which it follows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from transformers import JanusConfig, JanusVisionConfig, JanusVQVAEConfig, LlamaConfig

from ...types import CheckpointError
from ..checkpoint import read_json

TRANSFORMERS: Final = "janus"
DEEPSEEK: Final = "multi_modality"

PARTS: Final = ("language_config", "vision_config", "gen_vision_config", "gen_aligner_config", "gen_head_config")
"""What DeepSeek's config says of the parts that draw, and, in vision_config, of the size of a picture."""

VQ_MODELS: Final[dict[str, dict[str, Any]]] = {
    "VQ-16": {
        "base_channels": 128,
        "channel_multiplier": [1, 1, 2, 2, 4],
        "num_res_blocks": 2,
        "latent_channels": 256,
    }
}
"""What DeepSeek's code builds for a class that gen_vision_config names, which says no more of it
(janus/models/vq_model.py)."""


def read_config(folder: Path) -> Any:
    """The JanusConfig of a folder; CheckpointError for another kind of model, and for sizes that do not go together."""
    path = folder / "config.json"
    values = read_json(path)
    kind = values.get("model_type")
    if kind not in (TRANSFORMERS, DEEPSEEK):
        expected = f"expected {TRANSFORMERS!r} or, in DeepSeek's own format, {DEEPSEEK!r}"
        raise CheckpointError(f"{folder}: got a model of type {kind!r}, {expected}; take Janus-Pro")
    try:
        return JanusConfig.from_pretrained(folder) if kind == TRANSFORMERS else _from_deepseek(values, path)
    except CheckpointError:
        raise
    except Exception as error:  # transformers' own checks raise errors of huggingface_hub's
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: no Janus config ({reason}); download it again") from None


def _from_deepseek(values: Mapping[str, Any], path: Path) -> JanusConfig:
    """What DeepSeek's config means, in transformers' words; what it does not say is as in its code."""
    if absent := [part for part in PARTS if not isinstance(values.get(part), dict)]:
        remedy = "take Janus-Pro; DeepSeek-VL and JanusFlow, which have that type too, do not draw codes"
        raise CheckpointError(f"{path}: got no {absent[0]}, expected one; {remedy}")
    language, vision, tokenizer, aligner, head = (values[part] for part in PARTS)
    text = LlamaConfig(**{name: value for name, value in language.items() if name != "model_type"})
    pixels, codes, inner, outer = (part.get("params", {}) for part in (vision, tokenizer, aligner, head))
    _compare(
        path,
        {
            "language_config.model_type": (language.get("model_type", "llama"), "llama"),
            "gen_vision_config.cls": (tokenizer.get("cls"), _known(tokenizer.get("cls"))),
            "gen_aligner_config.cls": (aligner.get("cls"), "MlpProjector"),
            "gen_aligner_config.params.projector_type": (inner.get("projector_type"), "mlp_gelu"),
            "gen_aligner_config.params.depth": (inner.get("depth"), 2),
            "gen_aligner_config.params.input_dim": (inner.get("input_dim"), codes.get("n_embed")),
            "gen_aligner_config.params.n_embed": (inner.get("n_embed"), text.hidden_size),
            "gen_head_config.cls": (head.get("cls"), "vision_head"),
            "gen_head_config.params.n_embed": (outer.get("n_embed"), text.hidden_size),
            "gen_head_config.params.image_token_embed": (outer.get("image_token_embed"), text.hidden_size),
            "gen_head_config.params.image_token_size": (
                outer.get("image_token_size"),
                codes.get("image_token_size"),
            ),
        },
    )
    vq = JanusVQVAEConfig(
        embed_dim=codes.get("n_embed"), num_embeddings=codes.get("image_token_size"), projection_dim=text.hidden_size,
        image_token_embed_dim=text.hidden_size, **VQ_MODELS[tokenizer["cls"]],
    )  # fmt: skip
    patch = 2 ** (len(vq.channel_multiplier) - 1)
    size = pixels.get("image_size")
    if not isinstance(size, int) or size < patch or size % patch:
        got = f"vision_config.params.image_size: got {size!r}, expected a multiple of {patch}"
        raise CheckpointError(f"{path}: {got}; download it again")
    seen = JanusVisionConfig(image_size=size, patch_size=patch, num_image_tokens=(size // patch) ** 2)
    return JanusConfig(text_config=text, vision_config=seen, vq_config=vq)


def _known(name: object) -> str:
    """The class of tokenizers itself where it is known, else the first one that is."""
    return name if isinstance(name, str) and name in VQ_MODELS else next(iter(VQ_MODELS))


def _compare(path: Path, known: Mapping[str, tuple[object, object]]) -> None:
    """CheckpointError for the first value that is not what this decoding knows."""
    for name, (got, expected) in known.items():
        if got != expected:
            raise CheckpointError(f"{path}: {name}: got {got!r:.80}, expected {expected!r}; take a Janus-Pro model")
