"""What Janus-Pro needs in memory and time, computed from its configs: `python -m core evaluate sizes`.

Nothing is downloaded or measured here. Times are lower bounds: how long it takes to read what one code needs to read.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from ..backends.janus.sizes import Model
from ..faid import causal_offsets

PRO: Final[Mapping[str, Mapping[str, int]]] = {
    "Janus-Pro-1B": {
        "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24, "num_attention_heads": 16,
        "num_key_value_heads": 16,
    },
    "Janus-Pro-7B": {
        "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 30, "num_attention_heads": 32,
        "num_key_value_heads": 32,
    },
}  # fmt: skip
WORDS: Final = 102_400
PROMPT: Final = 32
"""Entries of a prompt that the KV cache is computed for."""

BANDWIDTHS: Final = {"50 GB/s": 50e9, "1 TB/s": 1e12}
"""Memory bandwidths that times are computed for: a desktop's, and a large GPU's."""

ENTRY_BYTES: Final = 12
CONTEXT_BYTES: Final = 40
"""What an entry and a unique context of 4 codes keep in memory, see PatchDatabase."""

RELEASED_ENTRY_BYTES: Final = 16
"""Of the released index: 8 bytes of product quantizer and 8 of number; its next codes are another array."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Numbers of parameters and bytes of one model; guided decoding of one prompt, `bytes_each` a number.

    parameters: what is loaded; passed_over: what only understanding needs; cache: KV cache; blender: one, collapsed;
    read: what one code reads, without and with a blender in every eighth layer.
    """

    parameters: int
    passed_over: int
    weights: int
    cache: int
    blender: int
    read: int
    read_blended: int


def model_of(values: Mapping[str, int]) -> Model:
    """The released model whose language model has these sizes."""
    width = values["hidden_size"]
    config = {
        "model_type": "janus",
        "text_config": {"model_type": "llama", "vocab_size": WORDS, "max_position_embeddings": 16384, **values},
        "vision_config": {"projection_dim": width},
        "vq_config": {"projection_dim": width, "image_token_embed_dim": width},
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return Model.open(Path(folder))


def parameters(model: Model) -> int:
    """Numbers in all tensors that drawing needs."""
    return sum(math.prod(shape) for shape in model.shapes.values())


def passed_over(config: Any) -> int:
    """Numbers in the tower that sees, its aligner, and the head that writes, none of which is loaded."""
    seen = config.vision_config
    width, inner, out = seen.hidden_size, int(seen.hidden_size * seen.mlp_ratio), seen.projection_dim
    attention = 4 * (width * width + width)
    layer = attention + 2 * width * inner + inner + width + 4 * width
    patches = (seen.image_size // seen.patch_size) ** 2
    embedding = seen.num_channels * seen.patch_size**2 * width + width + patches * width
    aligner = width * out + out + (seen.depth - 1) * (out * out + out)
    head = config.text_config.vocab_size * config.text_config.hidden_size
    return int(seen.num_hidden_layers * layer + embedding + 2 * width + aligner + head)


def cache_bytes(model: Model, bytes_each: int, prompt: int = PROMPT) -> int:
    """KV cache of one prompt with guidance."""
    llama, entries = model.sizes.llama, prompt + model.sizes.grid.positions - 1
    return 2 * entries * llama.layers * 2 * llama.key_heads * llama.head_width * bytes_each


def blender_bytes(width: int, bytes_each: int, largest_hop: int = 2) -> int:
    """One collapsed blender: a matrix for each tap, the centre and the score's hidden layer, and vectors."""
    matrices = len(causal_offsets(largest_hop)) + 2
    return (matrices * width * width + 4 * width + 1) * bytes_each


def needs(model: Model, bytes_each: int) -> Needs:
    """Everything about one model."""
    llama = model.sizes.llama
    read_once = ("model.language_model.layers.", "model.generation_head.")
    read = sum(math.prod(shape) for name, shape in model.shapes.items() if name.startswith(read_once)) * bytes_each
    cache = cache_bytes(model, bytes_each)
    blender = blender_bytes(llama.width, bytes_each)
    return Needs(
        parameters=parameters(model),
        passed_over=passed_over(model.config),
        weights=parameters(model) * bytes_each,
        cache=cache,
        blender=blender,
        read=read + cache // 2,
        read_blended=read + cache // 2 + blender * len(range(0, llama.layers, 8)),
    )


def database_bytes(images: int, entries_an_image: int = 506, unique: float = 1.0) -> dict[str, int]:
    """Memory of a patch database, its files, and the released index; unique: share of contexts that differ."""
    entries = images * entries_an_image
    return {
        "token grids": images * 576 * 2,
        "exact search": round(entries * (ENTRY_BYTES + unique * CONTEXT_BYTES)),
        "released index": entries * RELEASED_ENTRY_BYTES,
    }


def table(bytes_each: int) -> str:
    """Markdown table of both models."""
    models = {name: model_of(values) for name, values in PRO.items()}
    all_needs = {name: needs(model, bytes_each) for name, model in models.items()}
    rows = [("", *models), ("---", *("---" for _ in models))]
    kinds = {field.name: [getattr(found, field.name) for found in all_needs.values()] for field in fields(Needs)}
    rows.append(("parameters that are loaded", *(f"{n / 1e9:.2f} G" for n in kinds["parameters"])))
    rows.append(("parameters that are passed over", *(f"{n / 1e9:.2f} G" for n in kinds["passed_over"])))
    rows.append(("weights", *(gigabytes(n) for n in kinds["weights"])))
    rows.append(("KV cache, one picture with guidance", *(gigabytes(n) for n in kinds["cache"])))
    rows.append(("one blender, hops 1 and 2", *(gigabytes(n) for n in kinds["blender"])))
    rows.append(("read for each code", *(gigabytes(n) for n in kinds["read"])))
    for name, speed in BANDWIDTHS.items():
        rows.append((f"one picture at {name}, at least", *(f"{576 * n / speed:.1f} s" for n in kinds["read"])))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def gigabytes(count: float) -> str:
    """Bytes in GB (10^9)."""
    return f"{count / 1e9:.2f} GB"


def run(chosen: argparse.Namespace) -> int:
    """Print the tables, or one JSON object instead."""
    if chosen.json:
        made = {name: asdict(needs(model_of(values), chosen.bytes)) for name, values in PRO.items()}
        print(json.dumps({**made, "database of a million images": database_bytes(1_000_000)}))
        return 0
    print(table(chosen.bytes))
    print("\nA database of a million images of 506 entries: " + ", ".join(
        f"{name} {gigabytes(size)}" for name, size in database_bytes(1_000_000).items()))  # fmt: skip
    return 0
