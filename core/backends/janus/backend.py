"""Janus-Pro (1B, 7B) through transformers' Janus classes, with a decoding loop of its own and released FAiD weights.

Only what draws is loaded: neither the tower that sees images for understanding nor the head that writes text. Decoding
follows transformers' `generate(generation_mode="image")` to the code; encoding follows the released tokenizer, whose
code vectors and latents are compared after normalisation (transformers' `vqmodel.encode` leaves that out).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ...codebook import Codebook
from ...faid import CollapsedLayer
from ...inputs.prompt import PromptLimit
from ...types import CodeArray, ConfigError, DecodeSettings, FloatArray, Grid, IntArray, Neighbours
from ..blending import Blending
from ..checkpoint import joint_fingerprint
from ..emoji import backend as emoji
from ..emoji.text import TextEncoder
from ..facts import JANUS_FACTS
from ..pixels import to_pixels, truncated_pictures
from ..protocol import Inspection, ModelSource, never
from .captured import Launch, choose_launch
from .decoding import JanusDecoding
from .device import check_dtype, choose_device, choose_dtype
from .hub import fetch, fetch_weights
from .inspection import inspect
from .loading import Loading, Parts, blended_layers, hash_of, joined, read_blenders
from .memory import check, enough_memory
from .prompter import Prompter
from .sizes import DEFAULT_MODEL, Model
from .weights import Weights

PICTURES_AT_ONCE: Final = 4
LICENCE: Final = "DeepSeek Model License"


@dataclass(frozen=True)
class JanusBackend:
    """Janus-Pro, loaded; make one with `load`.

    blenders, hops, faid: the released FAiD weights in their collapsed form, their hops and their hash; (), () and None
    without them. With them, the language model and the head are those of the FAiD checkpoint, for every method.
    launch: how passes of fixed shapes are run; None for passes whose shapes grow.
    """

    parts: Parts
    prompter: Prompter
    encoder: TextEncoder
    codebook: Codebook
    grid: Grid
    pixels: int
    blenders: tuple[CollapsedLayer, ...]
    hops: tuple[int, ...]
    fingerprint: str
    faid: str | None
    description: str
    name: str = "janus"
    launch: Launch | None = None
    licence: str = LICENCE
    defaults: DecodeSettings = JANUS_FACTS.defaults
    prompt_limit: PromptLimit = JANUS_FACTS.prompt

    @classmethod
    def load(cls, source: ModelSource) -> JanusBackend:
        """Read config, tokenizer and weights; ArragError says what is missing, unexpected or too large."""
        check_dtype(source.dtype)
        device = choose_device(source.device)
        launch = choose_launch(source.launch, device)
        tuned = read_tuned(source.faid) if source.faid else None
        name = source.model or DEFAULT_MODEL
        model = Model.open(fetch(name))
        dtype = choose_dtype(source.dtype, device, model)
        check(model, dtype, device, len(blended_layers(tuned)) if tuned else 0)
        if tuned is None or not tuned.complete:
            fetch_weights(name, model.folder)
        weights = joined(model, tuned)
        with enough_memory(device):
            return replace(cls._assemble(model, weights, source, device, dtype), launch=launch)

    @classmethod
    def _assemble(
        cls, model: Model, weights: Weights, source: ModelSource, device: torch.device, dtype: torch.dtype
    ) -> JanusBackend:
        """The backend from weights that are complete."""
        prompter = Prompter(model.folder)
        loading = Loading(weights, len(model.shapes), device, dtype)
        try:
            pixels = choose_device(source.pixels_device) if source.pixels_device else device
            parts = Parts(model.config, model.sizes, loading, pixels)
        finally:
            loading.close()
        faid = read_blenders(weights, model.sizes, device) if source.faid else None
        with torch.no_grad():
            blenders = faid.collapse() if faid else ()
        encoder = TextEncoder.load(emoji.FOLDER)
        name, kind = Path(source.model or DEFAULT_MODEL).name, str(dtype).removeprefix("torch.")
        return cls(
            parts=parts,
            prompter=prompter,
            encoder=encoder,
            codebook=Codebook.from_vectors(parts.vq.quantize.embedding.weight.cpu().numpy()),
            grid=model.sizes.grid,
            pixels=model.sizes.pixels,
            blenders=tuple(layer.to(dtype) for layer in blenders),
            hops=faid.hops if faid else (),
            fingerprint=joint_fingerprint(
                loading.fingerprint(), model.sizes, prompter.fingerprint, encoder.fingerprint
            ),
            faid=hash_of(faid) if faid else None,
            description=f"{name} on {device.type}, {kind}" + (f", FAiD: {Path(source.faid).name}" if faid else ""),
        )

    @property
    def caption_encoder(self) -> str:
        """Hash of the embedded model's text table and its tokenizer."""
        return self.encoder.fingerprint

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int = 0, negatives: bool = False
    ) -> JanusDecoding:
        """Begin a generation; ConfigError for a bad prompt, and for FAiD without its weights."""
        if not prompts:
            raise ConfigError("prompts: got none, expected at least one")
        if faid_neighbours and not self.blenders:
            raise ConfigError("backend janus: got no FAiD weights, expected some; load it with faid, or take daid")
        tokens, padding = self.prompter.rows(prompts, guided)
        with torch.inference_mode(), enough_memory(self.parts.words.device):
            blending = self.blending(len(prompts), faid_neighbours) if faid_neighbours else None
            return JanusDecoding(self.parts, self.grid, tokens, padding, guided, blending, self.launch)

    def blending(self, prompts: int, neighbours: int) -> Blending:
        """The blenders of a new generation."""
        return Blending(self.blenders, self.hops, self.parts.features, None, self.grid, prompts, neighbours)

    def inspect(
        self,
        prompt: str,
        codes: IntArray,
        neighbours: Sequence[Neighbours | None] | None = None,
        faid_neighbours: int = 0,
        stopped: Callable[[], bool] = never,
    ) -> Inspection:
        """Attention and lens of the codes [n] of a run; see `Inspecting.inspect`."""
        return inspect(self, prompt, codes, neighbours, faid_neighbours, stopped)

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, E] of texts, from the text table of the embedded model."""
        return self.encoder.pooled(list(texts))

    @torch.inference_mode()
    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, height, width] of RGB images [N, pixels, pixels, 3], a few at a time.

        The code of a latent is the one whose vector points most in its direction, as in the released tokenizer.
        """
        vectors = self._vectors()
        grids = []
        for start in range(0, len(images), PICTURES_AT_ONCE):
            pixels = to_pixels(images[start : start + PICTURES_AT_ONCE]).to(vectors.device)
            with enough_memory(vectors.device):
                latents = self.parts.vq.quant_conv(self.parts.vq.encoder(pixels)).permute(0, 2, 3, 1)
                grids.append((F.normalize(latents, dim=-1) @ vectors.T).argmax(dim=-1).cpu().numpy())
        return np.concatenate(grids).astype(np.uint16)

    @torch.inference_mode()
    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB images [N, pixels, pixels, 3] of token grids [N, height, width], a few at a time."""
        vectors = self._vectors()
        pictures = []
        for start in range(0, len(grids), PICTURES_AT_ONCE):
            codes = torch.from_numpy(grids[start : start + PICTURES_AT_ONCE].astype(np.int64)).to(vectors.device)
            with enough_memory(vectors.device):
                latents = self.parts.vq.post_quant_conv(vectors[codes].permute(0, 3, 1, 2))
                pictures.append(truncated_pictures(self.parts.vq.decoder(latents).cpu()))
        return np.concatenate(pictures)

    def _vectors(self) -> Tensor:
        """Unit code vectors [V, d], where pictures are made."""
        return torch.tensor(self.codebook.vectors, device=self.parts.vq.quantize.embedding.weight.device)


def read_tuned(source: str) -> Weights:
    """The weights of a FAiD checkpoint, in a folder or a repository."""
    folder = fetch(source)
    fetch_weights(source, folder)
    return Weights.open(folder)


def load_janus(source: ModelSource) -> JanusBackend:
    """Janus-Pro from the weights of a source."""
    return JanusBackend.load(source)
