"""Judges of generated pictures: which concept, style and colour they show, by fixed features and small classifiers.

Nothing here is pretrained: features are plain colours and gradients, and the classifiers are linear ones that learn
from the shipped pictures in seconds. They say how good they are themselves, on pictures they have not learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..types import CodeArray, FloatArray, IntArray

Pictures = npt.NDArray[np.uint8]
Names = Sequence[str]

CELLS, ORIENTATIONS = 8, 8
"""Of the gradient histograms: cells a side, and directions without sign."""

PALETTE = 8
"""Steps of each channel in the colour histogram of the style judge."""

EDGES = (0, 0.004, 0.008, 0.016, 0.03, 0.06, 0.12, 0.25, 0.5, 1.01)
"""Bins of how much neighbouring pixels differ: flat areas, gradients, outlines."""

SIMILAR = 12
"""Codes that may stand in for a code in a roughened token grid."""


# -- Features ---------------------------------------------------------------------------------------------------------


def shrunk(pictures: npt.NDArray[np.generic], side: int) -> FloatArray:
    """[N, side, side, C] means over equal squares of [N, H, W, C]."""
    count, size, _, channels = pictures.shape
    parts = pictures.reshape(count, side, size // side, side, size // side, channels)
    means: FloatArray = parts.mean(axis=(2, 4), dtype=np.float32)
    return means


def unit(rows: FloatArray) -> FloatArray:
    """Rows [N, F] of length 1; a zero row stays."""
    scaled: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-9))
    return scaled


def layout(pictures: Pictures) -> FloatArray:
    """[N, 768] colours on a 16 x 16 raster, 0 for the white ground."""
    colours: FloatArray = (1 - shrunk(pictures, 16) / np.float32(255)).reshape(len(pictures), -1)
    return colours


def gradients(pictures: Pictures) -> FloatArray:
    """[N, 512] histograms of gradient directions (Dalal and Triggs 2005) on an 8 x 8 raster, as square roots.

    At each of 64 x 64 points the colour channel with the steepest gradient counts. A cell also takes half of what its
    four neighbours have, so that a small shift changes little.
    """
    points = shrunk(pictures, 64) / 255
    down, across = np.zeros_like(points), np.zeros_like(points)
    down[:, 1:-1], across[:, :, 1:-1] = points[:, 2:] - points[:, :-2], points[:, :, 2:] - points[:, :, :-2]
    steepest = np.hypot(down, across).argmax(axis=-1)[..., None]
    down, across = (np.take_along_axis(part, steepest, axis=-1)[..., 0] for part in (down, across))
    angle = (np.arctan2(down, across) % np.pi) / np.pi * ORIENTATIONS
    low, share = np.floor(angle).astype(np.int64), angle - np.floor(angle)
    histogram = np.zeros((*angle.shape, ORIENTATIONS), np.float32)
    for bin_, part in ((low, 1 - share), (low + 1, share)):
        index = (bin_ % ORIENTATIONS)[..., None]
        held = np.take_along_axis(histogram, index, axis=-1)
        np.put_along_axis(histogram, index, held + (np.hypot(down, across) * part)[..., None], axis=-1)
    cells = shrunk(histogram, CELLS)
    padded = np.pad(cells, ((0, 0), (1, 1), (1, 1), (0, 0)))
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    blurred: FloatArray = np.sqrt(cells + around / 2).reshape(len(pictures), -1)
    return blurred


def palette(pictures: Pictures) -> FloatArray:
    """[N, 512] square roots of the joint colour histogram."""
    steps = pictures.astype(np.int64) * PALETTE // 256
    cells = (steps[..., 0] * PALETTE + steps[..., 1]) * PALETTE + steps[..., 2]
    counts = [np.bincount(row, minlength=PALETTE**3) for row in cells.reshape(len(pictures), -1)]
    shares: FloatArray = np.sqrt(np.array(counts, np.float32) / cells[0].size)
    return shares


def texture(pictures: Pictures) -> FloatArray:
    """[N, 54] square roots of the shares of flat, gently and steeply changing places, at three scales."""
    found = []
    for side in (128, 64, 32):
        points = shrunk(pictures, side) / 255
        for axis in (1, 2):
            change = np.abs(np.diff(points, axis=axis)).max(axis=-1).reshape(len(pictures), -1)
            found.append(np.stack([np.histogram(row, EDGES)[0] / row.size for row in change]))
    shares: FloatArray = np.sqrt(np.hstack(found)).astype(np.float32)
    return shares


def surface(pictures: Pictures) -> FloatArray:
    """[N, 566] what the style judge sees of the pixels; the codes come on top."""
    return np.hstack([palette(pictures), texture(pictures)])


def codes_used(grids: CodeArray, size: int) -> FloatArray:
    """[N, V] square roots of the shares of the V = `size` codes in token grids [N, H, W]."""
    rows = grids.reshape(len(grids), -1).astype(np.int64)
    shares: FloatArray = np.sqrt(
        np.array([np.bincount(row, minlength=size) for row in rows], np.float32) / rows.shape[1]
    )
    return shares


def roughened(grids: CodeArray, vectors: FloatArray, share: float, rng: np.random.Generator) -> CodeArray:
    """Token grids with a share of the codes replaced by similar ones, as drawn pictures are less smooth than real ones.

    vectors: [V, d] of the codebook; each replacement is one of the SIMILAR codes whose vectors are nearest.
    """
    closeness = vectors @ vectors.T
    np.fill_diagonal(closeness, -np.inf)
    similar = np.argsort(-closeness, axis=1)[:, :SIMILAR]
    changed: CodeArray = grids.copy()
    replaced = rng.random(grids.shape) < share
    picked = rng.integers(similar.shape[1], size=int(replaced.sum()))
    changed[replaced] = similar[grids[replaced].astype(np.int64), picked]
    return changed


def in_parts(features: Callable[[Pictures], FloatArray], pictures: Pictures) -> FloatArray:
    """Features of many pictures, a few at a time to save memory."""
    return np.concatenate([features(pictures[first : first + 256]) for first in range(0, len(pictures), 256)])


# -- Identification ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gallery:
    """Real pictures of all concepts, to name a picture by: the concept of the most similar one.

    rows: [G, F] unit feature vectors; means: [F] what was subtracted before; concepts, styles: of each row.
    """

    rows: FloatArray
    means: FloatArray
    concepts: tuple[str, ...]
    styles: tuple[str, ...]

    @classmethod
    def of(cls, pictures: Pictures, concepts: Names, styles: Names) -> Gallery:
        """A gallery of pictures [G, 128, 128, 3]."""
        raw = in_parts(described, pictures)
        means = raw.mean(axis=0)
        return cls(_similar(raw, means), means, tuple(concepts), tuple(styles))

    def ranks(self, pictures: Pictures, concepts: Names, styles: Names | None) -> IntArray:
        """Rank [N], from 1 on, of each picture's concept among all concepts.

        styles: those of the pictures; the gallery's pictures in that style are left out, so that a copy of one does
        not count. None leaves none out.
        """
        similarity = _similar(in_parts(described, pictures), self.means) @ self.rows.T
        names = sorted(set(self.concepts))
        number = {name: n for n, name in enumerate(names)}
        owner = np.array([number[name] for name in self.concepts])
        if styles is not None:
            same = np.array(styles)[:, None] == np.array(self.styles)
            similarity = np.where(same, -np.inf, similarity)
        best = np.full((len(pictures), len(names)), -np.inf)
        for row, values in zip(best, similarity, strict=True):
            np.maximum.at(row, owner, values)
        own = best[np.arange(len(best)), [number[name] for name in concepts]]
        ranks: IntArray = 1 + (best > own[:, None]).sum(axis=1)
        return ranks

    def random_mrr(self) -> float:
        """Mean reciprocal rank of guessing."""
        count = len(set(self.concepts))
        return float((1 / np.arange(1, count + 1)).mean())


def described(pictures: Pictures) -> FloatArray:
    """[N, 1280] what the gallery compares: the layout of colours and the gradients, each of length 1."""
    return np.hstack([unit(layout(pictures)), unit(gradients(pictures))])


def _similar(raw: FloatArray, means: FloatArray) -> FloatArray:
    """Unit vectors whose products are similarities: layout and gradients count equally."""
    centred, split = raw - means, CELLS * CELLS * ORIENTATIONS
    return unit(np.hstack([unit(centred[:, :-split]), unit(centred[:, -split:])]))


# -- Classifiers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Classifier:
    """A linear classifier over standardised features, learned by penalised logistic regression."""

    names: tuple[str, ...]
    means: Tensor
    scales: Tensor
    weights: Tensor
    bias: Tensor

    @classmethod
    def learn(cls, features: FloatArray, labels: Names, penalty: float = 1e-2) -> Classifier:
        """From features [N, F] and the name of each row's class."""
        names = tuple(sorted(set(labels)))
        rows, classes = torch.from_numpy(features).double(), torch.tensor([names.index(label) for label in labels])
        means, scales = rows.mean(0), rows.std(0) + 0.02  # what hardly varies must not be blown up
        rows = (rows - means) / scales
        weights = torch.zeros(rows.shape[1], len(names), dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(len(names), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights, bias], max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> float:
            optimizer.zero_grad()
            loss = F.cross_entropy(rows @ weights + bias, classes) + penalty * weights.square().sum() / 2
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        return cls(names, means, scales, weights.detach(), bias.detach())

    def predict(self, features: FloatArray) -> list[str]:
        """Name of the likeliest class of each row [N, F]."""
        scores = (torch.from_numpy(features).double() - self.means) / self.scales @ self.weights + self.bias
        return [self.names[n] for n in scores.argmax(dim=1).tolist()]

    def accuracy(self, features: FloatArray, labels: Names) -> float:
        """Share of rows that are named rightly."""
        return float(np.mean([a == b for a, b in zip(self.predict(features), labels, strict=True)]))


def copied_share(grids: npt.NDArray[np.integer], sources: npt.NDArray[np.integer]) -> FloatArray:
    """[N] share of the codes of each token grid that equal those of its nearest source, position by position."""
    flat, others = grids.reshape(len(grids), -1), sources.reshape(len(sources), -1)
    return np.array([(row == others).mean(axis=1).max() for row in flat], np.float32)
