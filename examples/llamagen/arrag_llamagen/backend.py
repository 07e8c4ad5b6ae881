"""LlamaGen as AR-RAG Loupe takes a model: a grid, a codebook, a way to start, pictures of codes and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from arrag import Codebook, DecodeSettings, Grid, ModelSource
from arrag.backends.protocol import Predicted
from arrag.types import CheckpointError, CodeArray, ConfigError, IntArray
from torch import Tensor

from . import gpt, tokenizer
from .classes import class_of
from .gpt import GPT, Cache
from .tokenizer import Tokenizer
from .weights import fill, hash_of, read, settings_beside

TOKENIZER: Final = "vq_ds16_c2i.pt"
"""The tokenizer that all class-to-image models of 16 pixels a code share; it stands beside theirs."""

PICTURES_AT_ONCE: Final = 4
DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEFAULTS: Final = DecodeSettings(
    cfg_scale=4.0, temperature=1.0, top_k=2000, top_p=1.0, negative_share=0.0, caption_filter=0
)
"""As in the released sample_c2i.py; it embeds no captions."""


class LlamaGenDecoding:
    """One generation of B classes; rows are all conditional ones, then, if guided, all unconditional ones."""

    def __init__(self, model: GPT, classes: Sequence[int], guided: bool) -> None:
        nothing = [model.sizes.classes] * len(classes) if guided else []
        self._model, self._prompts, self._guided = model, len(classes), guided
        self._entries = self._embedded(model.cls_embedding.embedding_table.weight, [*classes, *nothing])
        self._start = 0
        self._cache: Cache | None = Cache(model.sizes, len(self._entries), self._entries)

    @torch.inference_mode()
    def logits(self) -> Predicted:
        """Logits [B, V] of the next code; asked for again, the pass is made again at the same place."""
        rows = self._model(self._entries, self._start, self._opened()).cpu().numpy()
        return Predicted(rows[: self._prompts], rows[self._prompts :] if self._guided else None)

    def append(self, codes: IntArray) -> None:
        """The [B] codes that were taken are the next entry of every row."""
        self._entries = self._codes(codes[:, None])
        self._start += 1

    @torch.inference_mode()
    def replay(self, codes: IntArray, neighbours: None) -> None:
        """Read the class and the [B, n] codes of the first n positions in one pass."""
        if self._start:
            raise ConfigError("decoding: got one that has begun, expected a new one to replay codes in")
        self._model(torch.cat([self._entries, self._codes(codes[:, :-1])], dim=1), 0, self._opened())
        self._start = codes.shape[1] - 1
        self.append(codes[:, -1])

    def close(self) -> None:
        """Drop the cache."""
        self._cache = None

    def _opened(self) -> Cache:
        if self._cache is None:
            raise ConfigError("decoding: got a closed one, expected an open one; start a new generation")
        return self._cache

    def _codes(self, codes: IntArray) -> Tensor:
        """Entries [R, n, D] of codes [B, n]."""
        rows = np.concatenate([codes, codes]) if self._guided else codes
        return self._embedded(self._model.tok_embeddings.weight, rows.reshape(-1).tolist()).view(*rows.shape, -1)

    def _embedded(self, table: Tensor, numbers: Sequence[int]) -> Tensor:
        """Rows [n, 1, D] of a table."""
        return table[torch.tensor(numbers, dtype=torch.int64, device=table.device)][:, None]


@dataclass(frozen=True)
class LlamaGen:
    """A class-to-image model and its tokenizer, loaded; make one with `load`."""

    gpt: GPT
    tokenizer: Tokenizer
    codebook: Codebook
    fingerprint: str
    description: str
    name: str = "llamagen"
    licence: str = "MIT, as its repository says"
    defaults: DecodeSettings = DEFAULTS

    @property
    def grid(self) -> Grid:
        """Shape of the token grid."""
        return Grid(self.gpt.sizes.side, self.gpt.sizes.side)

    @property
    def pixels(self) -> int:
        """Height and width of its pictures."""
        return self.gpt.sizes.side * self.tokenizer.sizes.downsample

    def start(self, prompts: Sequence[str], guided: bool) -> LlamaGenDecoding:
        """Begin a generation; ConfigError for a prompt that names no class."""
        return LlamaGenDecoding(self.gpt, [class_of(prompt, self.gpt.sizes.classes) for prompt in prompts], guided)

    @torch.inference_mode()
    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, height, width] of RGB images [N, pixels, pixels, 3]."""
        pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        grids = [self.tokenizer.encode(few.float() / 127.5 - 1) for few in self._few(pixels)]
        return torch.cat(grids).cpu().numpy().astype(np.uint16)

    @torch.inference_mode()
    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB images [N, pixels, pixels, 3] of token grids [N, height, width]; rounded, as released."""
        codes = torch.from_numpy(grids.astype(np.int64))
        pixels = torch.cat([self.tokenizer.decode(few).clamp(-1, 1).cpu() for few in self._few(codes)])
        return np.ascontiguousarray(((pixels + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())

    def _few(self, tensor: Tensor) -> Iterator[Tensor]:
        """A few rows at a time, where the tokenizer is."""
        for few in torch.split(tensor, PICTURES_AT_ONCE):
            yield few.to(self.tokenizer.quant_conv.weight.device)


def load(source: ModelSource) -> LlamaGen:
    """The model in the file `source.model`, with its tokenizer beside it.

    Raises ConfigError for FAiD, of which there are no weights for it, an unknown device or dtype, and no file;
    CheckpointError when a file is missing, damaged or of another model.
    """
    if source.faid:
        got = f"got {source.faid!r:.80}, expected nothing: there are no FAiD weights for LlamaGen"
        raise ConfigError(f"faid: {got}; take method model or daid")
    if not source.model:
        raise ConfigError(f"model: got nothing, expected a file such as c2i_B_384.pt, with {TOKENIZER} beside it")
    path, device = Path(source.model), _device(source.device)
    dtype = _dtype(source.dtype, device)
    named, beside = read(path), path.parent / TOKENIZER
    pictures = read(beside)
    said, of_tokenizer = settings_beside(path), tokenizer.Sizes.of(beside, pictures)
    pixels = said.get("pixels") or _pixels(path)
    if pixels % of_tokenizer.downsample:
        expected = f"expected a multiple of the {of_tokenizer.downsample} of a code"
        raise CheckpointError(f"{path}: got pictures of {pixels} pixels, {expected}; mend its name or its .json")
    sizes = gpt.Sizes.of(path, named, said.get("heads"), pixels // of_tokenizer.downsample)
    if sizes.codes != of_tokenizer.codes:
        raise CheckpointError(f"{path}: got {sizes.codes} codes, expected the {of_tokenizer.codes} of {TOKENIZER}")
    with torch.device("meta"):
        model, vq = GPT(sizes), Tokenizer(of_tokenizer)
    fill(path, named, model, device, dtype)
    fill(beside, pictures, vq, _device(source.pixels_device) if source.pixels_device else device, torch.float32)
    kind = str(dtype).removeprefix("torch.")
    return LlamaGen(
        gpt=model,
        tokenizer=vq,
        codebook=Codebook.from_vectors(pictures["quantize.embedding.weight"].float().numpy()),
        fingerprint=hash_of({**named, **pictures}, sizes),
        description=f"LlamaGen {path.stem}, class to image, on {device.type}, {kind}",
    )


def _pixels(path: Path) -> int:
    """Height and width of the pictures of a released file, which its name ends with: c2i_B_384.pt."""
    found = re.search(r"_(\d{2,4})$", path.stem)
    if found is None:
        remedy = f'say {{"pixels": 384}} in {path.with_suffix(".json").name} beside it'
        raise CheckpointError(f"{path}: got a name that does not end with the size of its pictures; {remedy}")
    return int(found[1])


def _device(wanted: str) -> torch.device:
    """The device of that name, or for "auto" CUDA where it is there; ConfigError for another or an absent one."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    wanted = ("cuda" if there["cuda"] else "cpu") if wanted == "auto" else wanted
    if not there.get(wanted):
        usable = ", ".join(name for name, available in there.items() if available)
        raise ConfigError(f"device: got {wanted!r:.40}, expected one that is here: auto, {usable}")
    return torch.device(wanted)


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The dtype of that name; for "auto" float32 on a CPU, else bfloat16, which the released script uses."""
    wanted = ("float32" if device.type == "cpu" else "bfloat16") if wanted == "auto" else wanted
    if wanted not in DTYPES:
        raise ConfigError(f"dtype: got {wanted!r:.40}, expected one of auto, {', '.join(DTYPES)}")
    return DTYPES[wanted]
