"""Janus-Pro (1B, 7B) through transformers' Janus classes, with a decoding loop of its own and released FAiD weights.

Only what draws is loaded: neither the tower that sees images for understanding nor the head that writes text. Decoding
follows transformers' `generate(generation_mode="image")` to the code; encoding follows the released tokenizer, whose
code vectors and latents are compared after normalisation (transformers' `vqmodel.encode` leaves that out).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from huggingface_hub import snapshot_download
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoTokenizer, JanusConfig
from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEAlignerMLP, JanusVQVAEHead

from core.backends import emoji
from core.backends.blending import Blending
from core.backends.llama import Cache, Llama, LlamaConfig
from core.backends.protocol import ModelSource, Predicted
from core.backends.weights import LAYERS, Weights
from core.checkpoint import joint_fingerprint, read_json
from core.faid import CollapsedLayer, Faid
from core.prompt import clean_prompt
from core.text import SAMPLES, TextEncoder
from core.tokenizer import Codebook, to_pictures, to_pixels
from core.types import CheckpointError, CodeArray, ConfigError, FaidStep, FloatArray, Grid, IntArray, Neighbours

DEFAULT_MODEL: Final = "deepseek-community/Janus-Pro-1B"
PICTURES_AT_ONCE: Final = 4
SAMPLED_VALUES: Final = 1024
"""How many values of each tensor the fingerprint is made of; all of them would take minutes for 7B."""

CONFIG_FILES: Final = ["*.json", "*.jinja", "*.model", "*.txt"]
WEIGHT_FILES: Final = ["*.safetensors", "*.bin"]
IMAGE_START: Final = "<begin_of_image>"
PLACE: Final = "\uf8ff"
"""Where the prompt stands in its frame: a character that no template has."""
PLAIN_TEMPLATE: Final = "<|User|>: {}\n\n<|Assistant|>:"
"""What the released chat template makes of one message, for folders without one."""

_BLENDER: Final = re.compile(re.escape(LAYERS) + r"\d+\.(blender\.|retrieval_layernorm\.)")


# -- Where and how ----------------------------------------------------------------------------------------------------


def choose_device(wanted: str) -> torch.device:
    """The device of that name, or for "auto" the best that is there; ConfigError for another or an absent one."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = next(name for name, available in there.items() if available)
    if wanted not in there:
        raise ConfigError(f"device: got {wanted!r}, expected one of auto, {', '.join(there)}")
    if not there[wanted]:
        raise ConfigError(f"device: got {wanted}, which torch {torch.__version__} does not find here; take auto or cpu")
    return torch.device(wanted)


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The dtype of that name, or for "auto" the usual one of a device; ConfigError for another name."""
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if wanted == "auto":
        half = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        wanted = "float32" if device.type == "cpu" else "bfloat16" if half else "float16"
    if wanted not in kinds:
        raise ConfigError(f"dtype: got {wanted!r}, expected one of auto, {', '.join(kinds)}")
    return kinds[wanted]


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """Inside, running out of memory is a ConfigError that says what to do."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        told = str(error).lower()
        if isinstance(error, RuntimeError) and "out of memory" not in told and "can't allocate memory" not in told:
            raise
        raise ConfigError(
            f"memory: got too little on {device}; close other programs, take dtype bfloat16, Janus-Pro-1B instead of "
            "7B, fewer prompts at once, or device cpu"
        ) from None


def fetch(source: str, patterns: Sequence[str]) -> Path:
    """The folder of a model: the local one of that name, or the files of a hub repository; CheckpointError without."""
    if Path(source).is_dir():
        return Path(source)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source) or source.startswith("."):
        raise ConfigError(f"model: got {source!r}, expected a folder, or a repository such as {DEFAULT_MODEL}")
    try:
        return Path(snapshot_download(source, allow_patterns=list(patterns)))
    except Exception as error:  # the hub's client raises errors of its own, of requests', and of the system's
        reason = " ".join(str(error).split())[:160]
        got = f"{source}: not a folder, and cannot be downloaded ({type(error).__name__}: {reason})"
        raise CheckpointError(f"{got}; check the name and the connection, or give a local folder") from None


# -- Reading a checkpoint ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sizes:
    """What config.json says of the parts that draw."""

    llama: LlamaConfig
    words: int
    codes: int
    code_dim: int
    grid: Grid
    pixels: int

    @classmethod
    def of(cls, config: Any, folder: Path) -> Sizes:
        """Sizes in transformers' JanusConfig; CheckpointError for a model that this decoding does not know."""
        text, vq = config.text_config, config.vq_config
        rope = getattr(text, "rope_parameters", None) or {}
        known = {
            "model_type": (text.model_type, "llama"),
            "hidden_act": (text.hidden_act, "silu"),
            "attention_bias": (text.attention_bias, False),
            "mlp_bias": (text.mlp_bias, False),
            "rope_type": (rope.get("rope_type", "default"), "default"),
            "num_image_tokens": (config.vision_config.num_image_tokens, vq.num_patches**2),
        }
        for name, (got, expected) in known.items():
            if got != expected:
                raise CheckpointError(f"{folder}: got {name} {got!r}, expected {expected!r}; take a Janus-Pro model")
        heads = text.num_attention_heads
        llama = LlamaConfig(
            width=text.hidden_size,
            hidden=text.intermediate_size,
            layers=text.num_hidden_layers,
            heads=heads,
            key_heads=text.num_key_value_heads,
            head_width=text.head_dim or text.hidden_size // heads,
            epsilon=text.rms_norm_eps,
            theta=float(rope.get("rope_theta", 10000.0)),
        )
        side = vq.num_patches
        pixels = side * 2 ** (len(vq.channel_multiplier) - 1)
        return cls(llama, text.vocab_size, vq.num_embeddings, vq.embed_dim, Grid(side, side), pixels)


class Loading:
    """Reads tensors one by one onto a device, shows how far it is, and hashes what it reads."""

    def __init__(self, weights: Weights, count: int, device: torch.device, dtype: torch.dtype) -> None:
        self._weights, self._device, self._dtype = weights, device, dtype
        self._digest = hashlib.sha256()
        self._bar = tqdm(total=count, desc=f"load {weights.folder.name}", unit="tensor")

    def read(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor, on the device; CheckpointError when it has another shape."""
        stored = self._weights.read(name, shape)
        self._digest.update(f"{name} {shape}".encode() + _sampled(stored))
        self._bar.update()
        return stored.to(self._device, self._dtype)

    def fill(self, module: nn.Module, prefix: str, pixels: torch.device | None = None) -> None:
        """Give a module made on the meta device its tensors; what makes pixels stays in float32, on its own device."""
        tensors = {name: self.read(prefix + name, tuple(value.shape)) for name, value in module.state_dict().items()}
        if pixels is not None:
            tensors = {name: value.to(pixels, torch.float32) for name, value in tensors.items()}
        module.load_state_dict(tensors, assign=True)
        module.requires_grad_(False)

    def fingerprint(self) -> str:
        """Hash of everything that was read so far."""
        return self._digest.hexdigest()[:16]

    def close(self) -> None:
        """End the progress bar."""
        self._bar.close()


class Parts(nn.Module):
    """What draws: word and code embeddings, language model, head, and the VQ tokenizer."""

    words: Tensor

    def __init__(self, config: Any, sizes: Sizes, loading: Loading, pixels: torch.device) -> None:
        super().__init__()
        shapes = dict(sizes.llama.shapes())
        prefix = "model.language_model."
        self.register_buffer("words", loading.read(f"{prefix}embed_tokens.weight", (sizes.words, sizes.llama.width)))
        self.llama = Llama(sizes.llama, lambda name: loading.read(prefix + name, shapes[name]))
        with torch.device("meta"):
            self.code_embedding = nn.Embedding(sizes.codes, sizes.code_dim)
            self.aligner = JanusVQVAEAlignerMLP(config.vq_config)
            self.head = JanusVQVAEHead(config.vq_config)
            self.vq = JanusVQVAE(config.vq_config)
        loading.fill(self.code_embedding, "model.generation_embeddings.")
        loading.fill(self.aligner, "model.generation_aligner.")
        loading.fill(self.head, "model.generation_head.")
        loading.fill(self.vq, "model.vqmodel.", pixels)
        for linear in (m for part in (self.aligner, self.head) for m in part.modules() if isinstance(m, nn.Linear)):
            linear.weight = nn.Parameter(linear.weight.t().contiguous().t(), requires_grad=False)  # see llama.py
        self.eval()

    def features(self, codes: Tensor) -> Tensor:
        """What enters the language model [..., D] for codes [...]."""
        aligned: Tensor = self.aligner(self.code_embedding(codes))
        return aligned


@dataclass(frozen=True)
class Model:
    """What a model folder says of itself before any weight is read: transformers' config, sizes, shapes of tensors."""

    folder: Path
    config: Any
    sizes: Sizes
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def open(cls, folder: Path) -> Model:
        """Read config.json; CheckpointError for another kind of model."""
        kind = read_json(folder / "config.json").get("model_type")
        if kind != "janus":
            remedy = f"take {DEFAULT_MODEL}, and give DeepSeek's format, as of released FAiD weights, as faid"
            raise CheckpointError(f"{folder}: got a model of type {kind!r}, expected 'janus'; {remedy}")
        try:
            config = JanusConfig.from_pretrained(folder)
        except Exception as error:  # its own checks raise errors of huggingface_hub's
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{folder / 'config.json'}: no Janus config ({reason}); download it again") from None
        sizes = Sizes.of(config, folder)
        return cls(folder, config, sizes, _shapes(config, sizes))


def _shapes(config: Any, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors that drawing needs."""
    with torch.device("meta"):
        parts = {
            "generation_aligner": JanusVQVAEAlignerMLP(config.vq_config),
            "generation_head": JanusVQVAEHead(config.vq_config),
            "vqmodel": JanusVQVAE(config.vq_config),
        }
    shapes: dict[str, tuple[int, ...]] = {
        "model.language_model.embed_tokens.weight": (sizes.words, sizes.llama.width),
        "model.generation_embeddings.weight": (sizes.codes, sizes.code_dim),
    }
    shapes |= {f"model.language_model.{name}": shape for name, shape in sizes.llama.shapes()}
    for part, module in parts.items():
        shapes |= {f"model.{part}.{name}": tuple(value.shape) for name, value in module.state_dict().items()}
    return shapes


def read_blenders(weights: Weights, sizes: Sizes, device: torch.device) -> Faid:
    """The blenders of a checkpoint, in float32; CheckpointError when they stand in other layers than it says."""
    names = sorted(name for name in weights.tensors if _BLENDER.search(name))
    faid = Faid.from_tensors({name: weights.tensors[name]().to(device, torch.float32) for name in names}, LAYERS)
    if faid.width != sizes.llama.width:
        raise CheckpointError(f"{weights.folder}: got blenders of width {faid.width}, expected {sizes.llama.width}")
    path = weights.folder / "config.json"
    said: Mapping[str, Any] = read_json(path).get("language_config", {}) if path.exists() else {}
    first_two = [*faid.blended, sizes.llama.layers][:2]
    every = said.get("num_SmoothPatchBlender", first_two[1] - first_two[0])
    hops = said.get("num_hop", list(faid.hops))
    if not isinstance(every, int) or every < 1:
        raise CheckpointError(f"{path}: got num_SmoothPatchBlender {every!r}, expected a whole number from 1")
    expected = tuple(range(0, sizes.llama.layers, every))
    if faid.blended != expected or list(faid.hops) != hops:
        raise CheckpointError(
            f"{weights.folder}: got blenders in layers {faid.blended} with hops {list(faid.hops)}, expected "
            f"{expected} with {hops}; restore the checkpoint"
        )
    return faid.requires_grad_(False)


# -- Prompts ----------------------------------------------------------------------------------------------------------


class Prompter:
    """Prompts -> token ids: the chat template around one message, then the token that starts an image."""

    def __init__(self, folder: Path) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
        except Exception as error:  # transformers raises nearly anything for a damaged tokenizer
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(f"{folder}: no readable tokenizer ({reason}); download it again") from None
        self._template = self._tokenizer.chat_template or _template_beside(folder)
        tokens = {"bos": self._tokenizer.bos_token_id, "pad": self._tokenizer.pad_token_id}
        tokens["image start"] = self._tokenizer.get_vocab().get(IMAGE_START)
        if absent := [name for name, token in tokens.items() if token is None]:
            raise CheckpointError(f"{folder}: got a tokenizer without its {absent[0]} token; take one of Janus-Pro")
        self._control = {token: i for token, i in self._tokenizer.get_added_vocab().items() if len(token) > 1}
        self._bos, self._pad, self._start = tokens["bos"], tokens["pad"], tokens["image start"]

    @property
    def fingerprint(self) -> str:
        """Hash of the vocabulary, the template, and what a few texts become with both."""
        words = sorted(self._tokenizer.get_vocab().items())
        samples = [self._tokenizer(sample)["input_ids"] for sample in (self.text("a"), *SAMPLES)]
        return joint_fingerprint(words, self._template, self._bos, self._pad, self._start, samples)

    def text(self, prompt: str) -> str:
        """What the model reads; ConfigError for an empty or too long prompt."""
        return "".join(self.pieces(prompt))

    def pieces(self, prompt: str) -> list[str]:
        """What the model reads, cut where a prompt spells a token that means more than its letters.

        Each piece becomes tokens by itself, so that "<|User|>" in a prompt is text; nearly always there is one piece.
        """
        cut = cut_at(clean_prompt(prompt), self._control)
        before, *others = self._framed().split(PLACE)
        pieces = [before]
        for after in others:
            pieces = [*pieces[:-1], pieces[-1] + cut[0], *cut[1:]]
            pieces[-1] += after
        return pieces

    def _framed(self) -> str:
        """The text around a prompt, with PLACE where that stands."""
        if self._template is None:
            return PLAIN_TEMPLATE.format(PLACE) + IMAGE_START
        message: Any = {"role": "user", "content": [{"type": "text", "text": PLACE}]}
        text = self._tokenizer.apply_chat_template(
            [message], chat_template=self._template, add_generation_prompt=True, tokenize=False
        )
        return f"{text}{IMAGE_START}"

    def _ids(self, prompt: str) -> list[int]:
        """Token ids of a prompt in its frame; ConfigError when it has more control tokens than the frame itself."""
        first, *others = self.pieces(prompt)
        ids: list[int] = list(self._tokenizer(first)["input_ids"])
        for piece in others:
            ids += self._tokenizer(piece, add_special_tokens=False)["input_ids"]
        control = set(self._control.values()) - {self._tokenizer.unk_token_id}  # which any unknown word becomes
        allowed = self._tokenizer(self._framed().replace(PLACE, ""))["input_ids"]
        if sum(token in control for token in ids) > sum(token in control for token in allowed):
            raise ConfigError("prompt: got a special token of the model in it, expected plain text; leave it out")
        return ids if ids[0] == self._bos else [self._bos, *ids]

    def rows(self, prompts: Sequence[str], guided: bool) -> tuple[Tensor, Tensor]:
        """Token ids [R, T], filled up at the left, and how many were filled in [R].

        The rows after the conditional ones, if guided, keep the first and the last token only, as in transformers.
        """
        encoded = [self._ids(prompt) for prompt in prompts]
        longest = max(map(len, encoded))
        padding = torch.tensor([longest - len(ids) for ids in encoded])
        rows = torch.tensor([[self._pad] * (longest - len(ids)) + ids for ids in encoded])
        if not guided:
            return rows, padding
        kept = (rows == self._bos) | (rows == self._start)
        return torch.cat([rows, rows.where(kept, self._pad)]), padding.repeat(2)


def cut_at(text: str, tokens: Collection[str]) -> list[str]:
    """A text in pieces that spell none of the tokens: each is cut behind its first letter."""
    if not tokens or not (found := re.search("|".join(map(re.escape, tokens)), text)):
        return [text]
    middle = found.start() + 1
    return [text[:middle], *cut_at(text[middle:], tokens)]


def _template_beside(folder: Path) -> str | None:
    """The chat template that older checkpoints keep in a file of its own."""
    if (folder / "chat_template.jinja").exists():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    path = folder / "chat_template.json"
    template = read_json(path).get("chat_template") if path.exists() else None
    return template if isinstance(template, str) else None


# -- Decoding ---------------------------------------------------------------------------------------------------------


class JanusDecoding:
    """One generation; rows are all conditional ones, then all unconditional ones."""

    def __init__(self, backend: JanusBackend, prompts: Sequence[str], guided: bool, faid_neighbours: int) -> None:
        parts = backend.parts
        tokens, padding = backend.prompter.rows(prompts, guided)
        self._parts, self._prompts, self._guided = parts, len(prompts), guided
        self._device, self._length, self._position = parts.words.device, tokens.shape[1], 0
        self._blending: Blending | None = None
        with torch.inference_mode(), enough_memory(self._device):
            self._entries = F.embedding(tokens.to(self._device), parts.words)
            room = self._length + backend.grid.positions - 1
            self._cache: Cache | None = Cache(parts.llama.config, room, padding.to(self._device), parts.words)
            if faid_neighbours:
                self._blending = Blending(
                    parts.llama.layers, backend.blenders, backend.hops, parts.features, None, backend.grid,
                    len(prompts), faid_neighbours,
                )  # fmt: skip

    @torch.inference_mode()
    def logits(self, neighbours: Sequence[Neighbours | None] | None) -> Predicted:
        """Logits [B, V] of the next code; see `Decoding.logits`. This model knows no negative prompts."""
        if self._cache is None:
            raise ConfigError("decoding: got a closed one, expected an open one; start a new generation")
        start = self._length + self._position - 1 if self._position else 0
        attached = nullcontext() if neighbours is None else self._blended().attached(self._position, neighbours)
        with enough_memory(self._device), attached:
            hidden = self._parts.llama(self._entries, start, self._cache)
        rows: FloatArray = self._parts.head(hidden).float().cpu().numpy()
        return Predicted(rows[: self._prompts], rows[self._prompts :] if self._guided else None)

    @torch.inference_mode()
    def counterfactuals(self) -> tuple[FloatArray, FloatArray]:
        """Conditional logits [B, V] on blank features and without the blenders; see `Decoding.counterfactuals`."""
        if self._cache is None:
            raise ConfigError("decoding: got a closed one, expected an open one; start a new generation")
        start = self._length + self._position - 1 if self._position else 0
        chosen = torch.arange(self._prompts, device=self._device).repeat(2)  # the blenders' rows are the first ones
        attached = self._blended().attached(self._position, [None] * self._prompts)
        with enough_memory(self._device), attached:
            hidden = self._parts.llama(self._entries[chosen], start, self._cache.rows(chosen))
        rows: FloatArray = self._parts.head(hidden).float().cpu().numpy()
        return rows[: self._prompts], rows[self._prompts :]

    @torch.inference_mode()
    def blends(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """What the blenders did in the last pass, for each prompt."""
        return self._blended().steps(codes)

    @torch.inference_mode()
    def append(self, codes: IntArray) -> None:
        """Take the [B] codes chosen for the position that `logits` was asked for."""
        self._entries = self._features(codes[:, None])
        self._position += 1

    @torch.inference_mode()
    def replay(self, codes: IntArray, neighbours: Sequence[Sequence[Neighbours | None]] | None) -> None:
        """Take the [B, n] codes of the first n positions in one pass; see `Decoding.replay`."""
        if self._cache is None or self._position:
            raise ConfigError("decoding: got one that is closed or has begun, expected a new one to replay codes in")
        attached = nullcontext() if neighbours is None else self._blended().replayed(self._length, neighbours)
        entries = torch.cat([self._entries, self._features(codes[:, :-1])], dim=1)
        with enough_memory(self._device), attached:
            self._parts.llama(entries, 0, self._cache)
        self._position = codes.shape[1] - 1
        self.append(codes[:, -1])

    def _features(self, codes: IntArray) -> Tensor:
        """What enters the language model [R, n, D] for codes [B, n]."""
        chosen = torch.from_numpy(np.asarray(codes, dtype=np.int64)).to(self._device)
        return self._parts.features(chosen.repeat(2, 1) if self._guided else chosen)

    def _blended(self) -> Blending:
        """The blenders; ConfigError when the generation was started without them."""
        if self._blending is None:
            raise ConfigError("decoding: got no blenders, expected some; start the generation with faid_neighbours")
        return self._blending

    def close(self) -> None:
        """Drop the KV cache."""
        self._cache = None


@dataclass(frozen=True)
class JanusBackend:
    """Janus-Pro, loaded; make one with `load`.

    blenders, hops, faid: the released FAiD weights in their collapsed form, their hops and their hash; (), () and None
    without them. With them, the language model and the head are those of the FAiD checkpoint, for every method.
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

    @classmethod
    def load(cls, source: ModelSource) -> JanusBackend:
        """Read config, tokenizer and weights; ArragError says what is missing, unexpected or too large."""
        device = choose_device(source.device)
        dtype = choose_dtype(source.dtype, device)
        tuned = Weights.open(fetch(source.faid, CONFIG_FILES + WEIGHT_FILES)) if source.faid else None
        needed = CONFIG_FILES + (WEIGHT_FILES if tuned is None or not tuned.complete else [])
        model = Model.open(fetch(source.model or DEFAULT_MODEL, needed))
        weights = _joined(model, tuned)
        with enough_memory(device):
            return cls._assemble(model, weights, source, device, dtype)

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
            faid=_hash(faid) if faid else None,
            description=f"{name} on {device.type}, {kind}" + (f", FAiD: {Path(source.faid).name}" if faid else ""),
        )

    @property
    def caption_encoder(self) -> str:
        """Hash of the embedded model's text table and its tokenizer."""
        return self.encoder.fingerprint

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int, negatives: bool = False
    ) -> JanusDecoding:
        """Begin a generation; ConfigError for a bad prompt, and for FAiD without its weights."""
        if not prompts:
            raise ConfigError("prompts: got none, expected at least one")
        if faid_neighbours and not self.blenders:
            raise ConfigError("backend janus: got no FAiD weights, expected some; load it with faid, or take daid")
        return JanusDecoding(self, prompts, guided, faid_neighbours)

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
                pictures.append(to_pictures(self.parts.vq.decoder(latents).cpu()))
        return np.concatenate(pictures)

    def _vectors(self) -> Tensor:
        """Unit code vectors [V, d], where pictures are made."""
        return torch.tensor(self.codebook.vectors, device=self.parts.vq.quantize.embedding.weight.device)


def _joined(model: Model, tuned: Weights | None) -> Weights:
    """All weights of a model: of its folder, or of a FAiD checkpoint, which may leave some to the folder."""
    if tuned is None:
        weights = Weights.open(model.folder)
        weights.expect(model.shapes)
        return weights
    head = [name for name in model.shapes if name.startswith("model.generation_head.")]
    if absent := [name for name in head if name not in tuned.tensors]:  # the base's would load, but is another one
        raise CheckpointError(f"{tuned.folder}: got no {absent[0]}, which FAiD trains; take its whole checkpoint")
    joined = tuned.over(None if tuned.complete else Weights.open(model.folder))
    joined.expect(model.shapes, _BLENDER)
    return joined


def _hash(faid: Faid) -> str:
    """Hash of the blenders."""
    digest = hashlib.sha256(json.dumps([faid.blended, faid.hops]).encode())
    for name, value in faid.state_dict().items():
        digest.update(name.encode() + _sampled(value))
    return digest.hexdigest()[:16]


def _sampled(tensor: Tensor) -> bytes:
    """Some values of a tensor, evenly spread."""
    values: bytes = tensor.flatten()[:: max(1, tensor.numel() // SAMPLED_VALUES)].float().cpu().numpy().tobytes()
    return values
