"""Methods are a table: a new blend is a class and a line, and everything that lists methods picks it up."""

from __future__ import annotations

import numpy as np
import pytest

from app.plans import weights_plan
from app.views import METHOD_NAMES, Asked
from core.backends.emoji.backend import EmojiBackend
from core.daid import Blend, Daid, blend_step, mix_of, retrieval_distribution
from core.draw import Distribution
from core.engine import generate
from core.patches.database import PatchDatabase
from core.types import MEANINGS, METHODS, ConfigError, DecodeSettings, Method, Neighbours

FOUND = Neighbours(np.array([2, 0]), np.array([0.1, 0.3], np.float32), np.array([5, 6]))


class Nearest:
    """All of the mass to the code of the nearest neighbour, whatever the weight."""

    def mix(self, model: Distribution, neighbours: Neighbours, settings: DecodeSettings) -> Blend:
        retrieval = retrieval_distribution(neighbours, len(model), settings.retrieval_temperature, settings.aggregate)
        blended = np.zeros(len(model))
        blended[neighbours.codes[0]] = 1
        return Blend(model, retrieval, blended, 1.0)


@pytest.fixture
def nearest(monkeypatch: pytest.MonkeyPatch) -> str:
    """A method that is not in the table otherwise."""
    monkeypatch.setitem(METHODS, "nearest", Method("Nearest", "take it", mix=f"{__name__}:Nearest"))  # type: ignore[arg-type]
    return "nearest"


def test_a_new_blend_is_a_class_and_a_line(nearest: str, backend: EmojiBackend, database: PatchDatabase) -> None:
    settings = DecodeSettings(method=nearest, seed=2)
    assert (settings.mixes, settings.blends, settings.retrieves) == (True, False, True)
    assert blend_step(np.zeros(4, np.float32), FOUND, settings).blended.tolist() == [0, 0, 1, 0]
    trace = generate(backend, database, "a pizza", settings)
    for step in trace.steps:
        found = trace.explain(step.position).blend
        assert found.retrieval is None or found.blended[step.code] == 1
    assert len(trace.flips())


def test_methods_that_do_not_mix_say_what_was_found_and_leave_the_model_alone() -> None:
    logits = np.array([1, 2, 3, 4], np.float32)
    here = blend_step(logits, FOUND, DecodeSettings(method="faid"))
    assert here.weight == 0
    assert here.retrieval is not None
    np.testing.assert_array_equal(here.blended, here.model)
    mixed = blend_step(logits, FOUND, DecodeSettings(method="faid+daid"))
    assert 0 < mixed.weight < 0.1


def test_what_lists_methods_lists_those_of_the_table(nearest: str) -> None:
    for name in set(METHODS) - {nearest}:
        assert f"{name} ({METHODS[name].meaning})" in MEANINGS["method"]
        assert METHOD_NAMES[name] == METHODS[name].label
    assert isinstance(mix_of("daid"), Daid)
    with pytest.raises(ConfigError, match="expected one of model, daid, faid, faid\\+daid, nearest"):
        DecodeSettings(method="other")


@pytest.mark.parametrize(
    ("method", "mixing"), [("model", "daid"), ("daid", "daid"), ("faid", "faid+daid"), ("faid+daid", "faid+daid")]
)
def test_weights_are_compared_with_the_method_that_mixes(method: str, mixing: str) -> None:
    plan = weights_plan(Asked("emoji", "emoji", DecodeSettings(method=method)))
    assert {asked.settings.method for asked in plan.asked} == {mixing}
