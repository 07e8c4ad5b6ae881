"""LlamaGen at a tiny size with random weights, in files like the released ones."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from arrag_llamagen.tokenizer import Sizes, Tokenizer
from torch import Tensor, nn

NAME = "c2i_tiny_24.pt"
PIXELS = 24
CHANNELS = 64


@dataclass(frozen=True)
class Size:
    """Sizes of a tiny model: 4 pixels a code."""

    side: int = 6
    codes: int = 24
    classes: int = 12
    layers: int = 3
    width: int = 48
    heads: int = 4
    hidden: int = 40


def gpt_tensors(size: Size = Size(), seed: int = 0) -> dict[str, Tensor]:
    """Every tensor of the published Transformer, class to image, by its name there."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_embedding.embedding_table.weight": (size.classes + 1, size.width),
        "tok_embeddings.weight": (size.codes, size.width),
        "norm.weight": (size.width,),
        "output.weight": (size.codes, size.width),
    }
    for number in range(size.layers):
        shapes |= {
            f"layers.{number}.attention.wqkv.weight": (3 * size.width, size.width),
            f"layers.{number}.attention.wo.weight": (size.width, size.width),
            f"layers.{number}.feed_forward.w1.weight": (size.hidden, size.width),
            f"layers.{number}.feed_forward.w3.weight": (size.hidden, size.width),
            f"layers.{number}.feed_forward.w2.weight": (size.width, size.hidden),
            f"layers.{number}.attention_norm.weight": (size.width,),
            f"layers.{number}.ffn_norm.weight": (size.width,),
        }
    generator = torch.Generator().manual_seed(seed)
    random = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return {name: 1 + value / 10 if value.dim() == 1 else value * 0.3 for name, value in random.items()}


def tokenizer_tensors(codes: int = 24) -> dict[str, Tensor]:
    """A tokenizer that does encode and decode, and the counter that the published one has beside its code vectors.

    Residual and attention blocks are switched off, and three numbers of a code vector pass as red, green and blue. A
    number stands in two channels of one norm group, as x and -x: the mean is then 0, and silu(x) - silu(-x) = x.
    """
    vq = Tokenizer(Sizes(CHANNELS, (CHANNELS,) * 3, 2, CHANNELS, codes, 8)).requires_grad_(False)
    for name, module in vq.named_modules():
        if isinstance(module, nn.Conv2d):
            if name.endswith((".conv2", ".proj_out")):
                module.weight.zero_()
            if name.endswith(("sample.conv",)):
                _one_cell(module, torch.eye(CHANNELS), corner="down" in name)
            assert module.bias is not None
            module.bias.zero_()
    pairs, three = torch.zeros(CHANNELS, 3), torch.eye(CHANNELS, 3)
    for number in range(3):
        pairs[2 * number, number], pairs[2 * number + 1, number] = 1, -1
    for conv, matrix in (
        (vq.encoder.conv_in, pairs), (vq.encoder.conv_out, three @ pairs.t()),
        (vq.quant_conv, torch.eye(8, CHANNELS)), (vq.post_quant_conv, torch.eye(CHANNELS, 8)),
        (vq.decoder.conv_in, pairs @ three.t()), (vq.decoder.conv_out, pairs.t() / 2),
    ):  # fmt: skip
        _one_cell(conv, matrix)
    vq.get_parameter("quantize.embedding.weight").copy_(_on_a_sphere(codes))
    return {**vq.state_dict(), "quantize.codebook_used": torch.zeros(65536)}


def _one_cell(conv: nn.Conv2d, matrix: Tensor, corner: bool = False) -> None:
    """Let a convolution look at one cell only: the middle one of its kernel, or the first one."""
    conv.weight.zero_()
    cell = 0 if corner else conv.kernel_size[0] // 2
    conv.weight[:, :, cell, cell] = matrix


def _on_a_sphere(codes: int) -> Tensor:
    """Vectors [codes, 8] of different lengths, whose directions lie evenly on a sphere of three dimensions."""
    turns, heights = torch.arange(codes) * 2.399963, torch.linspace(-0.97, 0.97, codes)
    around = (1 - heights**2).sqrt()
    vectors = torch.zeros(codes, 8)
    vectors[:, :3] = torch.stack([around * turns.cos(), around * turns.sin(), heights], dim=1)
    return (
        vectors
        * torch.logspace(-1, 1, codes)[torch.randperm(codes, generator=torch.Generator().manual_seed(1))][:, None]
    )


def save(folder: Path, size: Size = Size(), tensors: Mapping[str, Tensor] | None = None, name: str = NAME) -> Path:
    """Both files in a folder as training writes them, and the heads, which no published size tells; the path."""
    folder.mkdir(parents=True, exist_ok=True)
    training: dict[str, Any] = {
        "steps": 3,
        "args": Namespace(gpt_model="GPT-tiny", lr=1e-4),
        "optimizer": {"state": {}},
    }
    torch.save({"model": dict(tensors or gpt_tensors(size)), **training}, folder / name)
    torch.save({"model": tokenizer_tensors(size.codes)}, folder / "vq_ds16_c2i.pt")
    (folder / name).with_suffix(".json").write_text(json.dumps({"heads": size.heads}), encoding="utf-8")
    return folder / name
