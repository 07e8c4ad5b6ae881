"""Token grids in any number that look up as real ones do: made from the pictures of the shipped databases.

A synthetic picture is a real one (of the shipped database; queries: of the held-out pictures) that is rolled by any
number of rows and columns, mirrored or not, turned by one of ROTATIONS rotations of the sphere that the code vectors
lie on (each code becomes the one nearest to its turned vector), and roughened: JITTER of its codes become one of the
NEAR nearest others. So neighbouring codes belong together as in real pictures, plain regions stay plain, and contexts
repeat, exactly or nearly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..assets import ASSETS
from ..codebook import Codebook
from ..patches.array_file import ArrayFile
from ..types import CodeArray, FloatArray, Grid, IntArray

ROTATIONS: Final = 64
JITTER: Final = 0.3
NEAR: Final = 8
CHILDREN: Final = 16
SPREAD: Final = 0.15
"""Length of what is added to a code vector to make another one beside it; the nearest two of the embedded codebook are
a median of 0.38 apart."""

BLOCK: Final = 2048
SEED: Final = 20


def derived_codebook(codebook: Codebook) -> Codebook:
    """CHILDREN codes around each code of another codebook: 16,384 for the embedded one, of the same dimension."""
    rng = np.random.default_rng(SEED)
    noise = rng.normal(size=(codebook.size, CHILDREN, codebook.dim))
    noise *= SPREAD / np.linalg.norm(noise, axis=-1, keepdims=True)
    return Codebook.from_vectors((codebook.vectors[:, None] + noise).reshape(-1, codebook.dim).astype(np.float32))


@dataclass(frozen=True)
class Source:
    """What synthetic pictures are made of.

    grids: [M, h, w] real pictures; turned: [ROTATIONS, codes of theirs] the codes that they become; near: [V, NEAR] the
    nearest codes of each; grid: the shape to make, larger ones going on with the picture from its other side.
    """

    grids: CodeArray
    turned: CodeArray
    near: CodeArray
    grid: Grid

    @classmethod
    def of(cls, own: Codebook, codebook: Codebook, grid: Grid, held_out: bool = False) -> Source:
        """Pictures in the codes `own`, to become ones of a codebook; held_out: those that no database has."""
        folder = ASSETS / "heldout" / "test" if held_out else ASSETS / "databases" / "emoji"
        rng = np.random.default_rng(SEED)
        rotations = np.linalg.qr(rng.normal(size=(ROTATIONS, own.dim, own.dim)))[0].astype(np.float32)
        turned = np.stack([(own.vectors @ rotation @ codebook.vectors.T).argmax(axis=1) for rotation in rotations])
        near = _nearest(codebook.vectors, codebook, NEAR + 1)[:, 1:]
        return cls(np.load(folder / "grids.npy"), turned.astype(np.uint16), near, grid)

    def make(self, count: int, seed: int) -> CodeArray:
        """That many pictures [count, H, W]."""
        rng = np.random.default_rng((SEED, seed))
        height, width = self.grids.shape[1:]
        rows = (rng.integers(height, size=(count, 1)) + np.arange(self.grid.height)) % height
        cols = (rng.integers(width, size=(count, 1)) + np.arange(self.grid.width)) % width
        cols = np.where(rng.random((count, 1)) < 0.5, cols, width - 1 - cols)
        pictures = rng.integers(len(self.grids), size=(count, 1, 1))
        there = self.grids[pictures, rows[:, :, None], cols[:, None, :]]
        codes: CodeArray = self.turned[rng.integers(ROTATIONS, size=(count, 1, 1)), there]
        rough = rng.random(codes.shape, dtype=np.float32) < JITTER
        codes[rough] = self.near[codes[rough], rng.integers(NEAR, size=int(rough.sum()), dtype=np.uint8)]
        return codes


def write_grids(path: Path, source: Source, count: int) -> None:
    """Write that many pictures into a .npy file, always the same ones; a part of the name until all are there."""
    part = path.with_suffix(".part")
    with ArrayFile(part, "<u2", (source.grid.height, source.grid.width)) as file:
        for start in range(0, count, BLOCK):
            file.append(source.make(min(BLOCK, count - start), seed=1 + start))
    part.replace(path)


def _nearest(vectors: FloatArray, codebook: Codebook, count: int) -> CodeArray:
    """The nearest codes of each vector [M, d], nearest first: [M, count]."""
    found: list[npt.NDArray[np.uint16]] = []
    for start in range(0, len(vectors), 1024):
        likeness = vectors[start : start + 1024] @ codebook.vectors.T
        best: IntArray = np.argpartition(-likeness, count, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(likeness, best, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(best, order, axis=1).astype(np.uint16))
    return np.concatenate(found)
