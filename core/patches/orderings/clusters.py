"""An order of the codes in which near ones stand together, and their clusters."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ...codebook import Codebook
from ...types import FloatArray, IntArray

LEVELS: Final = 8
"""2^8 clusters: the codes are halved that often."""


def code_order(codebook: Codebook) -> npt.NDArray[np.uint16]:
    """All V codes and code V, which stands for a missing cell, in an order where near ones stand together: [V + 1].

    Halved again and again across the direction in which they spread most, which makes each cluster of 2^j ones a range
    that `cluster_starts` gives. Only how fast a search is depends on it.
    """
    vectors = np.concatenate([codebook.vectors, np.zeros((1, codebook.dim), np.float32)]).astype(np.float64)
    parts = [np.arange(len(vectors))]
    for _ in range(LEVELS):
        parts = [half for part in parts for half in _halves(part, vectors)]
    return np.concatenate(parts).astype(np.uint16)


def cluster_starts(codes: int, levels: int = LEVELS) -> IntArray:
    """Where each of the 2^levels clusters begins in the order of that many codes, and the end: [2^levels + 1]."""
    sizes = np.array([codes])
    for _ in range(levels):
        sizes = np.stack([sizes // 2, sizes - sizes // 2], axis=1).ravel()
    return np.concatenate([[0], np.cumsum(sizes)])


def _halves(part: IntArray, vectors: FloatArray | npt.NDArray[np.float64]) -> tuple[IntArray, IntArray]:
    """The two halves of some codes, those further along the direction of their largest spread in the second one."""
    if len(part) < 2:
        return part[:0], part
    centred = vectors[part] - vectors[part].mean(axis=0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    direction *= np.sign(direction[np.abs(direction).argmax()])  # its sign means nothing: the same on every machine
    along = part[np.argsort(centred @ direction, kind="stable")]
    return along[: len(part) // 2], along[len(part) // 2 :]
