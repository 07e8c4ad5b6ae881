"""A model folder of Janus-Pro-1B's true shape with random weights: `python -m tests.real_janus FOLDER --layers 24`.

2.08 G numbers, 4.2 GB in bfloat16, as the released files have (the tower that sees among them); with two layers 1.9
GB. For speed, memory and files at their real size: what it draws is noise. Any prompt has tokens: its letters.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from transformers import JanusConfig, JanusForConditionalGeneration, PreTrainedTokenizerFast

from core.evaluation.sizes import PRO, WORDS
from tests.tiny_janus import SPECIAL, TEMPLATE

SHARD: int = 2**30
"""Numbers in one file, about."""


def config(
    layers: int = 24, text: Mapping[str, int] = PRO["Janus-Pro-1B"], base: int = 128, seeing: int = 24
) -> JanusConfig:
    """Janus-Pro-1B's, with another number of layers; text, base: other widths of the language model and the tokenizer.

    seeing: layers of the tower that sees. The codebook (16,384 codes of 8 numbers), the grid (24 x 24) and the pictures
    (384 x 384) stay as released.
    """
    width = text["hidden_size"]
    values = {
        "text_config": {
            "model_type": "llama", "vocab_size": WORDS, "max_position_embeddings": 16384, "pad_token_id": 0,
            "bos_token_id": 1, "eos_token_id": 2, **text, "num_hidden_layers": layers,
        },
        "vision_config": {"projection_dim": width, "num_hidden_layers": seeing},
        "vq_config": {"projection_dim": width, "image_token_embed_dim": width, "base_channels": base},
        "image_token_id": SPECIAL.index("<image_placeholder>"),
    }  # fmt: skip
    return JanusConfig(**values)


def random_weights(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """bfloat16 tensors by name, of about the spread that trained ones have: activations keep their size."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            value = torch.ones(shape) if "norm" in name and name.endswith("weight") else torch.zeros(shape)
        else:
            inputs = shape[1] if "embed" not in name else 1
            inputs *= shape[2] * shape[3] if len(shape) == 4 else 1
            value = torch.empty(shape).normal_(std=inputs**-0.5, generator=generator)
        made[name] = value.to(torch.bfloat16)
    return made


def save(folder: Path, made: JanusConfig) -> Path:
    """Config, weights in files of about two gigabytes, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    made.save_pretrained(folder)
    with torch.device("meta"):
        model = JanusForConditionalGeneration(made)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    parts: list[dict[str, tuple[int, ...]]] = [{}]
    numbers = 0
    for name, shape in shapes.items():
        if numbers > SHARD:
            parts.append({})
            numbers = 0
        parts[-1][name] = shape
        numbers += torch.Size(shape).numel()
    files = [f"model-{number + 1:05}-of-{len(parts):05}.safetensors" for number in range(len(parts))]
    for number, (file, part) in enumerate(zip(files, parts, strict=True)):
        save_file(random_weights(part, seed=number), folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, part in zip(files, parts, strict=True) for name in part}
    metadata = {"total_size": 2 * sum(torch.Size(shape).numel() for shape in shapes.values())}
    index = json.dumps({"metadata": metadata, "weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    save_tokenizer(folder)
    return folder


def save_tokenizer(folder: Path) -> None:
    """A tokenizer of single bytes, whose ids stand below those of the real one's 102,400 words."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[4:]),
    )  # fmt: skip
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


def main() -> int:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, choices=(2, 24), default=24)
    chosen = parser.parse_args()
    save(chosen.folder, config(chosen.layers))
    print(chosen.folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
