"""Strengths: bundles of settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app import controls
from app.examples import examples
from app.strength import (
    FIELDS,
    FOLLOW,
    LITTLE,
    OFF,
    STRENGTHS,
    STRONG,
    offered,
    settings_of,
    strength_of,
    strengths_of,
)  # fmt: skip
from core.assets import ASSETS
from core.backends.facts import JANUS_FACTS
from core.types import METHODS, DecodeSettings


def test_a_little_is_what_the_evaluation_chose() -> None:
    assert strength_of(DecodeSettings()) is LITTLE
    assert replace(DecodeSettings(seed=3), **LITTLE.settings) == DecodeSettings(seed=3)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_what_a_strength_sets_is_known_as_it_and_can_be_set_by_hand(strength: object) -> None:
    assert strength in STRENGTHS
    one = STRENGTHS[STRENGTHS.index(strength)]  # type: ignore[arg-type]
    made = replace(DecodeSettings(temperature=1.0, gate=3.0), **one.settings)
    assert strength_of(made) is one
    assert set(one.settings) <= set(FIELDS)
    knobs = [knob for knob in controls.KNOBS if knob.field in one.settings]
    assert all(knob.low <= float(str(one.settings[knob.field])) <= knob.high for knob in knobs)


def test_the_stronger_the_more_weight() -> None:
    weights = [one.settings["retrieval_weight"] for one in (LITTLE, STRONG, FOLLOW)]
    assert weights == sorted(set(weights))
    assert (FOLLOW.settings["caption_filter"], FOLLOW.settings["gate"]) == (1, 0)


def test_other_settings_are_of_no_strength_and_off_is_off_whatever_the_others_are() -> None:
    assert strength_of(replace(DecodeSettings(), gate=0.7)) is None
    assert strength_of(replace(DecodeSettings(), method="faid")) is None
    assert strength_of(replace(DecodeSettings(), method="model", gate=0.7)) is OFF


def test_what_a_database_refuses_is_off_and_no_one_picture_can_be_followed_there() -> None:
    refused = ("caption_filter", "position_weight")
    assert offered(tuple(METHODS), refused) == (OFF, LITTLE, STRONG)
    assert offered(("model",)) == (OFF,)
    mine = settings_of(STRONG, refused)
    assert (mine["caption_filter"], mine["position_weight"], mine["gate"]) == (0, 0.0, 2.0)
    assert strength_of(replace(DecodeSettings(), **mine), refused) is STRONG


def test_the_strengths_are_documented() -> None:
    names = ("method", "retrieval_weight", "retrieval_temperature", "gate", "caption_filter", "position_weight")
    text = (ASSETS.parent / "docs" / "settings.md").read_text(encoding="utf-8")
    for one in STRENGTHS:
        values = [one.settings.get(name, "") for name in names]
        assert f"| {one.label} | {' | '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in values)} |" in (
            text.replace("|  ", "| ").replace("| |", "|  |").replace("| |", "|  |")
        )


def test_the_first_example_follows_one_picture() -> None:
    assert [strength_of(tile.asked.settings) for tile in examples().swap] == [OFF, FOLLOW, FOLLOW]


def test_a_model_with_look_ups_of_its_own_has_none_of_the_measured_strengths() -> None:
    assert strengths_of(DecodeSettings()) is STRENGTHS
    assert strengths_of(DecodeSettings(caption_filter=0, cfg_scale=5)) is STRENGTHS  # a model that embeds no captions
    off, on = strengths_of(JANUS_FACTS.defaults)
    assert (off, on.label, on.settings["n_neighbours"]) == (OFF, "On", 2048)
    assert strength_of(JANUS_FACTS.defaults, (), (off, on)) is on
    assert strength_of(JANUS_FACTS.defaults) is None
    assert "Follow one picture" not in controls.strength_table({}, JANUS_FACTS.defaults)
    assert controls.strengths_offered(tuple(METHODS), (), JANUS_FACTS.defaults) == [("Off", "off"), ("On", "own")]
