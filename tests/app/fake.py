"""A small model and database for the page's tests: codes are plain colours, pictures are discs, nothing is trained."""

from __future__ import annotations

import io
import re
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.backends.protocol import Inspection, Place, Predicted, Stage, never
from core.codebook import Codebook
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.types import CodeArray, ConfigError, DecodeSettings, FaidStep, FloatArray, Grid, IntArray, Neighbours

SIDE = 8
CODES = 1024
STYLES = ("3d", "flat")
BLENDERS, HOPS = (0, 3), (1, 2)
MIXED, SHARPNESS = (0.25, 0.6), (1.5, 4.0)
"""Of each blender: how far it takes a feature to the wanted code's, and how steeply its score follows the fit."""


def palette() -> npt.NDArray[np.uint8]:
    """Colours [1024, 3] of the codes: 8 levels of red, 16 of green, 8 of blue."""
    code = np.arange(CODES)
    levels = np.stack([code >> 7, (code >> 3) & 15, code & 7], axis=1)
    return (levels * 255 / np.array([7, 15, 7])).astype(np.uint8)


def code_of(colours: npt.NDArray[np.integer]) -> CodeArray:
    """The code of the nearest level of each colour [..., 3]."""
    red, green, blue = (np.rint(colours[..., i] / 255 * top).astype(np.uint16) for i, top in enumerate((7, 15, 7)))
    return red << 7 | green << 3 | blue


def disc(grid: Grid, seed: int) -> npt.NDArray[np.uint8]:
    """Cell colours [H, W, 3] of a shaded disc with an eye, on white."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: grid.height, : grid.width]
    centre = np.array([grid.height, grid.width]) / 2 + rng.uniform(-1, 1, 2)
    radius = grid.height * rng.uniform(0.28, 0.42)
    away = np.hypot(rows - centre[0], cols - centre[1])
    colour = rng.uniform(30, 230, 3)
    shade = np.clip(1.15 - 0.5 * away / radius, 0, 1)[..., None]
    picture = np.where(
        (away <= radius)[..., None], np.clip(colour * shade + 25 * (rows < centre[0])[..., None], 0, 255), 255
    )
    picture[int(centre[0] - 1), int(centre[1]) + 2] = 20
    return picture.astype(np.uint8)


@dataclass(frozen=True)
class FakeBackend:
    """Draws the disc that belongs to the prompt, with some noise; `pause` seconds a code; faid None: no blenders."""

    pause: float = 0.0
    name: str = "fake"
    fingerprint: str = "fake-model"
    caption_encoder: str = "fake-captions"
    faid: str | None = "fake-blenders"
    licence: str = "none"
    defaults: DecodeSettings = field(default_factory=DecodeSettings)
    grid: Grid = field(default_factory=lambda: Grid(16, 16))

    @property
    def description(self) -> str:
        """Which model it is and where it runs."""
        return f"{self.name}, on the CPU"

    @property
    def pixels(self) -> int:
        """Side of a picture."""
        return SIDE * self.grid.width

    @cached_property
    def codebook(self) -> Codebook:
        """Random directions."""
        vectors = np.random.default_rng(0).normal(size=(CODES, 8)).astype(np.float32)
        vectors[:, :3] += palette() / 32.0 - 4
        return Codebook.from_vectors(vectors)

    def wait(self) -> None:
        """Take the time of one code; to sleep for none would give up the processor, for long on a busy machine."""
        if self.pause:
            time.sleep(self.pause)

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int, negatives: bool = False
    ) -> FakeDecoding:
        """Begin a generation."""
        return FakeDecoding(self, prompts, guided, faid_neighbours)

    def inspect(
        self,
        prompt: str,
        codes: IntArray,
        neighbours: Sequence[Neighbours | None] | None = None,
        faid_neighbours: int = 0,
        stopped: Callable[[], bool] = never,
    ) -> Inspection:
        """Random attention of four layers with two heads; each stage is a little surer of the codes that were taken."""
        self.wait()
        if stopped():
            raise ConfigError("inside: it was stopped before the last layer; ask again")
        rng, words, count = np.random.default_rng(zlib.crc32(prompt.encode())), ("a", "disc", "(start)"), len(codes)
        seen = np.tril(np.ones((count, len(words) + count - 1)), len(words) - 1)
        attention = rng.exponential(size=(4, 2, *seen.shape)) * seen
        attention /= attention.sum(axis=-1, keepdims=True)
        places: tuple[Place, ...] = ("end",) if neighbours is None else ("before", "after", "end")
        stages = [Stage(0, "start"), *(Stage(n, p) for n in range(4) for p in (places if n in BLENDERS else ("end",)))]
        taken = np.repeat(np.linspace(0.1, 0.6, len(stages))[:, None], count, axis=1)
        first = np.where(taken > 0.3, codes, (codes + 8) % CODES)
        likeliest = np.stack([first, (first + 1) % CODES], axis=-1).astype(np.uint16)
        chances = np.stack([np.maximum(taken, 0.4), 0 * taken + 0.05], axis=-1).astype(np.float32)
        read = (likeliest, chances, taken.astype(np.float32))
        return Inspection(words, 2, attention.astype(np.float16), tuple(stages), *read, "A fake.")

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, 16] by a hash of the text; zero for one without a Latin letter."""
        rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=16) for text in texts]
        known = [bool(re.search("[A-Za-z]", text)) for text in texts]
        return np.stack([k * row / np.linalg.norm(row) for k, row in zip(known, rows, strict=True)]).astype(np.float32)

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Code of the mean colour of every patch."""
        cells = images.reshape(len(images), self.grid.height, SIDE, self.grid.width, SIDE, 3).mean(axis=(2, 4))
        return code_of(cells)

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """Every patch in the colour of its code."""
        return palette()[grids].repeat(SIDE, axis=1).repeat(SIDE, axis=2)


class FakeDecoding:
    """Prefers the codes of the prompt's disc; seeded by the prompt. Blended neighbours make their codes likelier."""

    def __init__(self, backend: FakeBackend, prompts: Sequence[str], guided: bool, faid_neighbours: int) -> None:
        self._seeds = [zlib.crc32(prompt.encode()) for prompt in prompts]
        self._targets = np.stack([code_of(disc(backend.grid, seed)).ravel() for seed in self._seeds])
        self._backend, self._guided, self._features = backend, guided, faid_neighbours
        self._position = 0
        self._blended: Sequence[Neighbours | None] = []

    def logits(self, neighbours: Sequence[Neighbours | None] | None = None) -> Predicted:
        """Noise with a bump at the wanted code and its neighbours, and one at each blended code."""
        self._backend.wait()
        logits = self._logits(neighbours)
        if neighbours is not None:
            self._blended = neighbours
        return Predicted(logits, np.zeros_like(logits) if self._guided else None)

    def counterfactuals(self) -> tuple[FloatArray, FloatArray]:
        """On blank features, and without the blenders."""
        return self._logits([None] * len(self._seeds)), self._logits(None)

    def _logits(self, neighbours: Sequence[Neighbours | None] | None) -> FloatArray:
        """Logits [B, V]; blenders make one code likelier even on blank features."""
        logits = np.zeros((len(self._seeds), CODES), np.float32)
        for row, (seed, target) in enumerate(zip(self._seeds, self._targets[:, self._position], strict=True)):
            logits[row] = np.random.default_rng((seed, self._position)).normal(0, 0.8, CODES)
            logits[row, [target, (target + 8) % CODES, (target + 128) % CODES]] += [7, 6, 5.5]
        if neighbours is not None:
            for row, found in enumerate(neighbours):
                logits[row, (7 * self._position) % CODES] += 4.0
                logits[row, np.unique(self._codes(found))] += 1.5
        return logits

    def blends(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """What the blenders did with the neighbours that `logits` took last."""
        wanted = self._targets[:, self._position]
        rows = zip(self._blended, wanted, codes, strict=True)
        return tuple(self._blend(found, int(want), int(code)) for found, want, code in rows)

    def _codes(self, found: Neighbours | None) -> IntArray:
        """Codes of the neighbours that are blended."""
        return found.codes[: self._features] if found else np.zeros(0, np.int64)

    def _blend(self, found: Neighbours | None, wanted: int, code: int) -> FaidStep:
        """Blenders that move each feature towards the wanted code's, and score how near it was."""
        vectors, codes = self._backend.codebook.vectors, self._codes(found)
        size = (len(BLENDERS), self._features)
        compatibility, start, taken = (np.zeros(size, np.float32) for _ in range(3))
        compatibility += 0.2 + 0.1 * np.sin(self._position)  # of a blank feature
        mixed, sharpness = (np.array(values)[:, None] for values in (MIXED, SHARPNESS))
        features = (1 - mixed[..., None]) * vectors[codes] + mixed[..., None] * vectors[wanted]
        present = slice(len(codes))
        compatibility[:, present] = 1 / (1 + np.exp(-sharpness * (2 * _cosine(vectors[codes], vectors[wanted]) - 0.6)))
        start[:, present] = _cosine(features, vectors[codes])
        taken[:, present] = _cosine(features, vectors[code])
        share = 0.04 * np.arange(1, len(BLENDERS) + 1) + 0.06 * compatibility.mean(axis=1)
        weights = np.array([[0.63, 0.37], [0.48, 0.52]], np.float32)
        numbers = (np.array(BLENDERS), np.array(HOPS), len(codes), compatibility, weights, share.astype(np.float32))
        return FaidStep(*numbers, start, taken)

    def append(self, codes: IntArray) -> None:
        """Move on."""
        self._position += 1

    def replay(self, codes: IntArray, neighbours: Sequence[Sequence[Neighbours | None]] | None) -> None:
        """Nothing is remembered of earlier codes."""
        self._position = codes.shape[1]

    def close(self) -> None:
        """Nothing to free."""


def _cosine(a: FloatArray, b: FloatArray) -> FloatArray:
    """Cosines of vectors [..., D]."""
    cosines: FloatArray = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    return cosines


def fake_database(backend: FakeBackend, images: int = 60) -> PatchDatabase:
    """Discs in two styles, with captions and pictures."""
    cells = np.stack([disc(backend.grid, seed) for seed in range(images)])
    metadata = [ImageInfo(f"disc number {i}", STYLES[i % 2], f"disc-{i}", "fake discs") for i in range(images)]
    captions = backend.embed_captions([info.caption for info in metadata])
    pictures = [_webp(picture) for picture in cells]
    return PatchDatabase.build(
        backend.codebook, code_of(cells), metadata, captions=captions, pictures=pictures,
        caption_encoder=backend.caption_encoder,
    )  # fmt: skip


def _webp(cells: npt.NDArray[np.uint8]) -> bytes:
    """Cell colours as an encoded picture."""
    buffer = io.BytesIO()
    Image.fromarray(cells.repeat(SIDE, axis=0).repeat(SIDE, axis=1)).save(buffer, "WEBP", quality=70)
    return buffer.getvalue()
