"""The stepper's arrays, the endpoint and the what-if say the same of a position: all of them read `explain`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import answers, views, whatif
from app.views import Asked
from app.visits import Kept
from core.analysis.explain import Explanation, explain, largest
from core.backends.emoji.backend import EmojiBackend
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.types import DecodeSettings
from tests.traces import FAID, SETTINGS, traced

KINDS = {
    "plain": DecodeSettings(seed=2, method="model"),
    "daid": SETTINGS,
    "faid": FAID,
    "both": replace(FAID, method="faid+daid"),
    "not recorded": replace(FAID, record_unblended=False),
}


@pytest.fixture(scope="module", params=[*KINDS, "changed"])
def kept(request: pytest.FixtureRequest, backend: EmojiBackend, database: PatchDatabase, changed: Trace) -> Kept:
    trace = changed if request.param == "changed" else traced(backend, database, KINDS[request.param])
    return Kept("id", trace, Asked("emoji", "emoji", trace.settings), 1.0, b"", "a run")


def test_three_projections_agree_at_every_position(kept: Kept) -> None:
    trace = kept.trace
    arrays = views.step_arrays(trace)
    for at in range(len(trace.steps)):
        here, said, asked = explain(trace, at), answers.position(kept, at, 8), whatif.answer(kept, at, None)
        row = {name: values[at] for name, values in arrays.items()}
        assert row["code"] == said["code"] == asked["taken"] == here.step.code
        assert (row["drawn"] == 1, row["own"], row["pick"]) == (said["drawn"], said["picked"], here.taken)
        assert said["code_with_retrieval"] == here.taken
        assert row["without"] == (here.taken if said["code_without_retrieval"] is None else here.without)
        assert said["flipped"] == (None if here.nothing is None else here.flip)
        assert row["seconds"][1] == said["runner_up"] == here.runner_up
        assert asked["before"]["code"] == here.own == row["own"]
        assert asked["before"]["weight"] == pytest.approx(said["retrieval_weight"]) == pytest.approx(row["mix"])
        for got, told in ((row["kl"], said["kl"]), (row["margin"][1], said["margin"])):
            assert np.isnan(got) or np.isinf(got) if told is None else got == pytest.approx(told, rel=1e-5)
        numbers_agree(here, row, said, asked)


def numbers_agree(here: Explanation, row: dict[str, np.ndarray], said: answers.Position, asked: dict) -> None:  # type: ignore[type-arg]
    """Chances by code, and the neighbours."""
    chances = {chance["code"]: chance for chance in said["codes"]}
    tops = {int(code): place for place, code in enumerate(row["top_code"])}
    shared = set(chances) & set(tops)
    assert {here.step.code, here.taken} <= shared
    for code in shared:
        for name in ("model", "retrieval", "blended"):
            assert row[f"top_{name}"][tops[code]] == pytest.approx(chances[code][name] or 0, rel=1e-5)  # type: ignore[literal-required]
    assert row["found"] == said["found"] == (len(here.found) if here.found else 0)
    for place, near in enumerate(said["neighbours"]):
        other = asked["neighbours"][place]
        assert (near["entry"], near["code"], near["distance"]) == (other["entry"], other["code"], other["distance"])
        assert near["share"] == other["shares"][0] == pytest.approx(here.shares[place])
        assert [near["image"], near["row"], near["column"]] == other["place"]
        assert row["near_image"][place] == near["image"]
        assert row["near_share"][place] == pytest.approx(near["share"], rel=1e-5)


@given(
    values=st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, np.inf]), min_size=1, max_size=30),
    count=st.integers(1, 35),
)
def test_the_largest_are_those_of_a_stable_sort(values: list[float], count: int) -> None:
    array = np.array(values)
    assert largest(array, count).tolist() == np.argsort(-array, kind="stable")[:count].tolist()
