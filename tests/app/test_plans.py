"""Which pictures are drawn together, what each is called, and what is told of values that make no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.library import Library
from app.plans import (
    AXES,
    MOST_VALUES,
    brief,
    databases_plan,
    labels,
    methods_plan,
    models_plan,
    parse_values,
    weights_plan,
)
from app.plans import sweep_plan as sweep
from app.session import Session
from app.views import Asked
from app.visits import Kept
from core.types import ConfigError, DecodeSettings
from tests.app.asking import first_run
from tests.app.fake import FakeBackend, fake_database

ASKED = Asked("fake", "all", DecodeSettings(seed=4, n_neighbours=8))
AXIS = {axis.field: axis for axis in AXES}


@pytest.fixture(scope="module")
def run() -> Kept:
    backend = FakeBackend()
    session = Session.over(Library({"fake": backend}, {"all": fake_database(backend, images=8)}))
    list(session.drawing.draw("ann", "sun", lambda: ASKED))
    return first_run(session, "ann")


def like(run: Kept, name: str, model: str = "fake", database: str = "all", **changes: object) -> Kept:
    settings = replace(run.asked.settings, **changes)  # type: ignore[arg-type]
    return replace(run, id=name, asked=Asked(model, database, settings))


def test_a_plan_of_methods_changes_nothing_but_the_method() -> None:
    plan = methods_plan(ASKED, ("model", "daid", "faid", "faid+daid"))
    assert plan.across == ("Model only", "DAiD", "FAiD", "FAiD + DAiD")
    assert [asked.settings.method for asked in plan.asked] == ["model", "daid", "faid", "faid+daid"]
    assert {replace(asked.settings, method="daid") for asked in plan.asked} == {ASKED.settings}


@pytest.mark.parametrize(
    ("method", "mixing"), [("model", "daid"), ("daid", "daid"), ("faid", "faid+daid"), ("faid+daid", "faid+daid")]
)
def test_weights_are_compared_with_a_method_that_mixes(method: str, mixing: str) -> None:
    plan = weights_plan(replace(ASKED, settings=replace(ASKED.settings, method=method)))  # type: ignore[arg-type]
    assert {asked.settings.method for asked in plan.asked} == {mixing}
    assert [asked.settings.retrieval_weight for asked in plan.asked] == [0, 0.1, 0.3, 0.6]
    assert plan.across == ("λ 0", "λ 0.1", "λ 0.3", "λ 0.6")


def test_no_more_than_four_databases_and_models_are_compared() -> None:
    assert databases_plan(ASKED, ("seen", "unseen")).across == ("Seen", "Unseen")
    assert [asked.database for asked in databases_plan(ASKED, tuple("abcdef")).asked] == list("abcd")
    assert [asked.model for asked in models_plan(ASKED, ("emoji", "novice")).asked] == ["emoji", "novice"]


def test_databases_need_a_method_that_asks_one() -> None:
    for changes in ({"method": "model"}, {"retrieval_weight": 0.0}):
        with pytest.raises(ConfigError, match="looks nothing up"):
            databases_plan(replace(ASKED, settings=replace(ASKED.settings, **changes)), ("seen", "unseen"))


def test_labels_say_in_what_runs_differ(run: Kept) -> None:
    plain, daid = like(run, "a", method="model"), like(run, "b")
    assert labels([plain, daid]) == ("Model only", "DAiD")
    assert labels([daid, like(run, "c", retrieval_weight=0.0)]) == ("λ 0.1", "λ 0")
    assert labels([daid, like(run, "c", retrieval_weight=0.6, n_neighbours=0)]) == ("λ 0.1, K 8", "λ 0.6, K all")
    assert labels([daid, like(run, "c", database="unseen", seed=9)]) == ("all, seed 4", "Unseen, seed 9")
    assert labels([like(run, "a", model="novice", styles=("3d",)), plain]) == (
        "Novice, DAiD, styles 3d",
        "fake, Model only, styles all",
    )


def test_labels_of_what_does_not_matter_are_left_out(run: Kept) -> None:
    """With method model neither λ nor the database changes anything."""
    runs = [like(run, "a", method="model"), like(run, "b", method="model", database="x", retrieval_weight=0.9)]
    assert labels(runs) == ("sun", "sun")


def test_a_branch_is_called_one_only_beside_its_parent(run: Kept) -> None:
    branch = replace(like(run, "b"), parent=run.id, branch_step=120)
    assert labels([run, branch]) == ("sun", "branch at 120")
    assert labels([like(run, "other"), branch]) == ("sun", "sun")


def test_a_run_in_a_few_words(run: Kept) -> None:
    assert brief(run) == "DAiD, λ 0.1, all"
    assert brief(like(run, "a", method="model")) == "Model only"
    assert brief(like(run, "a", retrieval_weight=0.0)) == "DAiD, λ 0"
    assert brief(like(run, "a", method="faid", database="unseen")) == "FAiD, Unseen"


def test_a_sweep_has_every_pair_in_rows() -> None:
    plan = sweep(ASKED, "retrieval_weight", "0, 0.5", "n_neighbours", "1; 4 ;16")
    assert (plan.across, plan.down) == (("λ 0", "λ 0.5"), ("K 1", "K 4", "K 16"))
    pairs = [(asked.settings.retrieval_weight, asked.settings.n_neighbours) for asked in plan.asked]
    assert pairs == [(0, 1), (0.5, 1), (0, 4), (0.5, 4), (0, 16), (0.5, 16)]
    assert {asked.settings.seed for asked in plan.asked} == {4}


def test_every_axis_begins_with_values_that_it_takes() -> None:
    for axis in AXES:
        other = AXES[0] if axis is not AXES[0] else AXES[1]
        asked = replace(ASKED, settings=replace(ASKED.settings, method="faid+daid"))
        text = ", ".join(f"{value:g}" for value in axis.values)
        assert len(sweep(asked, axis.field, text, other.field, "0.1").across) == len(axis.values) <= MOST_VALUES


@pytest.mark.parametrize(
    ("across", "values", "said"),
    [
        ("retrieval_weight", "", "got 0 values"),
        ("retrieval_weight", "0, 1, 0.1, 0.2, 0.3, 0.4, 0.5", "got 7 values, expected 1 to 6"),
        ("retrieval_weight", "0, much", "got '0, much'"),
        ("retrieval_weight", "0, 2", "retrieval_weight: got 2.0, expected a number from 0 to 1"),
        ("retrieval_weight", "nan", "retrieval_weight: got nan"),
        ("n_neighbours", "1.5", "n_neighbours: got 1.5, expected a whole number"),
        ("seed", "inf", "seed: got inf"),
        ("prompt", "1", "got 'prompt', expected one of"),
        ("retrieval_temperature", "1", "twice"),
        ("faid_neighbours", "1, 2", "changes nothing with DAiD"),
    ],
)
def test_what_cannot_be_swept_is_told(across: str, values: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        sweep(ASKED, across, values, "retrieval_temperature", "0.1, 1")
    assert said in str(told.value)


def test_settings_without_effect_are_told() -> None:
    plain = replace(ASKED, settings=replace(ASKED.settings, method="model"))
    with pytest.raises(ConfigError, match="λ changes nothing with Model only"):
        sweep(plain, "retrieval_weight", "0, 1", "seed", "1, 2")
    assert len(sweep(plain, "temperature", "0.5, 1", "seed", "1, 2").asked) == 4
    off = replace(ASKED, settings=replace(ASKED.settings, retrieval_weight=0.0))
    with pytest.raises(ConfigError, match="τ changes nothing"):
        sweep(off, "retrieval_temperature", "0.1, 1", "seed", "1, 2")
    assert len(sweep(off, "retrieval_weight", "0, 1", "retrieval_temperature", "0.1, 1").asked) == 4


def test_a_negative_prompt_is_swept_where_there_is_guidance() -> None:
    plan = sweep(ASKED, "negative_share", "0, 0.5", "seed", "1")
    assert plan.across == ("negative 0", "negative 0.5")
    assert [asked.settings.negative_share for asked in plan.asked] == [0, 0.5]
    plain = replace(ASKED, settings=replace(ASKED.settings, cfg_scale=1.0))
    with pytest.raises(ConfigError, match="Negative prompt changes nothing"):
        sweep(plain, "negative_share", "0, 0.5", "seed", "1")
    assert len(sweep(plain, "negative_share", "0, 0.5", "cfg_scale", "1, 2").asked) == 4


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=MOST_VALUES))
def test_numbers_are_read_as_they_are_written(values: list[float]) -> None:
    text = " , ".join(repr(value) for value in values)
    assert parse_values(text, AXIS["gate"]) == tuple(dict.fromkeys(values))
