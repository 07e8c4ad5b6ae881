"""How codes are drawn: what one noise answers for every distribution, and noise in hindsight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.draw import Distribution, Race, UnitInterval, hindsight, race
from core.types import ConfigError

CHEAP = settings(deadline=None, max_examples=100)
SEEDS, POSITIONS = st.integers(0, 2**32 - 1), st.integers(0, 65535)
MASSES = np.array([0.1, 0.0, 0.6, 0.05, 0.25])


def distribution(masses: npt.NDArray[np.float64]) -> Distribution:
    assume(masses.sum() > 0)
    return masses / masses.sum()


def far_from_gumbel(values: npt.NDArray[np.float64]) -> float:
    """Kolmogorov's distance of values [n] from the standard Gumbel distribution, times sqrt(n).

    Above 2.2 once in ten thousand samples of it.
    """
    reached, ranks = np.exp(-np.exp(-np.sort(values))), np.arange(len(values) + 1) / len(values)
    return float(max((ranks[1:] - reached).max(), (reached - ranks[:-1]).max()) * math.sqrt(len(values)))


def far_from_each_other(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """The same for two samples."""
    places = np.concatenate([first, second])
    shares = [np.searchsorted(np.sort(values), places, side="right") / len(values) for values in (first, second)]
    size = len(first) * len(second) / (len(first) + len(second))
    return float(np.abs(shares[0] - shares[1]).max() * math.sqrt(size))


some_masses = arrays(np.float64, 12, elements=st.just(0.0) | st.floats(1e-6, 1))
some_distributions = some_masses.map(distribution)


# -- noise ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "position", "expected"),
    [
        (0, 0, [-1.495451611577, -0.351137118361, -0.785906784151]),
        (0, 1, [-0.439436008683, -0.428257880431, 1.273512718205]),
        (1, 0, [-0.175758003602, 1.80764983982, -0.618981497542]),
        (2**32 - 1, 575, [2.540378760441, 1.903749952249, 1.220644175629]),
    ],
)
def test_noise_is_fixed_for_ever(seed: int, position: int, expected: list[float]) -> None:
    np.testing.assert_allclose(race(seed, position, 3).noise, expected, rtol=1e-9)


@CHEAP
@given(SEEDS, POSITIONS, st.integers(1, 40), st.integers(1, 40))
def test_noise_of_a_code_depends_on_nothing_but_seed_position_and_code(
    seed: int, position: int, first: int, second: int
) -> None:
    once, again = race(seed, position, first).noise, race(seed, position, second).noise
    shared = min(first, second)
    np.testing.assert_array_equal(once[:shared], again[:shared])
    assert once.dtype == np.float64
    assert np.isfinite(once).all()


@CHEAP
@given(SEEDS, POSITIONS, SEEDS, POSITIONS)
def test_other_seeds_and_positions_have_other_noise(seed: int, position: int, other: int, elsewhere: int) -> None:
    noise = race(seed, position, 16).noise
    if (seed, position) != (other, elsewhere):
        assert not np.isin(noise, race(other, elsewhere, 16).noise).any()


def test_positions_do_not_continue_one_another() -> None:
    """A whole codebook of 16384 codes is drawn from one counter, which must not run into the next position's."""
    noise = np.concatenate([race(0, position, 16384).noise for position in range(4)])
    assert len(np.unique(noise)) == 4 * 16384


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_noise_is_gumbel(seed: int) -> None:
    noise = np.concatenate([race(seed, position, 1024).noise for position in range(20)])
    assert far_from_gumbel(noise) < 2.2
    assert noise.mean() == pytest.approx(0.5772, abs=0.05)
    assert noise.var() == pytest.approx(math.pi**2 / 6, rel=0.06)
    across = np.array([race(seed, position, 8).noise[5] for position in range(2000)])
    assert far_from_gumbel(across) < 2.2


# -- the race ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["seed", "position"])
def test_codes_are_drawn_as_often_as_they_are_likely(by: str) -> None:
    numbers = [(n, 7) if by == "seed" else (7, n) for n in range(20_000)]
    drawn = np.bincount([race(*where, 5).draw(MASSES) for where in numbers], minlength=5)
    assert drawn[1] == 0
    likely = MASSES > 0
    expected = 20_000 * MASSES[likely]
    assert ((drawn[likely] - expected) ** 2 / expected).sum() < 21.1  # chi-square of 3 degrees, once in ten thousand


def test_a_race_by_hand() -> None:
    """Scores ln 0.5 + 0, ln 0.25 + 1, ln 0.25 + 0.5 = -0.693, -0.386, -0.886."""
    noise = Race(np.exp(-np.array([0.0, 1.0, 0.5])))
    masses = np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(noise.scores(masses), [-0.6931472, -0.3862944, -0.8862944], atol=1e-7)
    assert noise.draw(masses) == 1
    assert noise.margin(masses) == pytest.approx(1 - math.log(2))
    assert noise.draw(np.array([1.0, 0.0, 0.0])) == 0
    assert noise.margin(np.array([1.0, 0.0, 0.0])) == math.inf
    assert noise.scores(np.array([1.0, 0.0, 0.0])).tolist() == [0.0, -math.inf, -math.inf]


@CHEAP
@given(some_distributions, some_distributions, SEEDS, POSITIONS)
def test_a_flip_goes_to_a_code_that_was_raised_by_a_larger_factor(
    before: Distribution, after: Distribution, seed: int, position: int
) -> None:
    noise = race(seed, position, 12)
    lost, won = noise.draw(before), noise.draw(after)
    assert before[lost] > 0
    assert after[won] > 0
    if lost != won:  # after[won] / before[won] > after[lost] / before[lost], also where one of them is 0
        assert after[won] * before[lost] > after[lost] * before[won]


@CHEAP
@given(some_distributions, some_distributions, st.floats(0, 1), SEEDS, POSITIONS)
def test_retrieval_flips_only_towards_what_it_brings_more_of(
    model: Distribution, retrieval: Distribution, weight: float, seed: int, position: int
) -> None:
    blended = (1 - weight) * model + weight * retrieval
    noise = race(seed, position, 12)
    lost, won = noise.draw(model), noise.draw(blended)
    if lost != won:
        assert retrieval[won] * model[lost] > retrieval[lost] * model[won] * (1 - 1e-9)


def test_flips_are_hardly_more_than_the_fewest() -> None:
    """No coupling flips less often than the total variation; the race stays below twice that, over (1 + it)."""
    before, after = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.35, 0.25, 0.2, 0.2])
    fewest = np.abs(before - after).sum() / 2
    races = [race(seed, 3, 4) for seed in range(20_000)]
    flips = np.mean([noise.draw(before) != noise.draw(after) for noise in races])
    assert fewest - 0.01 < flips < 2 * fewest / (1 + fewest) + 0.01


@CHEAP
@given(some_distributions, SEEDS, POSITIONS)
def test_equal_distributions_never_differ(masses: Distribution, seed: int, position: int) -> None:
    noise = race(seed, position, 12)
    code = noise.draw(masses)
    assert race(seed, position, 12).draw(masses.copy()) == code
    assert masses[code] > 0
    assert noise.margin(masses) >= 0


@CHEAP
@given(some_distributions, SEEDS, POSITIONS)
def test_raising_only_the_winner_changes_nothing(masses: Distribution, seed: int, position: int) -> None:
    noise = race(seed, position, 12)
    code = noise.draw(masses)
    raised = masses.copy()
    raised[code] *= 3
    assert noise.draw(raised / raised.sum()) == code


@CHEAP
@given(some_distributions, SEEDS, POSITIONS)
def test_the_margin_is_how_much_the_winner_may_lose(masses: Distribution, seed: int, position: int) -> None:
    noise = race(seed, position, 12)
    code, margin = noise.draw(masses), noise.margin(masses)
    assume(1e-6 < margin < 600)
    for nats, same in ((margin * 0.999, True), (margin * 1.001, False)):
        lower = masses.copy()
        lower[code] *= math.exp(-nats)
        assert (noise.draw(lower) == code) == same


@pytest.mark.parametrize("masses", [[0.0, 0.0], [math.nan, 0.5], [math.inf, 1.0], [-0.5, 0.2]])
def test_nothing_is_drawn_from_no_mass(masses: list[float]) -> None:
    for luck in (race(1, 2, 2), UnitInterval(0.5)):
        with pytest.raises(ConfigError, match=r"draw: got .*mass"):
            luck.draw(np.array(masses))


def test_a_code_that_is_alone_wins_by_any_margin() -> None:
    assert (race(1, 2, 1).draw(np.ones(1)), race(1, 2, 1).margin(np.ones(1))) == (0, math.inf)


# -- in hindsight -----------------------------------------------------------------------------------------------------


@CHEAP
@given(some_distributions, SEEDS, POSITIONS, st.data())
def test_in_hindsight_the_given_code_won(masses: Distribution, seed: int, position: int, data: Any) -> None:
    code = data.draw(st.sampled_from(np.flatnonzero(masses).tolist()))
    noise = hindsight(seed, position, masses, code)
    assert np.isfinite(noise.noise).all()
    assert noise.draw(masses) == code
    assert noise.margin(masses) > 0
    np.testing.assert_array_equal(noise.noise, hindsight(seed, position, masses, code).noise)


@CHEAP
@given(st.floats(2e-280, 1e-30), SEEDS)
def test_in_hindsight_a_code_that_hardly_ever_wins_won(unlikely: float, seed: int) -> None:
    masses = np.array([unlikely, 1.0, 0.5]) / 1.5
    noise = hindsight(seed, 0, masses, 0)
    assert noise.draw(masses) == 0
    assert np.isfinite(noise.noise).all()


def test_noise_in_hindsight_of_codes_that_were_drawn_is_noise() -> None:
    """Posterior samples, mixed over what is drawn, are samples of the prior: for every code, and independent."""
    codes = np.random.default_rng(0).choice(5, p=MASSES, size=6000)
    noise = np.array([hindsight(seed, 3, MASSES, int(code)).noise for seed, code in enumerate(codes)])
    for code in range(5):
        assert far_from_gumbel(noise[:, code]) < 2.2
        assert noise[:, code].mean() == pytest.approx(0.5772, abs=0.07)
        assert noise[:, code].var() == pytest.approx(math.pi**2 / 6, rel=0.12)
    assert np.abs(np.corrcoef(noise.T) - np.eye(5)).max() < 0.06


def test_noise_in_hindsight_is_that_of_races_that_the_code_won() -> None:
    won = np.array([n.noise for n in (race(seed, 1, 5) for seed in range(30_000)) if n.draw(MASSES) == 4])
    after = np.array([hindsight(seed, 1, MASSES, 4).noise for seed in range(5000)])
    for code in range(5):
        assert far_from_each_other(won[:, code], after[:, code]) < 2.2


def test_noise_in_hindsight_shares_nothing_with_that_of_runs() -> None:
    uniform = np.full(64, 1 / 64)
    for seed in (0, 1, 2**32 - 1):
        for position in (0, 1, 575):
            assert not np.isin(hindsight(seed, position, uniform, 3).noise, race(seed, position, 64).noise).any()


def test_what_cannot_have_been_drawn_has_no_hindsight() -> None:
    with pytest.raises(ConfigError, match="code 1: got one of probability 0"):
        hindsight(0, 0, MASSES, 1)
    with pytest.raises(ConfigError, match=r"code 0: got one of probability 4\.9"):
        hindsight(0, 0, np.array([5e-324, 1.0]), 0)


# -- inverse CDF, of old traces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("u", "code"), [(0, 1), (0.2499, 1), (0.25, 3), (0.7499, 3), (0.75, 4), (math.nextafter(1, 0), 4), (1.0, 4)]
)
def test_inverse_cdf_by_hand(u: float, code: int) -> None:
    assert UnitInterval(u).draw(np.array([0, 0.25, 0, 0.5, 0.25, 0])) == code


@CHEAP
@given(arrays(np.float64, 20, elements=st.just(0.0) | st.floats(1e-300, 1)), st.floats(0, 1))
def test_inverse_cdf_never_picks_what_is_impossible(masses: npt.NDArray[np.float64], u: float) -> None:
    if masses.sum() > 0:
        assert masses[UnitInterval(u).draw(masses)] > 0


def test_inverse_cdf_follows_the_distribution() -> None:
    expected = np.array([0.1, 0, 0.6, 0.3])
    picked = [UnitInterval(u).draw(expected) for u in (np.arange(1000) + 0.5) / 1000]
    np.testing.assert_allclose(np.bincount(picked, minlength=4) / 1000, expected, atol=1e-3)


@pytest.mark.parametrize(("mass", "u"), [(0.5, -0.1), (0.5, 1.1), (0.5, math.nan), (0.0, 0.5), (math.nan, 0.5)])
def test_inverse_cdf_refuses(mass: float, u: float) -> None:
    with pytest.raises(ConfigError, match="draw: got"):
        UnitInterval(u).draw(np.full(2, mass))
