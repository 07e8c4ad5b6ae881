"""Janus at a tiny size with random weights, saved in the formats of the real ones: transformers' and DeepSeek's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    JanusConfig,
    JanusForConditionalGeneration,
    JanusVisionConfig,
    JanusVQVAEConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

from core.faid import Faid

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<begin_of_image>", "<end_of_image>", "<image_placeholder>")
WORDS = ("<|User|>:", "<|Assistant|>:", "a", "red", "heart", "big", "pizza", "blue", "dog", "one", "two", "three")
TEMPLATE = (
    "{% for message in messages %}<|User|>: {{ message['content'][0]['text'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|>:{% endif %}"
)


@dataclass(frozen=True)
class Size:
    """Sizes of a tiny model: 4 pixels a code; its code vectors have very different lengths."""

    side: int = 6
    codes: int = 24
    code_dim: int = 8
    width: int = 32
    hidden: int = 48
    layers: int = 3
    heads: int = 4
    key_heads: int = 2
    words: int = len(SPECIAL) + len(WORDS)

    def config(self) -> JanusConfig:
        """transformers' config."""
        text = LlamaConfig(
            vocab_size=self.words, hidden_size=self.width, intermediate_size=self.hidden,
            num_hidden_layers=self.layers, num_attention_heads=self.heads, num_key_value_heads=self.key_heads,
            max_position_embeddings=2048, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )  # fmt: skip
        vision = JanusVisionConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=4 * self.side, patch_size=4,
            projection_dim=self.width, num_image_tokens=self.side**2,
        )  # fmt: skip
        vq = JanusVQVAEConfig(
            embed_dim=self.code_dim, num_embeddings=self.codes, latent_channels=64, base_channels=64,
            channel_multiplier=[1, 1, 1], num_res_blocks=1, projection_dim=self.width, image_token_embed_dim=self.width,
        )  # fmt: skip
        return JanusConfig(text_config=text, vision_config=vision, vq_config=vq, image_token_id=6)


def tiny_janus(size: Size = Size(), seed: int = 0) -> JanusForConditionalGeneration:
    """transformers' own model; every matrix of what draws is random, and the VQ tokenizer does encode and decode."""
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(size.config()).eval()
    with torch.no_grad():
        for part in (model.model.language_model, model.model.generation_aligner, model.model.generation_head):
            for name, parameter in part.named_parameters():
                parameter.normal_(mean=1.0 if "norm" in name else 0.0, std=0.1 if parameter.dim() == 1 else 0.3)
        model.model.generation_embeddings.weight.normal_()
        fit_tokenizer(model.model.vqmodel)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0)
    model.generation_config.generation_kwargs = {"boi_token_id": SPECIAL.index("<begin_of_image>")}
    return model


def fit_tokenizer(vq: nn.Module) -> None:
    """Make encoder and decoder pass three numbers of a code vector through as red, green and blue.

    Residual and attention blocks are switched off. A number stands in two channels of one norm group, as x and -x: the
    group's mean is then 0, and silu(x) - silu(-x) = x. The code vectors' directions lie on a sphere of three
    dimensions, their lengths run from 0.1 to 10.
    """
    for name, module in vq.named_modules():
        if isinstance(module, nn.Conv2d):
            if name.endswith((".conv2", ".proj_out")):
                module.weight.zero_()
            module.bias.zero_()
    pairs, three = torch.zeros(64, 3), torch.eye(64, 3)
    for number in range(3):
        pairs[2 * number, number], pairs[2 * number + 1, number] = 1, -1
    halves = pairs.t() / 2
    for conv, matrix in (
        (vq.encoder.conv_in, pairs), (vq.encoder.conv_out, three @ halves * 2), 
        (vq.quant_conv, torch.eye(vq.quant_conv.out_channels, 64)),
        (vq.post_quant_conv, torch.eye(64, vq.quant_conv.out_channels)), (vq.decoder.conv_in, pairs @ three.t()),
        (vq.decoder.conv_out, halves),
    ):  # fmt: skip
        one_cell(conv, matrix)
    for block in [*vq.encoder.down, *vq.decoder.up]:
        for name in ("downsample", "upsample"):
            if hasattr(block, name):
                one_cell(getattr(block, name).conv, torch.eye(64), corner=name == "downsample")
    codes = len(vq.quantize.embedding.weight)
    turns, heights = torch.arange(codes) * 2.399963, torch.linspace(-0.97, 0.97, codes)
    around = (1 - heights**2).sqrt()
    vectors = torch.zeros(codes, vq.quantize.embedding.weight.shape[1])
    vectors[:, :3] = torch.stack([around * turns.cos(), around * turns.sin(), heights], dim=1)
    lengths = torch.logspace(-1, 1, codes)[torch.randperm(codes)]
    vq.quantize.embedding.weight.copy_(vectors * lengths[:, None])


def one_cell(conv: nn.Conv2d, matrix: Tensor, corner: bool = False) -> None:
    """Let a convolution look at one cell only: the middle one of its kernel, or the first one."""
    conv.weight.zero_()
    cell = 0 if corner else conv.kernel_size[0] // 2
    conv.weight[:, :, cell, cell] = matrix


def save_tokenizer(folder: Path, template: str | None = TEMPLATE) -> None:
    """A tokenizer of whole words in transformers' format, with a chat template."""
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[4:]),
    )  # fmt: skip
    fast.chat_template = template
    fast.save_pretrained(folder)


def save_model(folder: Path, model: JanusForConditionalGeneration, shard: str = "5GB") -> Path:
    """A model folder as on the hub: config, safetensors, tokenizer."""
    model.save_pretrained(folder, max_shard_size=shard)
    save_tokenizer(folder)
    return folder


# -- DeepSeek's format, which the released FAiD checkpoints keep ------------------------------------------------------

_RELEASED = (
    (r"^model\.language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.generation_embeddings\.", "gen_embed."),
    (r"^model\.generation_aligner\.fc1\.", "gen_aligner.layers.0."),
    (r"^model\.generation_aligner\.hidden_layers\.0\.", "gen_aligner.layers.2."),
    (r"^model\.generation_head\.proj_out\.", "gen_head.output_mlp_projector."),
    (r"^model\.generation_head\.vision_head\.", "gen_head.vision_head."),
    (r"^model\.vqmodel\.", "gen_vision_model."),
    (r"^(gen_vision_model\.encoder\.)down\.", r"\1conv_blocks."),
    (r"^(gen_vision_model\.decoder\.)up\.", r"\1conv_blocks."),
    (r"^(gen_vision_model\..*\.)block\.", r"\1res."),
    (r"\.mid\.block_1\.", ".mid.0."),
    (r"\.mid\.attn_1\.", ".mid.1."),
    (r"\.mid\.block_2\.", ".mid.2."),
    (r"^model\.vision_model\.", "vision_model.vision_tower."),
    (r"^model\.aligner\.fc1\.", "aligner.layers.0."),
    (r"^model\.aligner\.hidden_layers\.0\.", "aligner.layers.2."),
)


def deepseek_name(name: str) -> str:
    """The name that DeepSeek's checkpoints give a tensor of transformers' model."""
    for pattern, replacement in _RELEASED:
        name = re.sub(pattern, replacement, name)
    return name


def released_tensors(model: JanusForConditionalGeneration, faid: Faid | None = None) -> dict[str, Tensor]:
    """All tensors of a model under DeepSeek's names, with the blenders where the released code keeps them."""
    tensors = {deepseek_name(name): value.clone() for name, value in model.state_dict().items()}
    tensors["gen_vision_model.quantize.codebook_used"] = torch.zeros(16)
    for name, value in faid.state_dict().items() if faid else ():
        tensors[f"language_model.model.{name}"] = value.clone()
    return tensors


def released_config(every: int, hops: tuple[int, ...]) -> dict[str, Any]:
    """What the released code adds to DeepSeek's config."""
    return {
        "model_type": "multi_modality",
        "language_config": {"model_type": "llama", "num_SmoothPatchBlender": every, "num_hop": list(hops)},
    }


VQ_TINY = {
    "VQ-tiny": {"base_channels": 64, "channel_multiplier": [1, 1, 1], "num_res_blocks": 1, "latent_channels": 64}
}
"""The tokenizer of these models, of which DeepSeek's config gives the name alone: for config.VQ_MODELS."""


def deepseek_config(size: Size = Size()) -> dict[str, Any]:
    """DeepSeek's config.json of a tiny model."""
    return {
        "model_type": "multi_modality",
        "language_config": {
            "model_type": "llama", "vocab_size": size.words, "hidden_size": size.width, "torch_dtype": "bfloat16",
            "intermediate_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
            "num_key_value_heads": size.key_heads, "max_position_embeddings": 2048,
        },
        "vision_config": {"cls": "CLIPVisionTower", "params": {"image_size": 4 * size.side}},
        "gen_vision_config": {
            "cls": "VQ-tiny", "params": {"image_token_size": size.codes, "n_embed": size.code_dim},
        },
        "gen_aligner_config": {
            "cls": "MlpProjector",
            "params": {"projector_type": "mlp_gelu", "depth": 2, "input_dim": size.code_dim, "n_embed": size.width},
        },
        "gen_head_config": {
            "cls": "vision_head",
            "params": {"n_embed": size.width, "image_token_embed": size.width, "image_token_size": size.codes},
        },
    }  # fmt: skip


def save_deepseek(
    folder: Path, tensors: Mapping[str, Tensor], size: Size = Size(), files: int = 1, suffix: str = ".bin"
) -> Path:
    """A model folder as DeepSeek's: config, tensors under its names, a tokenizer without a template."""
    save_released(folder, tensors, deepseek_config(size), files, suffix)
    save_tokenizer(folder, None)
    (folder / "processor_config.json").write_text('{"sft_format": "deepseek"}', encoding="utf-8")
    return folder


def save_released(
    folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None, files: int = 1, suffix: str = ".bin"
) -> Path:
    """A checkpoint of one or several files, safetensors or .bin, as the released training writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    shards = [dict(list(tensors.items())[number::files]) for number in range(files)]
    names = [f"{stem}-{n + 1:05}-of-{files:05}{suffix}" if files > 1 else f"{stem}{suffix}" for n in range(files)]
    for name, shard in zip(names, shards, strict=True):
        if suffix == ".safetensors":
            save_file(shard, folder / name)
        else:
            torch.save(shard, folder / name)
    if files > 1:
        weight_map = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        (folder / f"{stem}{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def random_faid(size: Size = Size(), every: int = 2, hops: tuple[int, ...] = (1, 2)) -> Faid:
    """Blenders with random weights."""
    torch.manual_seed(3)
    faid = Faid(size.width, range(0, size.layers, every), hops)
    with torch.no_grad():
        for name, parameter in faid.named_parameters():
            parameter.normal_(std=0.08 if "blender.conv" in name else 0.3)
    return faid.requires_grad_(False)


def random_grids(count: int, size: Size = Size(), seed: int = 5) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Token grids [count, side, side]."""
    return np.random.default_rng(seed).integers(0, size.codes, (count, size.side, size.side)).astype(np.uint16)
