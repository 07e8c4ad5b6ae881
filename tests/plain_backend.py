"""A model of numpy alone that encodes pictures, and ones that some pictures kill or that fail."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from core.backends import ModelSource
from core.backends.protocol import SmallDecoding
from core.codebook import Codebook
from core.types import CodeArray, FloatArray, Grid

SIDE, CELL = 32, 4
MAGENTA: Final = (255, 0, 255)
"""What kills the ones that can be killed."""


class PlainBackend:
    """A code is the colour of a patch of 4 x 4 pixels, two bits for each of red, green and blue."""

    name = "plain"
    fingerprint = "plain"
    caption_encoder = "sha256 of texts"
    pixels = SIDE
    grid = Grid(SIDE // CELL, SIDE // CELL)

    def __init__(self) -> None:
        colours = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), -1).reshape(-1, 3)
        self.codebook = Codebook.from_vectors((colours * 2 - 2.5).astype(np.float32))

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Token grids [N, 8, 8]."""
        count, cells = len(images), SIDE // CELL
        means = images.reshape(count, cells, CELL, cells, CELL, 3).mean(axis=(2, 4))
        steps = (means // 64).astype(np.uint16)
        grids: CodeArray = steps[..., 0] * 16 + steps[..., 1] * 4 + steps[..., 2]
        return grids

    def embed_captions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, 8]."""
        digests = [np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], np.uint8) for text in texts]
        vectors = np.stack(digests).astype(np.float32) + 1
        unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def start(self, prompts: Sequence[str], guided: bool) -> SmallDecoding:
        """It does not draw."""
        raise NotImplementedError

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        """It does not draw."""
        raise NotImplementedError


class Mortal(PlainBackend):
    """Killed by any batch with a magenta picture in it."""

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """As above, or the end."""
        if (images[:, 0, 0] == MAGENTA).all(-1).any():
            os.kill(os.getpid(), signal.SIGKILL) if sys.platform != "win32" else os._exit(9)
        return super().encode_images(images)


class Failing(PlainBackend):
    """Raises."""

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """Nothing comes of it."""
        raise RuntimeError("this model\nis broken")


class Interrupted(PlainBackend):
    """The whole process is killed once, after some batches; a file in the folder that `--model` names says when."""

    def __init__(self, left: Path) -> None:
        super().__init__()
        self._left = left

    def encode_images(self, images: npt.NDArray[np.uint8]) -> CodeArray:
        """As above, until it is over."""
        left = int(self._left.read_text(encoding="ascii"))
        self._left.write_text(str(left - 1), encoding="ascii")
        if left == 0:
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_images(images)


def plain(source: ModelSource) -> PlainBackend:
    """The usual one."""
    return PlainBackend()


def mortal(source: ModelSource) -> PlainBackend:
    """The one that magenta kills."""
    return Mortal()


def failing(source: ModelSource) -> PlainBackend:
    """The one that raises."""
    return Failing()


def interrupted(source: ModelSource) -> PlainBackend:
    """The one that takes everything with it."""
    return Interrupted(Path(source.model))
