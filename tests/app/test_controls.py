"""Widgets to settings and back."""

from __future__ import annotations

import pytest

from app import controls
from app.controls import NAMES
from app.stepper import script
from app.views import Asked
from core.types import ConfigError, DecodeSettings

DEFAULTS = Asked("emoji", "emoji", DecodeSettings())


def values(**changed: object) -> list[object]:
    """The values of all widgets at their defaults, some of them changed."""
    found = controls.values_of(DEFAULTS)
    for name, value in changed.items():
        found[NAMES.index(name)] = value
    return found


def test_defaults_survive_the_way_there_and_back() -> None:
    assert controls.asked_from(values()) == DEFAULTS


def test_styles_and_whole_numbers_are_converted() -> None:
    asked = controls.asked_from(values(styles=["flat", "noto"], n_neighbours=32.0, seed=7.0, faid_neighbours=4.0))
    settings = asked.settings
    assert settings.styles == ("flat", "noto")
    assert settings.n_neighbours == 32
    assert isinstance(settings.seed, int)
    assert isinstance(settings.faid_neighbours, int)
    assert controls.values_of(asked)[NAMES.index("styles")] == ["flat", "noto"]


def test_every_setting_has_a_widget() -> None:
    knobs = {knob.field for knob in controls.KNOBS}
    assert knobs | {"method", "seed", "aggregate", "styles", "record_unblended"} == set(NAMES[2:])


def test_every_knob_offers_the_default() -> None:
    defaults = DecodeSettings()
    for knob in controls.KNOBS:
        assert knob.low <= getattr(defaults, knob.field) <= knob.high


def test_methods_are_named_and_offered_as_asked() -> None:
    choices = controls.method_widget(DecodeSettings(), ("model", "daid")).choices
    assert choices == [("Model only", "model"), ("DAiD", "daid")]
    both = controls.asked_from(values(method="faid+daid", record_unblended=True)).settings
    assert (both.method, both.record_unblended) == ("faid+daid", True)


def test_model_and_database_are_named_and_hidden_where_there_is_no_choice() -> None:
    asked = controls.asked_from(values(model="novice", database="unseen"))
    assert (asked.model, asked.database) == ("novice", "unseen")
    several = controls.database_widget(("emoji", "my own"))
    assert (several.choices, several.value, several.visible) == (
        [("Emoji", "emoji"), ("my own", "my own")],
        "emoji",
        True,
    )
    assert controls.model_widget(("emoji",)).visible == "hidden"


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
        controls.asked_from(values(**{name: value}))


def test_a_missing_widget_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected"):
        controls.asked_from(values()[1:])
