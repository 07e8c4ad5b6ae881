"""Distances of pictures by hand: Gaussians, kernels, surroundings, wavelets, and intervals without doubles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from core.evaluation import distances, jackknife
from core.evaluation.distances import FrechetTo, Moments, frechet, moments
from core.evaluation.statistics import Estimate
from core.evaluation.wavelets import level_of, packets, wavelet_distance
from tests.closeness import assert_close

Rows = npt.NDArray[np.float64]


def rows_with(mean: list[float], spreads: list[float]) -> Rows:
    """Rows whose mean is exact, and whose covariance is diagonal with these variances, squared spreads."""
    corners = np.array([[(n >> axis & 1) * 2 - 1 for axis in range(len(mean))] for n in range(2 ** len(mean))], float)
    scale = np.sqrt((len(corners) - 1) / len(corners))
    return np.asarray(mean) + corners * np.asarray(spreads) * scale


def test_frechet_of_gaussians_is_as_by_hand() -> None:
    ours, theirs = moments(rows_with([1.0, 0.0], [2.0, 1.0])), moments(rows_with([4.0, 4.0], [1.0, 3.0]))
    assert_close(frechet(ours, theirs), 3**2 + 4**2 + (2 - 1) ** 2 + (1 - 3) ** 2)


def test_frechet_with_turned_covariances() -> None:
    """S1 = diag(4, 1), S2 the same turned by 90 degrees: they commute, and roots swap places."""
    rows = rows_with([0.0, 0.0], [2.0, 1.0])
    assert_close(frechet(moments(rows), moments(rows[:, ::-1])), 2 * (2 - 1) ** 2)
    turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    # by 45 degrees S1 S2 = diag(4, 1) [[2.5, 1.5], [1.5, 2.5]] has trace 12.5 and determinant 16: its eigenvalues sum
    # to 12.5 with product 16, so the sum of their roots squared is 12.5 + 2 sqrt(16)
    assert_close(frechet(moments(rows), moments(rows @ turn.T)), 10 - 2 * np.sqrt(12.5 + 2 * 4), relative=1e-6)


def test_moments_of_parts_are_those_of_all() -> None:
    rows = np.random.default_rng(0).normal(1e4, 1, (50, 6))
    parts = Moments()
    for first in (0, 1, 20, 20):
        parts.add(rows[first : {0: 1, 1: 20, 20: 50}[first]] if parts.count < 50 else rows[:0])
    assert parts.count == 50
    assert_close(parts.mean, rows.mean(axis=0), 1e-12)
    assert_close(parts.covariance, np.cov(rows.T), 1e-8)
    with pytest.raises(ValueError, match="expected 6 as before"):
        parts.add(rows[:, :5])
    with pytest.raises(ValueError, match="at least 2"):
        moments(rows[:1]).covariance  # noqa: B018


@pytest.mark.parametrize("features", [3, 40])
def test_few_pictures_of_many_features_have_the_same_distance(features: int) -> None:
    rng = np.random.default_rng(1)
    drawn, real = rng.normal(0, 1, (12, features)), rng.normal(0.5, 2, (15, features))
    chosen = np.array([0, 2, 3, 4, 7, 9, 11])
    to = FrechetTo(drawn, real)
    assert_close(to.of(np.arange(12)), frechet(moments(drawn), moments(real)), 1e-6)
    assert_close(to.of(chosen), frechet(moments(drawn[chosen]), moments(real)), 1e-6)


def test_kid_is_the_unbiased_estimate_by_hand() -> None:
    """One feature: k(x, y) = (x y + 1)^3; pairs of different pictures alone."""
    drawn, real = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    own, theirs, cross = 1.0, 27.0, (1 + 1 + 8 + 27) / 4
    assert_close(distances.kid(drawn, real), own + theirs - 2 * cross)
    three = np.array([[0.0], [5.0], [1.0]])
    assert_close(distances.KernelTo(three, real).of(np.array([0, 2])), own + theirs - 2 * cross)


def test_cmmd_is_the_biased_estimate_by_hand() -> None:
    drawn, real = np.array([[0.0], [10.0]]), np.array([[0.0]])
    far = np.exp(-0.5)  # exp(-10^2 / (2 10^2))
    assert_close(distances.cmmd(drawn, real), 1000 * ((2 + 2 * far) / 4 + 1 - 2 * (1 + far) / 2))


def test_density_and_coverage_by_hand() -> None:
    """On a line: with k = 1 the real ones at 0, 1 and 5 reach to 1, 1 and 4."""
    real, drawn = np.array([[0.0], [1.0], [5.0]]), np.array([[0.5], [1.5], [100.0]])
    density, coverage = distances.density_and_coverage(drawn, real, k=1)
    assert density.tolist() == [2, 2, 0]  # 0.5 lies in those of 0 and 1, 1.5 in those of 1 and 5
    assert coverage.tolist() == [1, 1, 1]
    assert distances.density_and_coverage(drawn[2:], real, k=1)[1].sum() == 0
    with pytest.raises(ValueError, match="more than 5"):
        distances.density_and_coverage(drawn, real)


def test_packets_of_a_block_are_sums_and_differences() -> None:
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, :, :, 0] = [[255, 0], [0, 0]]
    assert_close(packets(picture, 1)[:, 0, 0], [0.5, 0.5, 0.5, 0.5])
    picture[0, :, :, 0] = [[255, 255], [0, 0]]
    low_low, low_high, high_low, high_high = packets(picture, 1)[:, 0, 0]
    assert_close([low_low, low_high, high_low, high_high], [1, 0, 1, 0])
    with pytest.raises(ValueError, match="expected sides that 4 divides"):
        packets(picture, 2)


def test_packets_keep_the_energy_and_the_order_of_pictures() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 8, 3)).astype(np.uint8)
    found = packets(pictures, 2)
    assert found.shape == (16, 3, 3 * 4 * 2)
    assert_close(np.square(found).sum(axis=(0, 2)), np.square(pictures / 255).sum(axis=(1, 2, 3)))


def test_levels_leave_sixteen_coefficients_a_side() -> None:
    assert [level_of(side) for side in (16, 31, 32, 128, 256, 384, 512)] == [0, 0, 1, 3, 4, 4, 5]


def smooth(rng: np.random.Generator, count: int, darkest: float) -> npt.NDArray[np.uint8]:
    """Pictures of 32 pixels that vary slowly."""
    sums = np.cumsum(np.cumsum(rng.integers(0, 256, (count, 32, 32, 3)).astype(float) - 127, 1), 2)
    scaled = (sums - sums.min()) / (sums.max() - sums.min()) * 200 + darkest
    return scaled.astype(np.uint8)


def test_the_wavelet_distance_is_that_of_its_authors() -> None:
    """What `pytorchfwd` 1.0.1 gave for these pictures, with the wavelet "haar" at level 1."""
    rng = np.random.default_rng(7)
    drawn, real = smooth(rng, 60, 10), smooth(rng, 70, 30)
    assert_close(wavelet_distance(drawn, real), 7.400255231028812, 1e-5)
    assert_close(wavelet_distance(drawn, drawn), 0.0, 1e-5, least=1.0)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0, 4.0, 4.0])
    found = jackknife.jackknife(lambda chosen: float(values[chosen].mean()), 6, groups=3)
    pairs = np.array([(1 + 9) / 2, (2 + 4) / 2, (4 + 4) / 2])  # the n-th is of group n modulo 3
    spread = 1.959963984540054 * pairs.std(ddof=1) / np.sqrt(3)
    assert_close([found.value, found.low, found.high], [4.0, 4 - spread, 4 + spread])
    assert found.n == 6


def test_differences_leave_the_same_pictures_out() -> None:
    """Two figures that vary alike differ by a constant, with no interval around it."""
    values = np.array([1.0, 5.0, 2.0, 8.0])
    ours = jackknife.leave_out(lambda chosen: float(values[chosen].mean()) + 3, 4)
    theirs = jackknife.leave_out(lambda chosen: float(values[chosen].mean()), 4)
    found = jackknife.difference(ours, theirs, 4)
    assert_close([found.value, found.low, found.high], [3, 3, 3])


def test_too_few_pictures_have_no_interval() -> None:
    assert jackknife.jackknife(lambda chosen: float(len(chosen)), 3) == Estimate(3, 3, 3, 3)
