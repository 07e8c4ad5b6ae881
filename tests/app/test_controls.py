"""Widgets to settings and back."""

from __future__ import annotations

from dataclasses import fields

import pytest

from app import controls
from core.types import ConfigError, DecodeSettings

NAMES = [field.name for field in fields(DecodeSettings)]


def values(**changed: object) -> list[object]:
    """The values of all widgets at their defaults, some of them changed."""
    found = controls.values_of(DecodeSettings())
    for name, value in changed.items():
        found[NAMES.index(name)] = value
    return found


def test_defaults_survive_the_way_there_and_back() -> None:
    assert controls.settings_from(values()) == DecodeSettings()


def test_styles_and_whole_numbers_are_converted() -> None:
    settings = controls.settings_from(values(styles=["flat", "noto"], n_neighbours=32.0, seed=7.0))
    assert settings.styles == ("flat", "noto")
    assert settings.n_neighbours == 32
    assert isinstance(settings.seed, int)
    assert controls.values_of(settings)[NAMES.index("styles")] == ["flat", "noto"]


def test_every_setting_has_a_widget() -> None:
    knobs = {k.field for k in (*controls.RETRIEVAL_KNOBS, *controls.FILTER_KNOBS, *controls.SAMPLING_KNOBS)}
    assert knobs | {"method", "seed", "aggregate", "styles"} == set(NAMES)


def test_every_knob_offers_the_default() -> None:
    defaults = DecodeSettings()
    for knob in (*controls.RETRIEVAL_KNOBS, *controls.FILTER_KNOBS, *controls.SAMPLING_KNOBS):
        assert knob.low <= getattr(defaults, knob.field) <= knob.high


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seed", None, "seed: got nothing"),
        ("seed", -1, "seed: got -1"),
        ("seed", 1.5, "seed: got 1.5"),
        ("retrieval_weight", 2, "retrieval_weight: got 2"),
        ("method", "magic", "method: got 'magic'"),
        ("temperature", "hot", "temperature: got 'hot'"),
    ],
)
def test_bad_values_are_named(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        controls.settings_from(values(**{name: value}))


def test_a_missing_widget_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected"):
        controls.settings_from(values()[1:])
