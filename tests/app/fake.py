"""A small model and database for the page's tests: codes are plain colours, pictures are discs, nothing is trained."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.database import ImageInfo, PatchDatabase
from core.tokenizer import Codebook
from core.types import CodeArray, FloatArray, Grid, IntArray

SIDE = 8
CODES = 1024
STYLES = ("3d", "flat")


def palette() -> npt.NDArray[np.uint8]:
    """Colours [1024, 3] of the codes: 8 levels of red, 16 of green, 8 of blue."""
    code = np.arange(CODES)
    levels = np.stack([code >> 7, (code >> 3) & 15, code & 7], axis=1)
    return (levels * 255 / np.array([7, 15, 7])).astype(np.uint8)


def code_of(colours: npt.NDArray[np.integer]) -> CodeArray:
    """The code of the nearest level of each colour [..., 3]."""
    red, green, blue = (np.rint(colours[..., i] * top / 255).astype(np.uint16) for i, top in enumerate((7, 15, 7)))
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
    """Draws the disc that belongs to the prompt, with some noise; `pause` seconds a code."""

    pause: float = 0.0
    name: str = "fake"
    fingerprint: str = "fake-model"
    grid: Grid = field(default_factory=lambda: Grid(16, 16))

    @cached_property
    def codebook(self) -> Codebook:
        """Random directions."""
        vectors = np.random.default_rng(0).normal(size=(CODES, 8)).astype(np.float32)
        vectors[:, :3] += palette() / 32.0 - 4
        return Codebook.from_vectors(vectors)

    def start(self, prompts: Sequence[str], guided: bool) -> FakeDecoding:
        """Begin a generation."""
        return FakeDecoding(self, prompts, guided)

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, 16] by a hash of the text."""
        rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=16) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Code of the mean colour of every patch."""
        cells = images.reshape(len(images), self.grid.height, SIDE, self.grid.width, SIDE, 3).mean(axis=(2, 4))
        return code_of(cells)

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """Every patch in the colour of its code."""
        return palette()[grids].repeat(SIDE, axis=1).repeat(SIDE, axis=2)


class FakeDecoding:
    """Prefers the codes of the prompt's disc; seeded by the prompt."""

    def __init__(self, backend: FakeBackend, prompts: Sequence[str], guided: bool) -> None:
        seeds = [zlib.crc32(prompt.encode()) for prompt in prompts]
        self._targets = np.stack([code_of(disc(backend.grid, seed)).ravel() for seed in seeds])
        self._noise = [np.random.default_rng(seed) for seed in seeds]
        self._backend, self._guided, self._position = backend, guided, 0

    def logits(self) -> tuple[FloatArray, FloatArray | None]:
        """Noise with a bump at the wanted code and its neighbours."""
        time.sleep(self._backend.pause)
        logits = np.stack([noise.normal(0, 0.8, CODES) for noise in self._noise]).astype(np.float32)
        for row, target in enumerate(self._targets[:, self._position]):
            logits[row, [target, (target + 8) % CODES, (target + 128) % CODES]] += [7, 6, 5.5]
        return logits, np.zeros_like(logits) if self._guided else None

    def append(self, codes: IntArray) -> None:
        """Move on."""
        self._position += 1

    def close(self) -> None:
        """Nothing to free."""


def fake_database(backend: FakeBackend, images: int = 60) -> PatchDatabase:
    """Discs in two styles, with captions and pictures."""
    cells = np.stack([disc(backend.grid, seed) for seed in range(images)])
    metadata = [ImageInfo(f"disc number {i}", STYLES[i % 2], f"disc-{i}", "fake discs") for i in range(images)]
    captions = backend.embed_captions([info.caption for info in metadata])
    pictures = [_webp(picture) for picture in cells]
    return PatchDatabase.build(backend.codebook, code_of(cells), metadata, captions=captions, pictures=pictures)


def _webp(cells: npt.NDArray[np.uint8]) -> bytes:
    """Cell colours as an encoded picture."""
    buffer = io.BytesIO()
    Image.fromarray(cells.repeat(SIDE, axis=0).repeat(SIDE, axis=1)).save(buffer, "WEBP", quality=70)
    return buffer.getvalue()
