"""Settings are checked when they are made, and come back from JSON."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.types import Change, ConfigError, DecodeSettings, Grid


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1), ("seed", 1.5), ("seed", True), ("seed", "7"), ("seed", 2**32), ("method", "magic"),
        ("temperature", 0), ("temperature", float("nan")), ("temperature", float("inf")), ("top_k", -1),
        ("top_p", 0), ("top_p", 1.01), ("cfg_scale", -1), ("retrieval_weight", 1.1), ("retrieval_weight", -0.1),
        ("retrieval_temperature", 0), ("n_neighbours", -1), ("n_neighbours", 2.0), ("aggregate", "mean"),
        ("gate", -1), ("caption_filter", -1), ("position_weight", float("inf")), ("styles", "3d"), ("styles", (1,)),
        ("method", ["daid"]), ("temperature", None), ("faid_neighbours", 0), ("faid_neighbours", 2.5),
        ("record_unblended", 1), ("record_unblended", "true"),
    ],
)  # fmt: skip
def test_bad_values_name_the_setting_and_what_was_given(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        DecodeSettings(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name}: got {value!r}, expected ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("seed", np.int64(7), 7), ("seed", np.uint32(2**32 - 1), 2**32 - 1), ("n_neighbours", np.int8(8), 8),
        ("temperature", np.float64(0.5), 0.5), ("temperature", np.float32(0.5), 0.5), ("gate", np.float16(2), 2.0),
        ("gate", np.int32(2), 2), ("retrieval_weight", np.longdouble(0.25), 0.25), ("cfg_scale", np.uint8(3), 3),
    ],
)  # fmt: skip
def test_numbers_of_numpy_become_plain_ones(name: str, value: Any, expected: float) -> None:
    settings = DecodeSettings(**{name: value})
    assert settings == DecodeSettings(**{name: expected})
    assert type(getattr(settings, name)) is type(expected)
    assert DecodeSettings.from_json(json.loads(json.dumps(asdict(settings)))) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", np.bool_(True)), ("seed", np.float64(7)), ("seed", np.int64(-1)), ("top_k", np.array([3])),
        ("temperature", np.float32("nan")), ("temperature", np.float64("inf")), ("gate", np.bool_(False)),
        ("gate", np.str_("1")), ("gate", 1j), ("cfg_scale", np.complex64(1)), ("seed", 10**400), ("gate", 10**400),
    ],
)  # fmt: skip
def test_what_is_no_such_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: got ") as caught:
        DecodeSettings(**{name: value})
    assert "\n" not in str(caught.value)


def test_changes_take_numbers_of_numpy_too() -> None:
    entries, factors = np.array([3, 9]), np.array([0.5, 2], np.float32)
    change = Change(np.int64(4), tuple(zip(entries, factors, strict=True)), np.float32(0.5), code=np.uint16(7))
    assert change == Change(4, ((3, 0.5), (9, 2.0)), 0.5, code=7)
    assert Change.from_json(json.loads(json.dumps(asdict(change)))) == change
    with pytest.raises(ConfigError, match="an entry twice"):
        Change(0, ((3, 1.0), (np.int64(3), 1.0)))
    with pytest.raises(ConfigError, match="change code"):
        Change(0, code=np.bool_(True))


def test_json_round_trip() -> None:
    settings = DecodeSettings(
        seed=9, styles=("3d", "noto"), aggregate="nearest", retrieval_weight=0.25, method="faid", record_unblended=True
    )
    assert DecodeSettings.from_json(json.loads(json.dumps(asdict(settings)))) == settings


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_any_json_gives_settings_or_a_config_error(value: object) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(DecodeSettings.from_json(value), DecodeSettings)


@pytest.mark.parametrize(
    ("method", "weight", "mixes", "blends"),
    [
        ("model", 0.1, False, False), ("daid", 0.1, True, False), ("daid", 0.0, False, False),
        ("faid", 0.1, False, True), ("faid", 0.0, False, True),
        ("faid+daid", 0.1, True, True), ("faid+daid", 0.0, False, True),
    ],
)  # fmt: skip
def test_retrieves_when_something_is_done_with_it(method: str, weight: float, mixes: bool, blends: bool) -> None:
    settings = DecodeSettings(method=method, retrieval_weight=weight)
    assert (settings.mixes, settings.blends, settings.retrieves) == (mixes, blends, mixes or blends)


def test_grid_positions_run_in_raster_order() -> None:
    grid = Grid(2, 3)
    assert [grid.row_col(p) for p in range(grid.positions)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


@pytest.mark.parametrize(
    "change",
    [
        Change(3),
        Change(3, ((4, 0.5), (9, 0.0)), 2.0, DecodeSettings(styles=("3d",)), 7),
    ],
)
def test_a_change_comes_back_from_json(change: Change) -> None:
    assert Change.from_json(json.loads(json.dumps(asdict(change)))) == change


@pytest.mark.parametrize(
    "values",
    [
        {"position": -1}, {"position": 1.5}, {"position": True}, {"position": 1, "weights": [[1, float("nan")]]},
        {"position": 1, "weights": [[-1, 1]]}, {"position": 1, "weights": [[1, 1], [1, 2]]},
        {"position": 1, "weights": [[1, 1e9]]}, {"position": 1, "others": -1}, {"position": 1, "code": -1},
        {"position": 1, "code": "7"}, {"position": 1, "settings": []}, {"weights": []}, [], None,
    ],
)  # fmt: skip
def test_changes_that_make_no_sense_are_refused(values: object) -> None:
    with pytest.raises(ConfigError, match=r"change|settings"):
        Change.from_json(values)
