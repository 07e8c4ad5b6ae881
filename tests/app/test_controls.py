"""Widgets to settings and back."""

from __future__ import annotations

from dataclasses import fields

import pytest

from app import controls
from app.stepper import script
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
    settings = controls.settings_from(values(styles=["flat", "noto"], n_neighbours=32.0, seed=7.0, faid_neighbours=4.0))
    assert settings.styles == ("flat", "noto")
    assert settings.n_neighbours == 32
    assert isinstance(settings.seed, int)
    assert isinstance(settings.faid_neighbours, int)
    assert controls.values_of(settings)[NAMES.index("styles")] == ["flat", "noto"]


def test_every_setting_has_a_widget() -> None:
    knobs = {knob.field for knob in controls.KNOBS}
    assert knobs | {"method", "seed", "aggregate", "styles", "record_unblended"} == set(NAMES)


def test_every_knob_offers_the_default() -> None:
    defaults = DecodeSettings()
    for knob in controls.KNOBS:
        assert knob.low <= getattr(defaults, knob.field) <= knob.high


def test_methods_are_named_and_offered_as_asked() -> None:
    choices = controls.method_widget(DecodeSettings(), ("model", "daid")).choices
    assert choices == [("Model only", "model"), ("DAiD", "daid")]
    both = controls.settings_from(values(method="faid+daid", record_unblended=True))
    assert (both.method, both.record_unblended) == ("faid+daid", True)


def test_the_page_names_the_setting_that_records_flips() -> None:
    assert controls.RECORD_UNBLENDED in script()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seed", None, "seed: got nothing"),
        ("seed", -1, "seed: got -1"),
        ("seed", 1.5, "seed: got 1.5"),
        ("retrieval_weight", 2, "retrieval_weight: got 2"),
        ("method", "magic", "method: got 'magic'"),
        ("faid_neighbours", 0, "faid_neighbours: got 0"),
        ("record_unblended", None, "record_unblended: got nothing"),
        ("temperature", "hot", "temperature: got 'hot'"),
    ],
)
def test_bad_values_are_named(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        controls.settings_from(values(**{name: value}))


def test_a_missing_widget_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected"):
        controls.settings_from(values()[1:])
