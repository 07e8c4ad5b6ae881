"""The embedded model: VQ tokenizer, static text table and transformer, all in one folder; runs on any CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from core import checkpoint
from core.backends.blending import Blending
from core.backends.protocol import Predicted
from core.faid import HOPS, CollapsedLayer
from core.text import MIXED_UP, TextEncoder, content
from core.tokenizer import Codebook, TokenizerConfig, VQTokenizer
from core.transformer import ARTransformer, FaidConfig, KVCache, TransformerConfig, TunedFaid, conditions
from core.types import CheckpointError, CodeArray, ConfigError, FaidStep, FloatArray, Grid, IntArray, Neighbours

MODELS = Path(__file__).resolve().parents[2] / "assets" / "models"
FOLDER, NOVICE = MODELS / "emoji", MODELS / "novice"


class EmojiDecoding:
    """One generation of the embedded transformer.

    Its rows are the B conditional ones and, with guidance, the B unconditional ones and, if asked for, the negatives of
    the prompts that have one: the prompt without its colour, in the style that its own is mixed up with. Otherwise a
    known thing in a new colour comes out in a colour that it was seen in, and many a flat one in 3d.
    """

    def __init__(
        self, backend: EmojiBackend, prompts: Sequence[str], guided: bool, faid_neighbours: int, negatives: bool
    ) -> None:
        model, tuned = backend.transformer, backend.tuned
        captions = [backend.encoder.encode(prompt) for prompt in prompts]
        condition = conditions(captions, backend.encoder, model)
        opposite = partial(backend.encoder.negative, mixed_up=backend.mixed_up)
        opposites = [opposite(caption) if guided and negatives else None for caption in captions]
        self._opposed = [row for row, negative in enumerate(opposites) if negative]
        if guided:
            condition = condition.joined(condition.null())
        if self._opposed:
            condition = condition.joined(conditions([n for n in opposites if n], backend.encoder, model))
        self._model, self._prompts, self._guided = model, len(prompts), guided
        rows = list(range(len(prompts)))
        self._owners = torch.tensor([*rows, *(rows if guided else []), *self._opposed])
        self._blending: Blending | None = None
        self._head: nn.Module | None = None
        with torch.inference_mode():
            self._modulation = model.modulate(condition)
            if faid_neighbours and tuned is not None:
                self._head, gates = tuned.head, 1 + self._modulation.layers[:, : len(prompts), 2, None]
                self._blending = Blending(
                    model.layers, backend.blenders, tuned.blenders.hops, model.code_embedding, gates,
                    model.config.grid, len(prompts), faid_neighbours,
                )  # fmt: skip
        self._cache: KVCache | None = KVCache(model.config, len(condition.style))
        self._position = 0
        self._newest: Tensor | None = None

    @torch.inference_mode()
    def logits(self, neighbours: Sequence[Neighbours | None] | None) -> Predicted:
        """Logits [B, V] of the next code; see `Decoding.logits`."""
        if self._cache is None:
            raise ConfigError("decoding: got a closed one, expected an open one; start a new generation")
        with nullcontext() if neighbours is None else self._blended().attached(self._position, neighbours):
            step = self._model.step(self._modulation, self._cache, self._position, self._newest, self._head)
        conditional, unconditional, negative = np.split(step.numpy(), [self._prompts, 2 * self._prompts])
        if not self._guided:
            return Predicted(conditional)
        if not self._opposed:
            return Predicted(conditional, unconditional)
        opposed = unconditional.copy()
        opposed[self._opposed] = negative
        return Predicted(conditional, unconditional, opposed)

    @torch.inference_mode()
    def counterfactuals(self) -> tuple[FloatArray, FloatArray]:
        """Conditional logits [B, V] on blank features and without the blenders; see `Decoding.counterfactuals`."""
        if self._cache is None:
            raise ConfigError("decoding: got a closed one, expected an open one; start a new generation")
        rows = torch.arange(self._prompts).repeat(2)  # the blenders' rows are the first ones
        newest = None if self._newest is None else self._newest[rows]
        with self._blended().attached(self._position, [None] * self._prompts):
            step = self._model.step(
                self._modulation.rows(rows), self._cache.rows(rows), self._position, newest, self._head
            )
        blank, unblended = np.split(step.numpy(), 2)
        return blank, unblended

    @torch.inference_mode()
    def blends(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """What the blenders did in the last pass, for each prompt."""
        return self._blended().steps(codes)

    def append(self, codes: IntArray) -> None:
        """Take the [B] codes chosen for the position that `logits` was asked for."""
        self._newest = torch.from_numpy(np.asarray(codes, dtype=np.int64))[self._owners]
        self._position += 1

    @torch.inference_mode()
    def replay(self, codes: IntArray, neighbours: Sequence[Sequence[Neighbours | None]] | None) -> None:
        """Take the [B, n] codes of the first n positions in one pass; see `Decoding.replay`."""
        if self._cache is None or self._position:
            raise ConfigError("decoding: got one that is closed or has begun, expected a new one to replay codes in")
        with nullcontext() if neighbours is None else self._blended().replayed(self._model.config.prefix, neighbours):
            taken = torch.from_numpy(np.asarray(codes, dtype=np.int64))
            self._model.replay(self._modulation, self._cache, taken[self._owners])
        self._position = codes.shape[1] - 1
        self.append(codes[:, -1])

    def _blended(self) -> Blending:
        """The blenders; ConfigError when the generation was started without them."""
        if self._blending is None:
            raise ConfigError("decoding: got no blenders, expected some; start the generation with faid_neighbours")
        return self._blending

    def close(self) -> None:
        """Drop the KV cache."""
        self._cache = None


@dataclass(frozen=True)
class EmojiBackend:
    """The embedded text-to-image model; load it with `load`.

    tuned: what FAiD adds, with `blenders` its collapsed form and `faid` its hash; None, () and None without it;
    mixed_up: styles that it draws for one another.
    """

    tokenizer: VQTokenizer
    encoder: TextEncoder
    transformer: ARTransformer
    codebook: Codebook
    tuned: TunedFaid | None
    blenders: tuple[CollapsedLayer, ...]
    faid: str | None
    name: str = "emoji"
    mixed_up: Mapping[str, str] = field(default_factory=lambda: MIXED_UP)

    @classmethod
    def load(cls, folder: Path = FOLDER, shared: Path | None = None, name: str = "emoji") -> EmojiBackend:
        """Read config.json, the weights and the text table; CheckpointError says what is missing or damaged.

        shared: the folder with tokenizer and text, if it is another one than that with the transformer.
        """
        shared = shared or folder
        config = checkpoint.read_config(folder)
        sizes = checkpoint.config_part(config, "transformer", TransformerConfig)
        transformer = checkpoint.build("transformer", lambda: ARTransformer(sizes))
        checkpoint.load_weights(folder, "transformer", transformer)
        tuned = load_faid(folder, transformer) if "faid" in config else None
        return cls.assemble(load_tokenizer(shared), TextEncoder.load(shared), transformer.eval(), tuned, name)

    @classmethod
    def assemble(
        cls,
        tokenizer: VQTokenizer,
        encoder: TextEncoder,
        transformer: ARTransformer,
        tuned: TunedFaid | None = None,
        name: str = "emoji",
    ) -> EmojiBackend:
        """A backend from its parts; CheckpointError when their sizes differ."""
        grid, codes = tokenizer.config.grid, tokenizer.config.codes
        if (grid, codes) != (transformer.config.grid, transformer.config.codes):
            raise CheckpointError(
                f"transformer: got {transformer.config.codes} codes on {transformer.config.grid}, expected the "
                f"tokenizer's {codes} on {grid}; train or restore both together"
            )
        if encoder.dim != transformer.config.text_dim:
            raise CheckpointError(f"text table: got {encoder.dim} columns, expected {transformer.config.text_dim}")
        with torch.no_grad():
            blenders = tuned.blenders.collapse() if tuned else ()
        for linear in [*transformer.modules(), *(tuned.modules() if tuned else ())]:
            if isinstance(linear, nn.Linear):  # stored (input, output), which is the faster layout for few rows
                linear.weight.data = linear.weight.data.t().contiguous().t()
        return cls(
            tokenizer,
            encoder,
            transformer,
            Codebook.from_vectors(tokenizer.codebook.numpy()),
            tuned,
            blenders,
            checkpoint.fingerprint(tuned.state_dict()) if tuned else None,
            name,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides a picture but FAiD: weights, sizes, text table, and how prompts are read."""
        return checkpoint.joint_fingerprint(
            checkpoint.fingerprint(self.transformer.state_dict()),
            self.transformer.config,
            checkpoint.fingerprint(self.tokenizer.state_dict()),
            self.tokenizer.config,
            self.encoder.fingerprint,
            self.encoder.max_pieces,
            sorted(self.mixed_up.items()),
        )

    @property
    def caption_encoder(self) -> str:
        """Hash of the text table and its tokenizer."""
        return self.encoder.fingerprint

    @property
    def grid(self) -> Grid:
        """Shape of the token grid."""
        return self.transformer.config.grid

    @property
    def pixels(self) -> int:
        """Height and width of its pictures."""
        return self.tokenizer.config.pixels

    @property
    def description(self) -> str:
        """Which model it is and where it runs."""
        return f"{self.name}, on the CPU"

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int, negatives: bool = False
    ) -> EmojiDecoding:
        """Begin a generation; ConfigError for a prompt that is empty or too long, and for FAiD without its weights."""
        if not prompts:
            raise ConfigError("prompts: got none, expected at least one")
        if faid_neighbours and self.tuned is None:
            raise ConfigError(f"backend {self.name}: got no FAiD weights, expected some; take method model or daid")
        return EmojiDecoding(self, prompts, guided, faid_neighbours, negatives)

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, E] of texts, without their style words; zero where no word is known."""
        return self.encoder.pooled([content(text) for text in texts])

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, height, width] of RGB images [N, pixels, pixels, 3]."""
        return self.tokenizer.encode(images)

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB images [N, pixels, pixels, 3] of token grids [N, height, width]."""
        return self.tokenizer.decode(grids)


def load_novice() -> EmojiBackend:
    """The transformer that has never seen one style and some concepts, with the embedded model's tokenizer and text."""
    return replace(EmojiBackend.load(NOVICE, FOLDER, "novice"), mixed_up={})


def load_tokenizer(folder: Path = FOLDER) -> VQTokenizer:
    """The VQ tokenizer in `folder`, its code vectors of unit length."""
    config = checkpoint.config_part(checkpoint.read_config(folder), "tokenizer", TokenizerConfig)
    tokenizer = checkpoint.build("tokenizer", lambda: VQTokenizer(config))
    checkpoint.load_weights(folder, "tokenizer", tokenizer)
    tokenizer.codebook.copy_(torch.from_numpy(Codebook.from_vectors(tokenizer.codebook.numpy()).vectors.copy()))
    return tokenizer.eval()


def load_faid(folder: Path, base: ARTransformer) -> TunedFaid:
    """What tuning for FAiD adds to the transformer; CheckpointError when it is damaged or does not fit."""
    config = checkpoint.config_part(checkpoint.read_config(folder), "faid", FaidConfig)
    if not 1 <= config.blend_every <= base.config.layers or config.largest_hop not in HOPS:
        raise CheckpointError(
            f"config.json: faid: got a blender every {config.blend_every} layers with hops to {config.largest_hop}, "
            f"expected 1 to {base.config.layers} and hops to 1, 2 or 3; restore the file"
        )
    tuned = TunedFaid(config, base.config)
    checkpoint.load_weights(folder, "faid", tuned)
    return tuned.eval()
