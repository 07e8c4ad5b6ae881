"""How a server says that it is well, and what it counts of itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import health
from app.counts import Counts
from app.health import Health
from app.journal import Journal
from app.library import Library
from app.prometheus import LEVELS, PrometheusCounts
from app.session import Session
from core import __version__
from tests.app.asking import PROMPT, defaults
from tests.app.fake import FakeBackend, fake_database

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Under:
    """What is under way: nothing."""

    alive: bool = True
    waiting: int = 0
    drawing: int = 0

    def refuse(self) -> None:
        """Nothing begins anyway."""

    def hand_back(self) -> None:
        """There is nothing to hand back."""

    def close(self) -> None:
        """There is nothing to leave behind."""


def answer(told: Health) -> tuple[int, dict[str, object]]:
    got = TestClient(Starlette(routes=[told.route()])).get("/health")
    return got.status_code, got.json()


def counted(counts: PrometheusCounts) -> dict[str, float]:
    """What Prometheus reads: samples by their names and labels."""
    text = TestClient(Starlette(routes=list(counts.routes()))).get("/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_a_page_says_that_it_is_well(url: str) -> None:
    with urlopen(f"{url}/health") as got:
        told = json.load(got)
        assert got.headers["Cache-Control"] == "no-store"
    assert (told["status"], told["models"], told["decoding"], told["waiting"]) == ("ok", ["fake"], True, 0)
    assert told["seconds"] >= 0
    assert health.main({"GRADIO_SERVER_PORT": url.rsplit(":", 1)[1], "http_proxy": "http://127.0.0.1:9"}) == 0


def test_the_version_is_that_of_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'^version = "(.*)"$', text, re.MULTILINE) == [__version__]


def test_no_page_is_not_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main({"GRADIO_SERVER_PORT": "9"}) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_who_cannot_draw_or_is_ending_is_unavailable() -> None:
    assert answer(Health(Under(), ("fake",)))[0] == 200
    status, told = answer(Health(Under(alive=False), ("fake",)))
    assert (status, told["status"], told["decoding"]) == (503, "not drawing", False)
    status, told = answer(Health(Under(), ("fake",), ending=True))
    assert (status, told["status"]) == (503, "ending")


def test_runs_are_counted_by_how_they_end() -> None:
    backend, counts = FakeBackend(), PrometheusCounts()
    session = Session.over(
        Library({"fake": backend}, {"all": fake_database(backend, images=12)}), journal=Journal(counts)
    )
    list(session.drawing.draw("ann", PROMPT, defaults))
    list(session.drawing.draw("ann", PROMPT, defaults, pause=3))
    list(session.drawing.draw("ann", " ", defaults))
    session.journal.visited("ann")
    session.journal.refused("ann", "queue")
    counts.batched(5)
    told = counted(counts)
    assert told["arrag_runs_total daid fake finished"] == told["arrag_runs_total daid fake paused"] == 1
    assert told["arrag_runs_total   failed"] == 1
    assert told["arrag_visits_total"] == told["arrag_refusals_total queue"] == 1
    assert told["arrag_phase_seconds_count drawing"] == told["arrag_phase_seconds_count packing"] == 2
    assert told["arrag_phase_seconds_sum drawing"] > told["arrag_phase_seconds_sum waiting"]
    assert [told[f"arrag_batch_pictures_bucket {rows}"] for rows in ("1.0", "4.0", "8.0")] == [2, 2, 3]
    assert (told["arrag_waiting_pictures"], told["arrag_drawing_pictures"]) == (0, 0)
    assert sys.platform != "linux" or told["process_resident_memory_bytes"] > 2**20


def test_what_goes_up_and_down_is_asked_for_anew() -> None:
    counts, now = PrometheusCounts(), [3.0]
    for level in LEVELS:
        counts.watch(level, lambda: now[0])
    for now[0] in (3.0, 5.0):
        assert all(counted(counts)[f"arrag_{name}"] == now[0] for name, _ in LEVELS.values())


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc, which only Linux has")
def test_another_process_is_told_while_it_is_there() -> None:
    counts, number = PrometheusCounts(), [None]
    counts.watch_process(lambda: number[0])
    name = "arrag_decoding_process_resident_memory_bytes"
    assert name not in counted(counts)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        number[0] = other.pid
        assert counted(counts)[name] > 2**20
        other.communicate(b"\n")
    assert name not in counted(counts)


def test_two_servers_of_a_process_count_apart() -> None:
    one, other = PrometheusCounts(), PrometheusCounts()
    one.visited()
    assert (counted(one)["arrag_visits_total"], counted(other)["arrag_visits_total"]) == (1, 0)


def test_without_being_asked_nothing_is_counted_nor_loaded(url: str) -> None:
    assert list(Counts().routes()) == []
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{url}/metrics")
    refused.value.close()
    assert refused.value.code == 404
    code = "import sys, app.ui; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
