"""What all positions score at once is what the blend of one position gives; the rest by hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from core.daid import blend_step, retrieval_distribution
from core.evaluation import scores
from core.evaluation.choice import Axes, Blend, Part, ranked
from core.evaluation.likelihood import PLAIN
from core.types import Aggregate, Neighbours
from tests.closeness import assert_close

CODES = 6
GRID = scores.Settings((1, 3, 8), (0.1, 0.5))


def a_position(rng: np.random.Generator, count: int) -> Neighbours:
    """Neighbours of one position, some of which agree."""
    distances = np.sort(rng.random(count)).astype(np.float32)
    return Neighbours(rng.integers(0, CODES, count), distances, np.arange(count))


@pytest.fixture(scope="module")
def found() -> list[Neighbours | None]:
    """Five positions: one finds nothing, one less than is asked for, one the same code at two equal distances."""
    rng = np.random.default_rng(0)
    twins = Neighbours(np.array([2, 2, 4]), np.array([0.25, 0.25, 0.5], np.float32), np.arange(3))
    return [None, a_position(rng, 8), a_position(rng, 2), twins, a_position(rng, 8)]


def test_what_falls_on_the_true_codes_is_the_retrieval_distribution(found: list[Neighbours | None]) -> None:
    codes = np.array([0, 1, 2, 2, 3])
    chances = scores.true_chances(scores.looked_up(found), codes, GRID)
    assert (chances[..., 0] == 0).all()
    axes = itertools.product(enumerate(GRID.counts), enumerate(GRID.temperatures), enumerate(scores.AGGREGATES))
    for (k, count), (t, tau), (a, aggregate) in axes:
        for place, neighbours in enumerate(found):
            if neighbours is not None:
                kept = Neighbours(neighbours.codes[:count], neighbours.distances[:count], neighbours.entries[:count])
                way: Aggregate = "sum" if aggregate == "sum" else "nearest"
                expected = retrieval_distribution(kept, CODES, tau, way)
                assert chances[k, t, a, place] == pytest.approx(expected[codes[place]])


def test_the_shape_of_what_was_found(found: list[Neighbours | None]) -> None:
    favourites = np.array([0, 1, 2, 4, 3])
    shape = scores.shape_of(scores.looked_up(found), favourites, GRID)
    for (k, count), (t, tau) in itertools.product(enumerate(GRID.counts), enumerate(GRID.temperatures)):
        for place, neighbours in enumerate(found):
            if neighbours is None:
                assert shape.entropy[k, t, place] == shape.peak[k, t, place] == shape.agree[k, place] == 0
                continue
            kept = Neighbours(neighbours.codes[:count], neighbours.distances[:count], neighbours.entries[:count])
            expected = retrieval_distribution(kept, CODES, tau, "sum")
            logs = np.log(np.where(expected > 0, expected, 1))
            assert shape.entropy[k, t, place] == pytest.approx(-(expected * logs).sum(), abs=1e-9)
            assert shape.peak[k, t, place] == pytest.approx(expected.max())
            assert shape.agree[k, place] == pytest.approx((kept.codes == favourites[place]).mean())


def test_what_a_model_predicts_by_hand() -> None:
    one = scores.predicted(np.log(np.array([[0.5, 0.25, 0.25], [1.0, 1.0, 2.0]], np.float32)), np.array([1, 2]))
    assert_close(one.true, np.array([0.25, 0.5]))
    assert one.favourite.tolist() == [0, 2]
    assert_close(one.peak, np.array([0.5, 0.5]))
    assert_close(one.entropy, np.array([1.5 * math.log(2)] * 2))


def test_a_picture_that_finds_nothing_scores_nothing() -> None:
    nothing = scores.looked_up([None, None])
    assert np.isinf(nothing.nearest).all()
    assert (scores.true_chances(nothing, np.array([0, 1]), GRID) == 0).all()
    assert (scores.shape_of(nothing, np.array([0, 1]), GRID).entropy == 0).all()


def test_every_blend_of_the_grid_is_that_of_its_settings(found: list[Neighbours | None]) -> None:
    rng = np.random.default_rng(1)
    logits, codes = rng.normal(size=(5, CODES)).astype(np.float32), np.array([0, 1, 2, 2, 3])
    axes = Axes((0,), GRID.counts, GRID.temperatures, (0.1, 0.6), (0.0, 0.5))
    there = scores.looked_up(found)
    model, retrieved = scores.predicted(logits, codes).true, scores.true_chances(there, codes, GRID)
    part = Part(("a",), model[None], retrieved[None, None], there.nearest[None, None])
    tried = ranked(part, axes)
    assert len(tried) == 3 * 2 * 2 * 2 * 2
    assert tried == sorted(tried, key=lambda trial: trial.nats)
    for trial in tried:
        blend = trial.blend
        settings = replace(
            PLAIN, retrieval_weight=blend.weight, gate=blend.gate, n_neighbours=axes.counts[blend.count],
            retrieval_temperature=axes.temperatures[blend.temperature],
            aggregate="sum" if blend.aggregate == scores.SUM else "nearest",
        )  # fmt: skip
        kept = [
            n and Neighbours(*(x[: settings.n_neighbours] for x in (n.codes, n.distances, n.entries))) for n in found
        ]
        losses = [
            -math.log(blend_step(*one, settings).blended[code]) for *one, code in zip(logits, kept, codes, strict=True)
        ]
        assert trial.nats == pytest.approx(np.mean(losses))
        assert part.nats(blend)[0] == pytest.approx(trial.nats)


def test_settings_that_pictures_are_drawn_with_are_among_those_that_are_tried() -> None:
    odd = replace(PLAIN, n_neighbours=7, retrieval_temperature=0.2, retrieval_weight=0.15, gate=0.7, caption_filter=5)
    axes = Axes.around(odd)
    assert axes.place(odd) == Blend(axes.filters.index(5), 0, axes.temperatures.index(0.2), 0, 0.15, 0.7)
    assert (axes.counts[0], 0.15 in axes.weights, 0.7 in axes.gates) == (7, True, True)
    assert Axes.around(odd, captions=False).filters == (0,)
