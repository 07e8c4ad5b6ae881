"""The Fréchet wavelet distance of pictures: Veeramacheneni et al. 2024, arXiv 2312.15289; needs no trained network.

A wavelet packet transform splits a picture into packets of one band of frequencies each; the distance is the mean over
the packets of the Fréchet distance of their coefficients. The authors' package `pytorchfwd` 1.0.1 asks for a scipy that
does not go with the numpy of this project, so that the formula is computed here; it gives the same to 7 digits
(tests/unit/test_distances.py). With the Haar wavelet a level is: sums and differences of each two rows, then columns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .distances import FrechetTo
from .suite import Pixels

LEAST_SIDE = 16
"""Coefficients a side of a packet: level 4 for pictures of 256 pixels, 3 for 128, as the authors' README says."""

Packets = npt.NDArray[np.float64]


def level_of(side: int) -> int:
    """Levels for pictures of `side` pixels: as many as leave packets of at least 16 and divide it evenly."""
    level = 0
    while side % 2 == 0 and side // 2 >= LEAST_SIDE:
        side, level = side // 2, level + 1
    return level


def packets(pictures: npt.NDArray[np.uint8], level: int) -> Packets:
    """Packets [4^level, N, 3 h w] of pictures [N, H, W, 3], whose values are taken from 0 to 1; h = H / 2^level.

    ValueError where a side cannot be halved so often.
    """
    if any(side % 2**level for side in pictures.shape[1:3]):
        raise ValueError(f"got pictures of {pictures.shape[1:3]}, expected sides that {2**level} divides")
    bands = (np.moveaxis(pictures, -1, 1) / 255.0)[None]
    for _ in range(level):
        bands = np.concatenate([half for rows in _halves(bands, -2) for half in _halves(rows, -1)])
    found: Packets = bands.reshape(len(bands), len(pictures), -1)
    return found


def _halves(bands: Packets, axis: int) -> tuple[Packets, Packets]:
    """Low and high band along an axis, orthonormal."""
    even, odd = (np.take(bands, np.arange(first, bands.shape[axis], 2), axis) for first in (0, 1))
    return (even + odd) / np.sqrt(2), (even - odd) / np.sqrt(2)


def wavelet_distance_to(drawn: Pixels, real: Pixels) -> FrechetTo:
    """The distance from pictures [N, H, W, 3] to real ones [M, H, W, 3], of which `of` takes any of the N."""
    level = level_of(min(drawn.shape[1:3]))
    return FrechetTo(packets(drawn, level), packets(real, level))


def wavelet_distance(drawn: Pixels, real: Pixels) -> float:
    """That of all of them."""
    return wavelet_distance_to(drawn, real).of(np.arange(len(drawn)))
