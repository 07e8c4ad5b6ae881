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
from ...types import (
    CheckpointError,
    CodeArray,
    ConfigError,
    DecodeSettings,
    FaidStep,
    FloatArray,
    Grid,
    IntArray,
    Neighbours,
)
from .. import checkpoint
from ..blend_pass import BlendPass
from ..blending import Blending
from ..decoding import ModelDecoding
from ..facts import EMBEDDED_FACTS
from ..protocol import Inspection, ModelSource, Predicted, never
from . import pace
from .inspection import inspect
from .lean import LeanCache, LeanTransformer, Prompt
from .text import MIXED_UP, TextEncoder, content
from .tokenizer import TokenizerConfig, VQTokenizer
from .transformer import ARTransformer, FaidConfig, Modulation, TransformerConfig, TunedFaid, conditions

MODELS = ASSETS / "models"
FOLDER, NOVICE = MODELS / "emoji", MODELS / "novice"
CONTROL = FOLDER / "control"

BLOCK = 64
"""Codes that a pass which settles a draw is a multiple of."""


class EmojiDecoding(ModelDecoding[LeanCache]):
    """One generation of the embedded transformer.

    Its rows are the B conditional ones and, with guidance, the B unconditional ones and, if asked for, the negatives of
    the prompts that have one: the prompt without its colour, in the style that its own is mixed up with. Otherwise a
    known thing in a new colour comes out in a colour that it was seen in, and many a flat one in 3d.
    """

    def __init__(
        self, backend: EmojiBackend, prompts: Sequence[str], guided: bool, faid_neighbours: int, negatives: bool
    ) -> None:
        self._backend, self._guided = backend, guided
        self._captions = [backend.encoder.encode(prompt) for prompt in prompts]
        opposite = partial(backend.encoder.negative, mixed_up=backend.mixed_up)
        self._opposites = [opposite(caption) if guided and negatives else None for caption in self._captions]
        self._opposed = [row for row, negative in enumerate(self._opposites) if negative]
        rows = list(range(len(prompts)))
        self._owners = torch.tensor([*rows, *(rows if guided else []), *self._opposed])
        self._newest = torch.zeros((len(self._owners), 0), dtype=torch.int64)
        blended = faid_neighbours > 0 and backend.tuned is not None
        self._model = backend.lean_faid if blended else backend.lean
        with torch.inference_mode():
            self._modulation = self._modulated(rows)
            self._prompt = self._model.prompt(self._modulation)
            blending = backend.blending(len(prompts), faid_neighbours, self._modulation) if blended else None
        self._settling: dict[int, Prompt] = {}
        super().__init__(len(prompts), self._model.prefix, self._model.cache(len(self._owners)), blending)

    def _modulated(self, rows: Sequence[int]) -> Modulation:
        """That of some prompts, then of no prompt as often, then of the negatives that these have."""
        model, encoder = self._backend.transformer, self._backend.encoder
        condition = conditions([self._captions[row] for row in rows], encoder, model)
        if self._guided:
            condition = condition.joined(condition.null())
        if opposites := [opposite for row in rows if (opposite := self._opposites[row])]:
            condition = condition.joined(conditions(opposites, encoder, model))
        return model.modulate(condition)

    def _run(self, cache: LeanCache, rows: Tensor | None, drafts: IntArray, blending: BlendPass | None) -> FloatArray:
        """Logits of all rows, or of the chosen ones."""
        prompt, codes = self._prompt, self._newest
        if drafts.shape[1]:
            codes = torch.cat([codes, self._rows(drafts)], dim=1)
        if rows is not None:
            prompt, cache, codes = prompt.rows(rows), cache.rows(rows), codes[rows]
        logits: FloatArray = self._model.logits(prompt, cache, self._position, codes, blending).numpy()
        return logits

    @property
    def draft_length(self) -> int:
        """How many codes are guessed, see `EmojiBackend.draft_length`."""
        return self._backend.draft_length

    @torch.inference_mode()
    def outlook(self) -> Predicted:
        """Logits [B, S, V] of the canvas."""
        return self._predicted(self._backend.transformer.draft(self._modulation).numpy())

    @torch.inference_mode()
    def settled(self, row: int, codes: IntArray) -> Predicted:
        """Logits [1, V] of position n of a prompt, from its codes [n] alone, to the bit.

        What `logits` gives depends in its last digits on how the codes came: one by one, several in a pass, or next to
        other prompts. Here one pass reads all of them anew, with no row but the prompt's own ones, in a shape that
        depends on n alone; so a draw that is nearly tied falls as it would have on any other way here. On another
        processor the digits may be others. It takes many times as long as `logits`. ConfigError with blenders.
        """
        if self._blending is not None:
            raise ConfigError("settled: got a generation with blenders, expected one without; take `logits` there")
        if row not in self._settling:  # made of the prompt alone, as that of a batch may differ in its last digits
            self._settling[row] = self._model.prompt(self._modulated([row]))
        prompt, count = self._settling[row], len(codes)
        length = min(BLOCK * (count // BLOCK + 1), self._backend.grid.positions)
        padded = torch.zeros((len(prompt.words), length - 1), dtype=torch.int64)
        padded[:, :count] = torch.from_numpy(np.asarray(codes, np.int64))
        hidden = self._model.hidden(prompt, None, 0, padded)
        place = self._prefix - 1 + count
        rows = self._model.predicted(prompt, hidden[:, place : place + 1])[:, 0].numpy()
        return Predicted(*np.split(rows, len(rows)))

    @torch.inference_mode()
    def read(self, codes: IntArray, neighbours: Sequence[Sequence[Neighbours | None]] | None = None) -> Predicted:
        """Logits [B, n, V] of the first n positions, at the beginning, whose codes [B, n] are all known: in one pass.

        Leaves off where `replay` does. neighbours: [n][B], for the blenders, as there; `blends_read` tells of them.
        """
        if self._position:
            raise ConfigError(f"read: got a decoding at position {self._position}, expected a new one")
        blending = None if neighbours is None else self._blended().replay(self._prefix, neighbours)
        read = self._rows(codes[:, :-1])
        logits: FloatArray = self._model.logits(self._prompt, self._opened(), 0, read, blending).numpy()
        self._position = codes.shape[1] - 1
        self.append(codes[:, -1])
        return self._predicted(logits)

    @torch.inference_mode()
    def blends_read(self, codes: IntArray) -> list[tuple[FaidStep, ...]]:
        """What the blenders did at each of the positions that `read` read the codes [B, n] of: [n][B]."""
        return self._blended().blends_of_all(codes)

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

    def _read(self, cache: LeanCache, codes: IntArray, blending: BlendPass | None) -> None:
        """All rows read the codes of their prompt."""
        self._model.hidden(self._prompt, cache, 0, self._rows(codes[:, :-1]), blending)

    def _enter(self, codes: IntArray) -> None:
        """The code that every row reads next."""
        self._newest = self._rows(codes[:, None])

    def _rows(self, codes: IntArray) -> Tensor:
        """Codes [R, ...] of all rows, from those of the prompts [B, ...]."""
        return torch.from_numpy(np.asarray(codes, dtype=np.int64))[self._owners]


@dataclass(frozen=True)
class EmojiBackend:
    """The embedded text-to-image model; load it with `load`.

    tuned: what FAiD adds, with `blenders` its collapsed form and `faid` its hash; None, () and None without it;
    mixed_up: styles that it draws for one another; drafts: how many codes a picture by itself guesses in each pass of
    the model, None for as many as ARRAG_DRAFTS says, or as are quickest here.
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
    drafts: int | None = None

    @classmethod
    def load(cls, folder: Path = FOLDER, shared: Path | None = None, name: str = "emoji") -> EmojiBackend:
        """Read config.json, the weights and the text table; CheckpointError says what is missing or damaged.

        shared: the folder with tokenizer and text, if it is another one than that with the transformer.
        """
        pace.wanted()  # what cannot be meant is said now, and not when a picture is drawn
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
    def lean(self) -> LeanTransformer:
        """The transformer as decoding runs it."""
        return LeanTransformer.of(self.transformer)

    @cached_property
    def lean_faid(self) -> LeanTransformer:
        """The same before FAiD's output head; ConfigError without FAiD's weights."""
        return self.lean.with_head(self._faid_weights.head)

    @property
    def _faid_weights(self) -> TunedFaid:
        if self.tuned is None:
            raise ConfigError(f"backend {self.name}: got no FAiD weights, expected some; take method model or daid")
        return self.tuned

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

    @cached_property
    def draft_length(self) -> int:
        """How many codes a picture by itself guesses in each pass of the model."""
        chosen = pace.wanted() if self.drafts is None else self.drafts
        if chosen is not None:
            return chosen
        decoding, half = self.start(["a"], guided=True), self.grid.positions // 2
        codes = np.zeros((1, half), np.int64)
        decoding.replay(codes, None)
        return pace.measured(lambda drafts: decoding.logits(None, codes[:, :drafts]))

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
        if faid_neighbours:
            _ = self._faid_weights
        return EmojiDecoding(self, prompts, guided, faid_neighbours, negatives)

    def blending(self, prompts: int, neighbours: int, modulation: Modulation) -> Blending:
        """The blenders of a new generation, whose first rows are those of the prompts; ConfigError without weights."""
        model, gates = self.transformer, modulation.layers[:, :prompts, 2]
        hops, grid = self._faid_weights.blenders.hops, model.config.grid
        return Blending(self.blenders, hops, self._features, gates, grid, prompts, neighbours, self._entering_blenders)

    def _features(self, codes: Tensor) -> Tensor:
        """What enters the first blender [..., D] of codes [...]."""
        return torch.embedding(self.lean.codes, codes)

    @cached_property
    @torch.no_grad()
    def _entering_blenders(self) -> Tensor:
        """[V + 1, 3D] of every code and of none, see `Blending`."""
        features = self.lean.codes[:-1]  # the last one stands for a masked code
        features = torch.cat([features, torch.zeros_like(features[:1])])
        return torch.cat([features, self.blenders[0].products(features)], dim=1).detach()

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
        model, lean, blending = self.transformer, self.lean, None
        captions = [self.encoder.encode(prompt) for prompt in prompts]
        modulation = model.modulate(conditions(captions, self.encoder, model))
        if neighbours is not None and self.tuned is not None:
            blends = self.blending(len(prompts), faid_neighbours, modulation)
            blending, lean = blends.replay(lean.prefix, neighbours), self.lean_faid
        read = torch.from_numpy(codes[:, :-1].astype(np.int64))
        logits: FloatArray = lean.logits(lean.prompt(modulation), None, 0, read, blending).numpy()
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
