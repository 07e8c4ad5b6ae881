"""Models that leave something out, with what is missing: it follows from the rest, or says so when it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..inputs.prompt import USUAL_LIMIT, PromptLimit
from ..types import CodeArray, ConfigError, DecodeSettings, FaidStep, FloatArray, Grid, IntArray, Neighbours
from .protocol import (
    Backend,
    Decoding,
    Drafting,
    Inspecting,
    Predicted,
    Reader,
    Resumable,
    Settling,
    SmallBackend,
    SmallDecoding,
    replay_in_turn,
)

_ABSENT = object()
_WHOLE = tuple(name for name in vars(Backend) if not name.startswith("_"))


def complete(backend: SmallBackend) -> Backend:
    """The backend itself if it has all that `Backend` has, else one that fills in what it leaves out.

    Raises ConfigError for an object without the required members.
    """
    missing = [name for name in ("grid", "codebook", "start", "decode_codes") if not _has(backend, name)]
    if missing:
        got = f"got a {type(backend).__name__} without {', '.join(missing)}"
        raise ConfigError(f"backend: {got}, expected an object with grid, codebook, start and decode_codes")
    return cast(Backend, backend) if all(_has(backend, name) for name in _WHOLE) else Completed(backend)


def inspecting(backend: SmallBackend) -> Inspecting:
    """The backend as one that shows what goes on inside of it; ConfigError when it does not."""
    inner = backend.inner if isinstance(backend, Completed) else backend
    if not _has(inner, "inspect"):
        raise ConfigError(f"backend {complete(backend).name}: it shows nothing of its inside; add inspect to it")
    return cast(Inspecting, inner)


def reader(backend: SmallBackend) -> Reader | None:
    """The backend as one that predicts all codes of a picture in one pass; None where it cannot."""
    inner = backend.inner if isinstance(backend, Completed) else backend
    return cast(Reader, inner) if _has(inner, "read") else None


def resumable(decoding: Decoding) -> Resumable | None:
    """The decoding as one that can go on from snapshots; None where it cannot."""
    inner = decoding.inner if isinstance(decoding, CompletedDecoding) else decoding
    return cast(Resumable, inner) if _has(inner, "resume") else None


def drafting(decoding: Decoding) -> Drafting | None:
    """The decoding as one that takes drafts; None where it does not."""
    inner = decoding.inner if isinstance(decoding, CompletedDecoding) else decoding
    return cast(Drafting, inner) if _has(inner, "draft_length") else None


def settling(decoding: Decoding) -> Settling | None:
    """The decoding as one that settles ties; None where it cannot."""
    inner = decoding.inner if isinstance(decoding, CompletedDecoding) else decoding
    return cast(Settling, inner) if _has(inner, "settled") else None


def prompt_limit(backend: SmallBackend) -> PromptLimit:
    """The longest prompt that a backend takes: what it says as `prompt_limit`, or the usual one."""
    inner = backend.inner if isinstance(backend, Completed) else backend
    limit: PromptLimit = getattr(inner, "prompt_limit", USUAL_LIMIT)
    return limit


def _has(thing: object, name: str) -> bool:
    """Whether an object has a member, without asking for its value, which may take time."""
    return inspect.getattr_static(thing, name, _ABSENT) is not _ABSENT


@dataclass(frozen=True)
class Completed:
    """A backend around one that leaves something out."""

    inner: SmallBackend

    @property
    def name(self) -> str:
        """Its name, or that of its class in lower case."""
        return str(self._said("name", type(self.inner).__name__.lower()))

    @property
    def fingerprint(self) -> str:
        """Its own, or one that knows of the codebook alone: then traces do not tell two sets of weights apart."""
        return str(self._said("fingerprint", "") or f"unnamed {self.codebook.fingerprint}")

    @property
    def description(self) -> str:
        """Which model it is."""
        return str(self._said("description", self.name))

    @property
    def licence(self) -> str:
        """The licence of its weights."""
        return str(self._said("licence", ""))

    @property
    def defaults(self) -> DecodeSettings:
        """Its own, or the usual ones; without a caption filter where it embeds no captions."""
        own: DecodeSettings | None = self._said("defaults", None)
        return own or (DecodeSettings() if self.caption_encoder else DecodeSettings(caption_filter=0))

    @property
    def grid(self) -> Grid:
        """Shape of the token grid."""
        return self.inner.grid

    @property
    def codebook(self) -> Codebook:
        """The code vectors that contexts are compared in."""
        return self.inner.codebook

    @cached_property
    def pixels(self) -> int:
        """Its own, or the height of a picture that it decodes."""
        own: int | None = self._said("pixels", None)
        return own or len(self.decode_codes(np.zeros((1, self.grid.height, self.grid.width), np.uint16))[0])

    @property
    def faid(self) -> str | None:
        """Hash of the weights that FAiD adds, None without them."""
        own: str | None = self._said("faid", None)
        return own

    @property
    def caption_encoder(self) -> str:
        """Hash of what embeds captions, "" where nothing does."""
        return str(self._said("caption_encoder", "")) if _has(self.inner, "embed_captions") else ""

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int = 0, negatives: bool = False
    ) -> CompletedDecoding:
        """Begin a generation; ConfigError for FAiD where there are no weights for it. Negative prompts are left out."""
        if faid_neighbours and self.faid is None:
            raise ConfigError(f"backend {self.name}: got no FAiD weights, expected some; take method model or daid")
        start: Any = self.inner.start
        begun = start(prompts, guided, faid_neighbours, negatives) if self.faid else start(prompts, guided)
        return CompletedDecoding(begun, self.name)

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, E] of texts; ConfigError where it cannot."""
        vectors: FloatArray = self._asked("embed_captions", "embeds no captions; set caption_filter to 0")(texts)
        return vectors

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, height, width] of RGB images; ConfigError where it cannot."""
        grids: CodeArray = self._asked("encode_images", "encodes no pictures; give token grids instead")(images)
        return grids

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB images [N, pixels, pixels, 3] of token grids [N, height, width]."""
        return self.inner.decode_codes(grids)

    def _said(self, name: str, otherwise: Any) -> Any:
        """What it says of itself."""
        return getattr(self.inner, name, otherwise)

    def _asked(self, name: str, refusal: str) -> Any:
        """What it can do, or ConfigError with the reason why not."""
        if not _has(self.inner, name):
            raise ConfigError(f"backend {self.name}: it {refusal}, or add {name} to it")
        return getattr(self.inner, name)


class CompletedDecoding:
    """A generation around one that may know neither blenders nor replays."""

    def __init__(self, inner: SmallDecoding, name: str) -> None:
        self._inner: Any = inner
        self._name = name

    def logits(
        self, neighbours: Sequence[Neighbours | None] | None = None, drafts: IntArray | None = None
    ) -> Predicted:
        """Logits of the next code; see `Decoding.logits`. Drafts are asked of what takes them, see `drafting`."""
        if drafts is not None:
            raise ConfigError(f"backend {self._name}: got drafts, which it takes only by itself; see core.drafts")
        blends = neighbours is not None or _has(self._inner, "blends")
        predicted: Predicted = self._blended("logits")(neighbours) if blends else self._inner.logits()
        return predicted

    def counterfactuals(self) -> tuple[FloatArray, FloatArray]:
        """See `Decoding.counterfactuals`; ConfigError without blenders."""
        logits: tuple[FloatArray, FloatArray] = self._blended("counterfactuals")()
        return logits

    def blends(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """See `Decoding.blends`; ConfigError without blenders."""
        steps: tuple[FaidStep, ...] = self._blended("blends")(codes)
        return steps

    def append(self, codes: IntArray) -> None:
        """Move on."""
        self._inner.append(codes)

    def replay(self, codes: IntArray, neighbours: Sequence[Sequence[Neighbours | None]] | None) -> None:
        """In one pass if it can, else one position after the other."""
        if _has(self._inner, "replay"):
            self._inner.replay(codes, neighbours)
        else:
            replay_in_turn(self, codes, neighbours)

    def close(self) -> None:
        """Free the state."""
        self._inner.close()

    @property
    def inner(self) -> SmallDecoding:
        """The generation itself."""
        generation: SmallDecoding = self._inner
        return generation

    def _blended(self, name: str) -> Any:
        """What it does with blenders; ConfigError where it has none."""
        if not _has(self._inner, "blends"):
            raise ConfigError(f"backend {self._name}: got neighbours for blenders, which it has none of; take no FAiD")
        return getattr(self._inner, name)
