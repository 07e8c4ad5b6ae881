"""How far drawn pictures are from real ones, by features of both: Fréchet distance, KID, CMMD, density and coverage.

Features are what a judge or a network sees of a picture; these functions do not know whose they are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.floating]
Array = npt.NDArray[np.float64]

KID_DEGREE = 3
"""Of the polynomial kernel (x.y / d + 1)^3 (Binkowski et al. 2018, section 4)."""

CMMD_WIDTH, CMMD_SCALE = 10.0, 1000.0
"""Width of the Gaussian kernel, and what the squared distance is multiplied by (Jayasumana et al. 2024)."""

NEAREST = 5
"""Neighbours that reach as far as a real picture's surroundings (Naeem et al. 2020, section 4)."""


class Moments:
    """Mean [d] and covariance [d, d] of features that are added in any number of parts; keeps only these in memory.

    Parts are merged as in Chan, Golub and LeVeque 1983, so that large means cost no digits.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Array = np.zeros(0)
        self._scatter: Array = np.zeros((0, 0))

    def add(self, features: Features) -> None:
        """Take more of them, [n, d]."""
        rows = np.asarray(features, np.float64)
        if len(rows) == 0:
            return
        mean = rows.mean(axis=0)
        scatter = (rows - mean).T @ (rows - mean)
        if self.count == 0:
            self.count, self._mean, self._scatter = len(rows), mean, scatter
            return
        if rows.shape[1] != len(self._mean):
            raise ValueError(f"got features of {rows.shape[1]} numbers, expected {len(self._mean)} as before")
        total, away = self.count + len(rows), mean - self._mean
        self._scatter += scatter + np.outer(away, away) * (self.count * len(rows) / total)
        self._mean = self._mean + away * (len(rows) / total)
        self.count = total

    @property
    def mean(self) -> Array:
        """Mean [d]."""
        return self._mean

    @property
    def covariance(self) -> Array:
        """Unbiased covariance [d, d]; ValueError for fewer than two."""
        if self.count < 2:
            raise ValueError(f"got {self.count} pictures, expected at least 2")
        return self._scatter / (self.count - 1)


def moments(features: Features) -> Moments:
    """Those of features [n, d]."""
    made = Moments()
    made.add(features)
    return made


def frechet(ours: Moments, theirs: Moments) -> float:
    """Squared Fréchet distance of two Gaussians (Dowson and Landau 1982; Heusel et al. 2017 for pictures).

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)); the trace of the root is the sum of roots of the eigenvalues of
    S1^(1/2) S2 S1^(1/2), which is symmetric.
    """
    one, two = ours.covariance, theirs.covariance
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
    away = ours.mean - theirs.mean
    return float(away @ away + np.trace(one) + np.trace(two) - 2 * shared)


class FrechetTo:
    """The same distance, from some of the drawn pictures [n, d] to real ones [m, d], where d may be far more than n.

    With rows centred, S = A^T A / (n - 1): the trace of the root is the sum of the singular values of A1 A2^T over
    sqrt((n - 1) (m - 1)). Products are made once for any number of choices. Leading axes [..., n, d] are packets, each
    with a distance of its own, of which `of` gives the mean.
    """

    def __init__(self, drawn: Features, real: Features) -> None:
        if drawn.shape[-2] < 2 or real.shape[-2] < 2:
            raise ValueError(f"got {drawn.shape[-2]} and {real.shape[-2]} pictures, expected at least 2 each")
        rows, others = np.asarray(drawn, np.float64), np.asarray(real, np.float64)
        self._mean = others.mean(axis=-2)
        centred = others - self._mean[..., None, :]
        self._real_trace = np.square(centred).sum(axis=(-1, -2)) / (others.shape[-2] - 1)
        self._rows = rows
        self._cross = rows @ np.swapaxes(centred, -1, -2) / np.sqrt(others.shape[-2] - 1)

    def of(self, chosen: npt.NDArray[np.integer]) -> float:
        """The distance of the chosen ones of the drawn pictures."""
        rows, cross = self._rows[..., chosen, :], self._cross[..., chosen, :]
        mean, freedom = rows.mean(axis=-2), len(chosen) - 1
        trace = (np.square(rows).sum(axis=(-1, -2)) - len(chosen) * np.square(mean).sum(axis=-1)) / freedom
        cross = cross - cross.mean(axis=-2, keepdims=True)
        squares = np.linalg.eigvalsh(cross @ np.swapaxes(cross, -1, -2))
        shared = np.sqrt(np.maximum(squares, 0)).sum(axis=-1) / np.sqrt(freedom)
        apart = np.square(mean - self._mean).sum(axis=-1)
        return float(np.mean(apart + trace + self._real_trace - 2 * shared))


class KernelTo:
    """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3) under KID's kernel, of [n, d] and [m, d].

    It may be below 0, as what is estimated is near 0 for pictures of one kind.
    """

    def __init__(self, drawn: Features, real: Features) -> None:
        if len(drawn) < 2 or len(real) < 2:
            raise ValueError(f"got {len(drawn)} and {len(real)} pictures, expected at least 2 each")
        rows, others = np.asarray(drawn, np.float64), np.asarray(real, np.float64)
        self._own = _off_diagonal(_polynomial(rows, rows))
        self._cross = _polynomial(rows, others).mean(axis=1)
        self._real = _off_diagonal(_polynomial(others, others)).sum() / (len(others) * (len(others) - 1))

    def of(self, chosen: npt.NDArray[np.integer]) -> float:
        """The estimate from the chosen ones of the drawn pictures."""
        own = self._own[np.ix_(chosen, chosen)].sum() / (len(chosen) * (len(chosen) - 1))
        return float(own + self._real - 2 * self._cross[chosen].mean())


def kid(drawn: Features, real: Features) -> float:
    """Kernel distance of all of them: `KernelTo`."""
    return KernelTo(drawn, real).of(np.arange(len(drawn)))


def _polynomial(rows: Array, others: Array) -> Array:
    found: Array = (rows @ others.T / rows.shape[1] + 1) ** KID_DEGREE
    return found


def _off_diagonal(kernel: Array) -> Array:
    return kernel - np.diag(np.diag(kernel))


class CmmdTo:
    """CMMD of unit vectors [n, d] and [m, d]: the biased estimate under a Gaussian kernel, as published."""

    def __init__(self, drawn: Features, real: Features) -> None:
        rows, others = np.asarray(drawn, np.float64), np.asarray(real, np.float64)
        self._own, self._cross = _gaussian(rows, rows), _gaussian(rows, others).mean(axis=1)
        self._real = _gaussian(others, others).mean()

    def of(self, chosen: npt.NDArray[np.integer]) -> float:
        """The estimate from the chosen ones of the drawn pictures."""
        own = self._own[np.ix_(chosen, chosen)].mean()
        return float(CMMD_SCALE * (own + self._real - 2 * self._cross[chosen].mean()))


def cmmd(drawn: Features, real: Features) -> float:
    """CLIP maximum mean discrepancy of all of them: `CmmdTo`."""
    return CmmdTo(drawn, real).of(np.arange(len(drawn)))


def _gaussian(rows: Array, others: Array) -> Array:
    found: Array = np.exp(-squared_distances(rows, others) / (2 * CMMD_WIDTH**2))
    return found


def squared_distances(rows: Features, others: Features) -> Array:
    """Squared L2 [n, m] of every pair of rows [n, d] and [m, d]."""
    one, two = np.asarray(rows, np.float64), np.asarray(others, np.float64)
    found: Array = np.square(one).sum(axis=1)[:, None] + np.square(two).sum(axis=1) - 2 * one @ two.T
    return np.maximum(found, 0, out=found)


def density_and_coverage(drawn: Features, real: Features, k: int = NEAREST) -> tuple[Array, Array]:
    """What each drawn picture [n] adds to the density, and which real ones [m] are covered, 1 or 0; their means are it.

    Naeem et al. 2020, eq. 5 and 6: the surroundings of a real picture reach to its k-th nearest real one, which it is
    not itself. Density: in how many of them a drawn picture lies, over k; coverage: whether any drawn one lies in it.
    ValueError for k real pictures or fewer.
    """
    if len(real) <= k:
        raise ValueError(f"got {len(real)} real pictures, expected more than {k}")
    own = squared_distances(real, real)
    np.fill_diagonal(own, np.inf)
    reach = np.partition(own, k - 1, axis=1)[:, k - 1]
    inside = squared_distances(drawn, real) < reach
    density: Array = inside.sum(axis=1, dtype=np.float64) / k
    coverage: Array = np.asarray(inside.any(axis=0), np.float64)
    return density, coverage


CLIP_SCALE = 2.5
"""What a cosine is multiplied by."""


def clip_scores(pictures: npt.NDArray[np.float32], texts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """CLIPScore [N] of unit vectors [N, D] of pictures and of their prompts: 2.5 times the cosine, 0 below it.

    Hessel et al. 2021, arXiv 2104.08718, section 3.
    """
    scores: npt.NDArray[np.float32] = CLIP_SCALE * np.maximum((pictures * texts).sum(axis=1), 0)
    return scores
