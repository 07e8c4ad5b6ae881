"""What the engine needs from a model.

Required is little: `SmallBackend` and `SmallDecoding`. What else a model can do (blenders, reading codes in one pass,
encoding pictures, embedding captions, saying what it is) are further members of `Backend` and `Decoding`, any of which
may be left out: `core.backends.complete` fills them in and says what is missing when it is asked for. A model that can
show what goes on inside of it is `Inspecting`, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..types import CodeArray, DecodeSettings, FaidStep, FloatArray, Grid, IntArray, Neighbours


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where the weights of a backend that does not ship with them come from, and where they go.

    model, faid: a folder, or a repository on the Hugging Face hub, OWNER/NAME or OWNER/NAME@REVISION; no faid is "".
    device: auto, cpu, cuda or mps; dtype: auto, float32, bfloat16 or float16; pixels_device: where pictures are encoded
    and decoded, if it is another one than `device`. launch: auto, plain, captured or compiled, how passes are launched.
    """

    model: str = ""
    faid: str = ""
    device: str = "auto"
    dtype: str = "auto"
    pixels_device: str = ""
    launch: str = "auto"


@dataclass(frozen=True, slots=True)
class Predicted:
    """Logits [B, V] of the next code, before guidance, which is the engine's.

    conditional: of the prompts; unconditional: of no prompt, None when not guided; negative: of what each prompt is
    mixed up with, or of no prompt where a row has nothing of the kind; None when no row has, or it was not asked for.
    """

    conditional: FloatArray
    unconditional: FloatArray | None = None
    negative: FloatArray | None = None

    def at(self, place: int) -> Predicted:
        """Those [B, V] of one place of several [B, n, V]."""
        return self._each(lambda part: part[:, place])

    def after(self, count: int) -> Predicted:
        """Those [B, n - count, V] of all places of several [B, n, V] but the first ones."""
        return self._each(lambda part: part[:, count:])

    def _each(self, chosen: Callable[[FloatArray], FloatArray]) -> Predicted:
        parts = (self.conditional, self.unconditional, self.negative)
        return Predicted(*(None if part is None else chosen(part) for part in parts))  # type: ignore[arg-type]


class SmallDecoding(Protocol):
    """The state of one running generation, B prompts at once; nothing is shared between two of them."""

    def logits(self) -> Predicted:
        """Logits of the next code. A position may be asked for again."""
        ...

    def append(self, codes: IntArray) -> None:
        """Take the [B] codes that were chosen and move on to the next position."""
        ...

    def close(self) -> None:
        """Free the state; the generation is over or was cancelled."""
        ...


class SmallBackend(Protocol):
    """A text-to-image model over a token grid; immutable once loaded, so runs may share it."""

    @property
    def grid(self) -> Grid:
        """Shape of the token grid."""
        ...

    @property
    def codebook(self) -> Codebook:
        """The code vectors that contexts are compared in."""
        ...

    def start(self, prompts: Sequence[str], guided: bool) -> SmallDecoding:
        """Begin a generation for B prompts; `guided` also computes the unconditional rows for CFG."""
        ...

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB images [N, pixels, pixels, 3] of token grids [N, height, width]."""
        ...


class Decoding(Protocol):
    """As `SmallDecoding`, and what blenders and branches need."""

    def logits(
        self, neighbours: Sequence[Neighbours | None] | None = None, drafts: IntArray | None = None
    ) -> Predicted:
        """Logits [B, V] of the next code; with drafts [B, 1 + k, V], of the next one and the k after it.

        neighbours: what each prompt retrieved, for the blenders of FAiD; where it is None or empty they run on blank
        features. None as a whole leaves the blenders out. drafts: [B, k] a guess of the next codes, for a `Drafting`
        without blenders: what is told of a position holds if the codes before it come as guessed, and then the next
        `logits` without drafts knows it already. A position may be asked for again; the last answer counts.
        """
        ...

    def counterfactuals(self) -> tuple[FloatArray, FloatArray]:
        """Conditional logits [B, V] of the next code as they would be, in one pass, to be asked for before `logits`.

        First with the same blenders on blank features, as if nothing were retrieved at this position; then without the
        blenders. What is before the position stays as it was. Only for a generation with FAiD.
        """
        ...

    def blends(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """What the blenders did for each prompt in the last answer of `logits`, compared with the [B] chosen codes."""
        ...

    def append(self, codes: IntArray) -> None:
        """Take the [B] codes that were chosen and move on to the next position."""
        ...

    def replay(self, codes: IntArray, neighbours: Sequence[Sequence[Neighbours | None]] | None) -> None:
        """Take the [B, n] codes of the first n >= 1 positions at once, at the beginning, and move on to position n.

        The same as asking for `logits` and calling `append` at each of them, but for rounding, and faster where the
        model can read many codes in one pass. neighbours: [n][B], as in `logits`; None leaves the blenders out.
        """
        ...

    def close(self) -> None:
        """Free the state; the generation is over or was cancelled."""
        ...


class Snapshot(Protocol):
    """What a model has worked out for one prompt and the codes so far; means something to that model alone."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        ...


class Resumable(Protocol):
    """A `Decoding` that can go on from what another one knew, which is faster than to read the codes anew.

    For models that are slow to read; `core.backends.complete.resumable` finds out which do.
    """

    @property
    def appended(self) -> int:
        """How many codes were appended, or read by `replay` or `resume`."""
        ...

    def snapshot_bytes(self) -> int:
        """Memory of a snapshot of one of its prompts now; 0 where none is to be made."""
        ...

    def snapshot(self, row: int) -> Snapshot:
        """What is known of a prompt, up to the codes that were appended; the decoding may go on, or be closed."""
        ...

    def resume(self, snapshots: Sequence[Snapshot], codes: IntArray, known: int) -> None:
        """As `replay` of the codes [B, n] without blenders, where snapshots of the B prompts know the first ones.

        known: how many, 1..n; a snapshot may know more, and other ones after these. The logits are, to the bit, those
        of the decoding that the snapshot is of, if it is of one prompt alone, like this one, and `known` is n.
        """
        ...


class Drafting(Protocol):
    """A `Decoding` that predicts several positions in one pass, given a guess of the codes between them.

    `core.backends.complete.drafting` finds out which do.
    """

    @property
    def draft_length(self) -> int:
        """How many codes are worth guessing in a pass that draws one picture; 0 where a guess does not pay."""
        ...

    def outlook(self) -> Predicted | None:
        """Logits [B, S, V] of all positions, as the prompt alone lets expect them; None where nothing is known."""
        ...

    def logits(
        self, neighbours: Sequence[Neighbours | None] | None = None, drafts: IntArray | None = None
    ) -> Predicted:
        """See `Decoding.logits`."""
        ...


class Settling(Protocol):
    """A `Decoding` that can say what it predicts in sums whose order depends on nothing but the codes.

    A pass over one position, over several, or over several pictures adds up in other orders, and so differs in the last
    digits: enough to change the code of a race that is all but tied. `core.backends.complete.settling` finds out which
    do.
    """

    def settled(self, row: int, codes: IntArray) -> Predicted:
        """Logits [1, V] of the position after the codes [n] of a prompt, by a pass of its own, without blenders."""
        ...


def replay_in_turn(
    decoding: Decoding, codes: IntArray, neighbours: Sequence[Sequence[Neighbours | None]] | None
) -> None:
    """`Decoding.replay` for a model that has no faster way: one position after the other."""
    for position, chosen in enumerate(codes.T):
        decoding.logits(None if neighbours is None else neighbours[position])
        decoding.append(chosen)


class Backend(Protocol):
    """As `SmallBackend`, with all that a model may say of itself and can do beyond drawing."""

    @property
    def name(self) -> str:
        """Short name for traces and messages."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides what it draws, but what FAiD adds; a trace records it."""
        ...

    @property
    def caption_encoder(self) -> str:
        """Hash of what `embed_captions` depends on; databases name the one that made their caption vectors."""
        ...

    @property
    def faid(self) -> str | None:
        """Hash of the weights that FAiD adds; None for a model without them."""
        ...

    @property
    def grid(self) -> Grid:
        """Shape of the token grid."""
        ...

    @property
    def pixels(self) -> int:
        """Height and width of its pictures."""
        ...

    @property
    def description(self) -> str:
        """Which model it is and where it runs, in words for the reader."""
        ...

    @property
    def licence(self) -> str:
        """The licence of its weights, "" when it does not say."""
        ...

    @property
    def defaults(self) -> DecodeSettings:
        """The settings that it draws well with."""
        ...

    @property
    def codebook(self) -> Codebook:
        """The code vectors that contexts are compared in."""
        ...

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int = 0, negatives: bool = False
    ) -> Decoding:
        """Begin a generation for B prompts; `guided` also computes the unconditional rows for CFG.

        faid_neighbours: features K that go through the blenders of FAiD at each position; 0: a generation without
        FAiD. negatives: with guidance, also compute negative prompts, where the model knows some. Raises ConfigError
        for what the model cannot do.
        """
        ...

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, E] of texts, for the caption filter."""
        ...

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, height, width] of RGB images [N, pixels, pixels, 3]."""
        ...

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """RGB images [N, pixels, pixels, 3] of token grids [N, height, width]."""
        ...


Place = Literal["start", "before", "after", "end"]
"""Where a hidden state is read: what enters the first layer; in a layer with a blender, between attention and the rest,
before and after what the blender adds; what leaves a layer."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One place at which the lens reads; layer: number of the decoder layer."""

    layer: int
    place: Place


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one teacher-forced pass over the n codes of a run shows: attention, and the lens at S stages.

    All of it is of the conditional pass, before guidance, temperature and truncation, and before DAiD mixes. The lens
    (logit lens, nostalgebraist 2020) puts the model's last norm and head on a hidden state that they were not trained
    for, but at the last stage, which is the model's own prediction.

    words: the T entries before the codes that can be attended to, as texts; heads: of a layer; attention:
    [layers, heads or 1, n, T + n - 1] float16, 1 standing for the mean over heads: with what weight the entry that
    predicts a position looks at the words and at the codes before it. Rows sum to 1, and are 0 at and after the
    position. codes, chances: [S, n, C] the likeliest codes and their probabilities; taken: [S, n] the probability of
    the code that was taken. note: what else a reader has to know of this model, "" for nothing.
    """

    words: tuple[str, ...]
    heads: int
    attention: npt.NDArray[np.float16]
    stages: tuple[Stage, ...]
    codes: CodeArray
    chances: FloatArray
    taken: FloatArray
    note: str = ""

    @property
    def nbytes(self) -> int:
        """Memory of its arrays."""
        return self.attention.nbytes + self.codes.nbytes + self.chances.nbytes + self.taken.nbytes


def never() -> bool:
    """Nobody wants it to end."""
    return False


class Inspecting(Protocol):
    """A model that shows what goes on inside of it; `core.backends.complete.inspecting` finds out which does."""

    def inspect(
        self,
        prompt: str,
        codes: IntArray,
        neighbours: Sequence[Neighbours | None] | None = None,
        faid_neighbours: int = 0,
        stopped: Callable[[], bool] = never,
    ) -> Inspection:
        """Attention and lens of the codes [n] of a run, in one pass.

        neighbours: [n], what the blenders get at each position, as in `Decoding.logits`; None as a whole: a run without
        blenders; faid_neighbours as in `Backend.start`. stopped: asked between layers, raises ConfigError when it says
        so. Decoding is left as it is.
        """
        ...


class Reader(Protocol):
    """A model that predicts all codes of given pictures in one pass; `core.backends.complete.reader` knows them."""

    def read(
        self,
        prompts: Sequence[str],
        codes: IntArray,
        neighbours: Sequence[Sequence[Neighbours | None]] | None = None,
        faid_neighbours: int = 0,
    ) -> FloatArray:
        """Conditional logits [B, S, V] of all codes [B, S], each given the ones before it.

        The same as asking a decoding without guidance for `logits` at each position and appending the code, but for
        rounding. neighbours: [S][B], and faid_neighbours, as in `Decoding.replay` and `Backend.start`.
        """
        ...


NO_KNOWN_WORD = "no word of this prompt is known"


def why_unfiltered(backend: Backend, prompt: str, settings: DecodeSettings) -> str | None:
    """Why the caption filter of a run does nothing; None when it does its work, or is off."""
    if not settings.retrieves or settings.caption_filter == 0 or backend.embed_captions([prompt]).any():
        return None
    return NO_KNOWN_WORD
