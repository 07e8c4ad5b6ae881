"""The example of LlamaGen against its published definition, written down once more, and against Janus' tokenizer."""

from __future__ import annotations

import math
from pathlib import Path

import arrag_llamagen
import numpy as np
import numpy.typing as npt
import pytest
import torch
from arrag_llamagen import gpt, tokenizer
from arrag_llamagen.weights import fill
from torch import Tensor

from core.backends import ModelSource
from tests.closeness import assert_close
from tests.tiny_llamagen import Size, gpt_tensors, save

Array = npt.NDArray[np.float64]
CPU = torch.device("cpu")


def normed(x: Array, weight: Tensor) -> Array:
    """RMSNorm with the epsilon of Llama."""
    scaled: Array = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * weight.double().numpy()
    return scaled


def turned(vector: Array, entry: int, side: int) -> Array:
    """A query or key of one head: pairs of numbers as complex ones, turned by row and by column; 0 for the class."""
    if entry == 0:
        return np.zeros_like(vector)
    row, column = divmod(entry - 1, side)
    quarter = len(vector) // 4
    speeds = [10000 ** (-pair / quarter) for pair in range(quarter)]
    angles = np.array([row * speed for speed in speeds] + [column * speed for speed in speeds])
    pairs = (vector[0::2] + 1j * vector[1::2]) * np.exp(1j * angles)
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(-1)


def published(tensors: dict[str, Tensor], size: Size, label: int, codes: list[int]) -> Array:
    """Logits [1 + codes, V] in one pass over the class and the codes, in float64, entry by entry and head by head."""
    at = {name: value.double().numpy() for name, value in tensors.items()}
    x = np.stack([at["cls_embedding.embedding_table.weight"][label], *at["tok_embeddings.weight"][codes]])
    head = size.width // size.heads
    for number in range(size.layers):
        layer = f"layers.{number}."
        mixed = normed(x, tensors[f"{layer}attention_norm.weight"]) @ at[f"{layer}attention.wqkv.weight"].T
        queries, keys, values = (part.reshape(len(x), size.heads, head) for part in np.split(mixed, 3, axis=1))
        seen = np.zeros((len(x), size.heads, head))
        for one in range(size.heads):
            turns = [[turned(part[n, one], n, size.side) for n in range(len(x))] for part in (queries, keys)]
            for n in range(len(x)):
                scores = np.array([turns[0][n] @ turns[1][other] for other in range(n + 1)]) / math.sqrt(head)
                weights = np.exp(scores - scores.max())
                seen[n, one] = weights / weights.sum() @ values[: n + 1, one]
        x = x + seen.reshape(len(x), -1) @ at[f"{layer}attention.wo.weight"].T
        inner = normed(x, tensors[f"{layer}ffn_norm.weight"])
        gate = inner @ at[f"{layer}feed_forward.w1.weight"].T
        hidden = gate / (1 + np.exp(-gate)) * (inner @ at[f"{layer}feed_forward.w3.weight"].T)
        x = x + hidden @ at[f"{layer}feed_forward.w2.weight"].T
    logits: Array = normed(x, tensors["norm.weight"]) @ at["output.weight"].T
    return logits


@pytest.mark.processor
def test_every_step_equals_the_published_pass(tmp_path: Path) -> None:
    size, codes = Size(), np.random.default_rng(2).integers(0, 24, 36).tolist()
    tensors = gpt_tensors(size)
    backend = arrag_llamagen.load(ModelSource(str(save(tmp_path, size, tensors)), device="cpu"))
    conditional = published(tensors, size, 7, codes[:-1])
    unconditional = published(tensors, size, size.classes, codes[:-1])
    decoding = backend.start(["7"], guided=True)
    for position, code in enumerate(codes):
        predicted = decoding.logits()
        assert_close(predicted.conditional[0], conditional[position])
        assert predicted.unconditional is not None
        assert_close(predicted.unconditional[0], unconditional[position])
        decoding.append(np.array([code]))


def test_reading_at_once_equals_the_published_pass(tmp_path: Path) -> None:
    size, codes = Size(), [[3, 8, 4, 9, 5, 1, 0, 2], [6, 6, 1, 7, 20, 23, 11, 13]]
    tensors = gpt_tensors(size)
    backend = arrag_llamagen.load(ModelSource(str(save(tmp_path, size, tensors)), device="cpu"))
    decoding = backend.start(["0", "11"], guided=False)
    decoding.replay(np.array(codes), None)
    predicted = decoding.logits()
    assert predicted.unconditional is None
    for row, label in enumerate((0, 11)):
        assert_close(predicted.conditional[row], published(tensors, size, label, codes[row])[-1])


def test_angles_are_those_of_row_and_column() -> None:
    """Side 2 and heads of width 8: two speeds, 1 and 10000 ** -1/2, for the row and again for the column."""
    got = gpt.turns(2, 8)
    assert got.shape == (5, 4, 2)
    assert_close(got[0], np.zeros((4, 2)))
    for entry, angles in ((1, [0, 0, 0, 0]), (2, [0, 0, 1, 0.01]), (3, [1, 0.01, 0, 0]), (4, [1, 0.01, 1, 0.01])):
        assert_close(got[entry], [[math.cos(angle), math.sin(angle)] for angle in angles])


@pytest.mark.parametrize(
    ("layers", "width", "heads", "parameters"),
    [
        (12, 768, 12, "111M"),
        (24, 1024, 16, "343M"),
        (36, 1280, 20, "775M"),
        (48, 1536, 24, "1.4B"),
        (24, 3200, 32, "3.1B"),
    ],
)
def test_released_sizes_have_the_published_numbers_of_parameters(
    layers: int, width: int, heads: int, parameters: str
) -> None:
    """Those of the README of LlamaGen, for B, L, XL, XXL and 3B."""
    assert gpt.HEADS[layers, width] == heads
    hidden = -(-(8 * width // 3) // 256) * 256
    with torch.device("meta"):
        model = gpt.GPT(gpt.Sizes(layers, width, heads, hidden, 16384, 1000, 24))
    count = sum(value.numel() for value in model.parameters())
    assert (f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M") == parameters


def test_the_released_tokenizer_has_72_million_parameters() -> None:
    with torch.device("meta"):
        vq = tokenizer.Tokenizer(tokenizer.Sizes(128, (128, 128, 256, 256, 512), 2, 256, 16384, 8))
    assert round(sum(value.numel() for value in vq.parameters()) / 1e6) == 72
    assert vq.sizes.downsample == 16


def test_the_tokenizer_is_that_of_janus() -> None:
    """transformers' Janus tokenizer, renamed as in DeepSeek's files, has the names, shapes and numbers of this one."""
    tiny_janus = pytest.importorskip("tests.tiny_janus")
    from transformers import JanusVQVAEConfig  # noqa: PLC0415
    from transformers.models.janus.modeling_janus import JanusVQVAE  # noqa: PLC0415

    torch.manual_seed(4)
    config = JanusVQVAEConfig(
        embed_dim=8, num_embeddings=50, latent_channels=16, base_channels=32, channel_multiplier=[1, 2, 3],
        num_res_blocks=2, num_patches=4,
    )  # fmt: skip
    theirs = JanusVQVAE(config).eval().requires_grad_(False)
    for value in theirs.parameters():
        value.add_(torch.randn(value.shape) * 0.05)
    named = {
        tiny_janus.deepseek_name(f"model.vqmodel.{name}").removeprefix("gen_vision_model."): value
        for name, value in theirs.state_dict().items()
    }
    sizes = tokenizer.Sizes.of(Path("janus.pt"), named)
    assert sizes == tokenizer.Sizes(32, (32, 64, 96), 2, 16, 50, 8)
    with torch.device("meta"):
        ours = tokenizer.Tokenizer(sizes)
    fill(Path("janus.pt"), named, ours, CPU, torch.float32)
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    latents = theirs.quant_conv(theirs.encoder(pixels)).permute(0, 2, 3, 1)
    vectors = theirs.quantize.embedding.weight
    unit = vectors / vectors.norm(dim=-1, keepdim=True)
    codes = torch.cdist(latents / latents.norm(dim=-1, keepdim=True), unit[None]).argmin(dim=-1)
    with torch.inference_mode():
        assert torch.equal(ours.encode(pixels), codes)
        assert len(codes.unique()) > 3
        expected = theirs.decoder(theirs.post_quant_conv(unit[codes].permute(0, 3, 1, 2)))
        assert_close(ours.decode(codes), expected)
