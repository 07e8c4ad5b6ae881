"""Widgets to settings and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app import controls
from app.controls import NAMES
from app.delivery import published
from app.views import DATABASE_NOTES, Asked
from core.backends.facts import FACTS
from core.patches.database import PatchDatabase
from core.patches.released import ReleasedDatabase
from core.types import ConfigError, DecodeSettings
from tests.app.fake import FakeBackend, fake_database
from tests.released import write_released

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
    assert knobs | {"method", "seed", "aggregate", "styles", "record_unblended", "follow"} == set(NAMES[2:])


def test_every_knob_offers_the_default() -> None:
    for facts in FACTS.values():
        for knob in controls.KNOBS:
            assert knob.low <= getattr(facts.defaults, knob.field) <= knob.high


def test_what_a_setting_costs_is_said_beside_it() -> None:
    knobs = controls.knob_widgets(controls.SAMPLING_KNOBS, DecodeSettings(), costs={"cfg_scale": "it takes longer"})
    assert knobs["cfg_scale"].info == f"{controls.INFO['cfg_scale']} It takes longer."
    assert knobs["top_p"].info == controls.INFO["top_p"]


def test_methods_are_named_and_offered_as_asked() -> None:
    choices = controls.method_widget(DecodeSettings(), ("model", "daid")).choices
    assert choices == [("Model only", "model"), ("DAiD", "daid")]
    both = controls.asked_from(values(method="faid+daid", record_unblended=True)).settings
    assert (both.method, both.record_unblended) == ("faid+daid", True)


def test_model_and_database_are_named_and_say_what_they_are() -> None:
    asked = controls.asked_from(values(model="novice", database="unseen"))
    assert (asked.model, asked.database) == ("novice", "unseen")
    backend = FakeBackend(name="janus")
    usual = fake_database(backend, images=2)
    several = controls.database_widget({"unseen": usual, "my own": usual})
    assert (several.choices, several.value) == ([("Unseen", "unseen"), ("my own", "my own")], "unseen")
    note = f"pictures. {DATABASE_NOTES['unseen']}"
    assert several.info == f"2 {note}"
    assert controls.about_database({"my own": usual}, "my own") == "2 pictures."
    assert controls.model_widget({"novice": backend}).info == (
        "Janus, on the CPU. Has never seen the flat style, nor some concepts."
    )
    assert "bring pictures of your own" in controls.database_widget({}).info


def test_what_a_database_refuses_is_off_and_nothing_and_says_why() -> None:
    backend = FakeBackend()
    usual = fake_database(backend, images=2)
    without_captions = PatchDatabase.build(backend.codebook, usual.grids, usual.metadata)
    count, captions, place, styles, follow = controls.restricted(without_captions)
    assert (count["minimum"], count["info"]) == (0, controls.INFO["n_neighbours"])
    assert (captions["interactive"], captions["value"], captions["info"]) == (
        False, 0, "This database has no captions.",
    )  # fmt: skip
    assert place["interactive"]
    assert "value" not in place
    assert (follow["interactive"], follow["info"]) == (True, controls.INFO["follow"])
    assert styles["info"].endswith(" (3d, flat)")
    assert all(widget["interactive"] and "value" not in widget for widget in controls.restricted(usual))
    knobs = controls.knob_widgets(controls.RETRIEVAL_KNOBS, DecodeSettings(), without_captions)
    assert [knob.minimum for knob in knobs.values()] == [0, 0, 0]
    assert [knob.interactive for knob in knobs.values()] == [True, False, True]


def test_a_database_that_cannot_give_all_of_its_entries_offers_none_less_than_one(tmp_path: Path) -> None:
    backend = FakeBackend()
    write_released(tmp_path, backend.codebook, fake_database(backend, images=2).grids)
    released = ReleasedDatabase.open(tmp_path, backend.codebook, backend.grid)
    count, *_, follow = controls.restricted(released)
    assert (follow["interactive"], follow["value"]) == (False, "off")
    assert (count["minimum"], count["info"]) == (1, "How many patches are looked up.")
    knobs = controls.knob_widgets(controls.RETRIEVAL_KNOBS, DecodeSettings(), released)
    assert knobs["n_neighbours"].minimum == 1
    with pytest.raises(ConfigError, match=r"n_neighbours: got 0, expected 1\.\."):
        released.search(np.zeros((1, 4), np.int64), 0)


def test_the_page_names_the_setting_that_records_flips() -> None:
    assert controls.RECORD_UNBLENDED in published()["stepper/step.js"].decode()


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
