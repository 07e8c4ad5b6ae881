"""Calls that nobody should make: a few hundred of them; `make abuse` makes thousands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.abuse.__main__ import report
from tests.abuse.siege import Record, Siege
from tests.abuse.target import Event, Map, Target, target
from tests.abuse.wire import Told

CALLS = 1
"""Every way to attack is tried at least once, which is some three hundred calls."""


@pytest.fixture(scope="module")
def there() -> Iterator[Target]:
    with target() as running:
        yield running


def test_hostile_calls_get_an_answer_and_nothing_else(there: Target) -> None:
    siege = Siege(there)
    siege.lay(CALLS)
    siege.open_files(6, huge=False)
    siege.afterwards()
    assert siege.record.calls.total() > 250
    assert not siege.record.failures, report(siege.record)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (Told(500, "Internal Server Error", 0.1), "HTTP 500"),
        (Told(200, "Traceback (most recent call last)", 0.1), "traceback"),
        (Told(200, "root:x:0:0:root", 0.1), "a file of the machine"),
        (Told(200, "", 0.1, closed=False), "no end of the answer"),
        (Told(0, "RemoteDisconnected", 0.1), "connection ended without an answer"),
        (Told(200, "something of MARK", 0.1), "something of somebody else's"),
        (Told(200, "cannot move PLACE/home/other.txt", 0.1), "a path of the machine"),
        (Told(200, "served as PLACE/temporary/x.png", 0.1), None),
        (Told(422, "data: expected a list", 0.1), None),
    ],
)
def test_what_must_not_be_is_seen(tmp_path: Path, told: Told, why: str | None) -> None:
    place = Target("http://127.0.0.1:1", 1, tmp_path, tmp_path / "secret", "MARK", "bait", [], Map((), (), ()))
    told = Told(told.status, told.text.replace("PLACE", str(tmp_path)), told.seconds, told.closed)
    assert list(Siege(place).wrong(told)) == ([why] if why else [])


def test_what_is_written_outside_is_seen(tmp_path: Path) -> None:
    for name in ("temporary", "home"):
        (tmp_path / name).mkdir()
    place = Target("http://127.0.0.1:1", 1, tmp_path, tmp_path / "secret", "MARK", "bait", [], Map((), (), ()))
    before = place.outside()
    (tmp_path / "temporary" / "a").write_text("own", encoding="utf-8")
    assert place.outside() == before
    (tmp_path / "home" / "a").write_text("not own", encoding="utf-8")
    assert set(place.outside()) - set(before) == {str(tmp_path / "home" / "a")}


def test_an_address_that_was_asked_is_seen(tmp_path: Path) -> None:
    place = Target("http://127.0.0.1:1", 1, tmp_path, tmp_path / "secret", "MARK", "bait", ["/bait"], Map((), (), ()))
    assert list(Siege(place).wrong(Told(200, "", 0.1))) == ["the server asked an address that it was given"]


def test_the_map_knows_every_event_and_function() -> None:
    config = {
        "components": [
            {"id": 3, "type": "textbox", "props": {}},
            {"id": 4, "type": "html", "props": {"server_fns": ["look"]}},
        ],
        "dependencies": [
            {"id": 0, "api_name": "draw", "inputs": [3, 9], "queue": None, "backend_fn": True},
            {"id": 1, "api_name": "stop", "inputs": [], "queue": False, "backend_fn": True},
            {"id": 2, "api_name": "js", "inputs": [], "queue": False, "backend_fn": False},
        ],
    }
    assert Map.of(config) == Map(
        (Event(0, "draw", ("textbox", ""), True), Event(1, "stop", (), False)), ((4, "look"),), (3, 4)
    )


def test_the_shortest_example_is_kept() -> None:
    record = Record()
    for example in ("long one", "short", "longer one"):
        record.fail("HTTP 500", "draw", example)
    assert record.failures["HTTP 500", "draw"] == 3
    assert record.examples["HTTP 500", "draw"] == "short"
    assert "3 x HTTP 500: draw" in report(record)
