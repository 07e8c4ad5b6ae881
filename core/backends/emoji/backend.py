"""The embedded model: VQ tokenizer, static text table and transformer, all in one folder; runs on any CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...assets import ASSETS
from ...codebook import Codebook
from ...faid import HOPS, CollapsedLayer
from ...types import CheckpointError, CodeArray, ConfigError, DecodeSettings, FloatArray, Grid, IntArray, Neighbours
from .. import checkpoint
from ..blend_pass import BlendPass
from ..blending import Blending
from ..decoding import ModelDecoding
from ..facts import EMBEDDED_FACTS
from ..protocol import Inspection, ModelSource, Predicted, never
from .inspection import inspect
from .text import MIXED_UP, TextEncoder, content
from .tokenizer import TokenizerConfig, VQTokenizer
from .transformer import ARTransformer, FaidConfig, KVCache, Modulation, TransformerConfig, TunedFaid, conditions

MODELS = ASSETS / "models"
FOLDER, NOVICE = MODELS / "emoji", MODELS / "novice"
CONTROL = FOLDER / "control"


class EmojiDecoding(ModelDecoding[KVCache]):
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
        self._model, self._guided = model, guided
        rows = list(range(len(prompts)))
        self._owners = torch.tensor([*rows, *(rows if guided else []), *self._opposed])
        self._newest: Tensor | None = None
        self._head: nn.Module | None = None
        blending: Blending | None = None
        with torch.inference_mode():
            self._modulation = model.modulate(condition)
            if faid_neighbours and tuned is not None:
                self._head, blending = tuned.head, backend.blending(len(prompts), faid_neighbours, self._modulation)
        super().__init__(len(prompts), model.config.prefix, KVCache(model.config, len(condition.style)), blending)

    def _run(self, cache: KVCache, rows: Tensor | None, blending: BlendPass | None) -> FloatArray:
        """Logits of all rows, or of the chosen ones."""
        modulation, newest = self._modulation, self._newest
        if rows is not None:
            modulation, cache = modulation.rows(rows), cache.rows(rows)
            newest = None if newest is None else newest[rows]
        logits: FloatArray = self._model.step(modulation, cache, self._position, newest, self._head, blending).numpy()
        return logits

    def _predicted(self, logits: FloatArray) -> Predicted:
        """The rows by what they are; a prompt without a negative is turned away from no prompt instead."""
        conditional, unconditional, negative = np.split(logits, [self._prompts, 2 * self._prompts])
        if not self._guided:
            return Predicted(conditional)
        if not self._opposed:
            return Predicted(conditional, unconditional)
        opposed = unconditional.copy()
        opposed[self._opposed] = negative
        return Predicted(conditional, unconditional, opposed)

    def _read(self, cache: KVCache, codes: IntArray, blending: BlendPass | None) -> None:
        """All rows read the codes of their prompt."""
        self._model.replay(self._modulation, cache, self._rows(codes), blending)

    def _enter(self, codes: IntArray) -> None:
        """The code that every row reads next."""
        self._newest = self._rows(codes)

    def _rows(self, codes: IntArray) -> Tensor:
        """Codes [R, ...] of all rows, from those of the prompts [B, ...]."""
        return torch.from_numpy(np.asarray(codes, dtype=np.int64))[self._owners]


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
    def reach(self) -> int:
        """How many cells around a patch of a picture its pixels depend on, but for the picture's mean and contrast."""
        return 2

    @property
    def pixels(self) -> int:
        """Height and width of its pictures."""
        return self.tokenizer.config.pixels

    @property
    def description(self) -> str:
        """Which model it is and where it runs."""
        return f"{self.name}, on the CPU"

    @property
    def licence(self) -> str:
        """The code's; the pictures that it learnt from have licences of their own."""
        return "MIT; trained on works under MIT, Apache-2.0 and CC BY 4.0, see assets/LICENSES.md"

    @property
    def defaults(self) -> DecodeSettings:
        """The usual ones were chosen on this model."""
        return EMBEDDED_FACTS.defaults

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int = 0, negatives: bool = False
    ) -> EmojiDecoding:
        """Begin a generation; ConfigError for a prompt that is empty or too long, and for FAiD without its weights."""
        if not prompts:
            raise ConfigError("prompts: got none, expected at least one")
        if faid_neighbours and self.tuned is None:
            raise ConfigError(f"backend {self.name}: got no FAiD weights, expected some; take method model or daid")
        return EmojiDecoding(self, prompts, guided, faid_neighbours, negatives)

    def blending(self, prompts: int, neighbours: int, modulation: Modulation) -> Blending:
        """The blenders of a new generation, whose first rows are those of the prompts; ConfigError without weights."""
        if self.tuned is None:
            raise ConfigError(f"backend {self.name}: got no FAiD weights, expected some; take method model or daid")
        model, gates = self.transformer, modulation.layers[:, :prompts, 2]
        hops = self.tuned.blenders.hops
        return Blending(self.blenders, hops, model.code_embedding, gates, model.config.grid, prompts, neighbours)

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

    @torch.inference_mode()
    def read(
        self,
        prompts: Sequence[str],
        codes: IntArray,
        neighbours: Sequence[Sequence[Neighbours | None]] | None = None,
        faid_neighbours: int = 0,
    ) -> FloatArray:
        """Logits [B, S, V] of all codes in one pass; see `Reader.read`."""
        model = self.transformer
        captions = [self.encoder.encode(prompt) for prompt in prompts]
        modulation = model.modulate(conditions(captions, self.encoder, model))
        blending, head = None, None
        if neighbours is not None and self.tuned is not None:
            blends = self.blending(len(prompts), faid_neighbours, modulation)
            blending, head = blends.replay(model.config.prefix, neighbours), self.tuned.head
        logits: FloatArray = model(torch.from_numpy(codes.astype(np.int64)), modulation, head, blending).numpy()
        return logits

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, E] of texts, without their style words; zero where no word is known."""
        return self.encoder.pooled([content(text) for text in texts])

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, height, width] of RGB images [N, pixels, pixels, 3]."""
        return self.tokenizer.encode(images)

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB images [N, pixels, pixels, 3] of token grids [N, height, width]."""
        return self.tokenizer.decode(grids)


def load_emoji(source: ModelSource | None = None) -> EmojiBackend:
    """The embedded model."""
    return EmojiBackend.load()


def load_control(source: ModelSource | None = None) -> EmojiBackend:
    """The embedded model with the FAiD weights of its control, which was tuned equally long and never retrieved."""
    model = EmojiBackend.load()
    tuned = load_faid(CONTROL, model.transformer)
    return EmojiBackend.assemble(model.tokenizer, model.encoder, model.transformer, tuned, "emoji-control")


def load_novice(source: ModelSource | None = None) -> EmojiBackend:
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
