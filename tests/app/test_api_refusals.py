"""The public endpoints: what they refuse, and how they serve several callers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from app.api import (
    branch_endpoint,
    compare_endpoint,
    endpoints,
    find_patches_endpoint,
    find_pictures_endpoint,
    generate_endpoint,
    inside_endpoint,
    provenance_endpoint,
    step_endpoint,
)
from app.command_line import Options
from app.library import Library
from app.session import Session
from app.tabs.parts import DRAWS, READS
from app.ui import launch
from app.views import Asked
from core.types import DecodeSettings
from tests.app.asking import PROMPT, STRONG, last, somebody
from tests.app.fake import FakeBackend, FakeDecoding, fake_database


@pytest.fixture(scope="module")
def session() -> Session:
    backend = FakeBackend()
    plain = FakeBackend(name="plain", faid=None)
    return Session.over(Library({"fake": backend, "plain": plain}, {"all": fake_database(backend, images=12)}))


# ---------------------------------------------------------------------------------------------------------------------
# Refusals

NAN, LONG = float("nan"), "x" * 301
MAKERS: dict[str, Callable[[Session], Callable[..., Any]]] = {
    "generate": generate_endpoint,
    "step": step_endpoint,
    "branch": branch_endpoint,
    "compare": compare_endpoint,
    "provenance": provenance_endpoint,
    "find_pictures": find_pictures_endpoint,
    "find_patches": find_patches_endpoint,
    "inside": inside_endpoint,
}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("generate", {"prompt": ""}, "say what to draw"),
    ("generate", {"prompt": LONG}, "prompt: got 301 characters"),
    ("generate", {"prompt": ["a"]}, "prompt: got list"),
    ("generate", {"prompt": None}, "prompt: got NoneType"),
    ("generate", {"model": "secret"}, "model: got 'secret', expected one of fake, plain"),
    ("generate", {"model": ["fake"]}, "model: got ['fake']"),
    ("generate", {"database": {}}, "database: got {}"),
    ("generate", {"database": "yours"}, "database: got 'yours', expected one of all"),
    ("generate", {"database": "nope", "settings": {"method": "model"}}, "database: got 'nope'"),
    ("generate", {"settings": []}, "settings: got list, expected a JSON object"),
    ("generate", {"settings": "seed=1"}, "settings: got str"),
    ("generate", {"settings": {"lambda": 1}}, "settings: got unknown lambda"),
    ("generate", {"settings": {"seed": 1.5}}, "seed: got 1.5"),
    ("generate", {"settings": {"seed": -1}}, "seed: got -1"),
    ("generate", {"settings": {"seed": True}}, "seed: got True"),
    ("generate", {"settings": {"gate": None}}, "gate: got None"),
    ("generate", {"settings": {"gate": "0.5"}}, "gate: got '0.5'"),
    ("generate", {"settings": {"retrieval_weight": 1.01}}, "retrieval_weight: got 1.01"),
    ("generate", {"settings": {"n_neighbours": 2049}}, "n_neighbours: got 2049, the page offers 0 to 2048"),
    ("generate", {"settings": {"cfg_scale": 9}}, "cfg_scale: got 9, the page offers 0 to 8"),
    ("generate", {"settings": {"method": ["daid"]}}, "method: got ['daid']"),
    ("generate", {"settings": {"styles": "flat"}}, "styles: got 'flat'"),
    ("generate", {"settings": {"styles": ["oil"]}}, "styles: got 'oil', expected some of 3d, flat"),
    ("generate", {"settings": {"record_unblended": 1}}, "record_unblended: got 1"),
    ("generate", {"trace": "yes"}, "trace: got 'yes'"),
    ("step", {"run": "nope"}, "not kept any more"),
    ("step", {"run": 3}, "not kept any more"),
    ("step", {"position": -1}, "position: got -1, expected a whole number from 0 to 255"),
    ("step", {"position": 256}, "position: got 256"),
    ("step", {"position": "3"}, "position: got '3'"),
    ("step", {"position": 3.0}, "position: got 3.0"),
    ("step", {"limit": 0}, "limit: got 0, expected a whole number from 1 to 512"),
    ("step", {"limit": 513}, "limit: got 513"),
    ("branch", {"run": "nope"}, "not kept any more"),
    ("branch", {"position": 256}, "position: got 256"),
    ("branch", {"change": None}, "change: got NoneType, expected an object"),
    ("branch", {"change": {}}, "got no change"),
    ("branch", {"change": {"settings": {"retrieval_weight": 0.8}}}, "got no change"),
    ("branch", {"change": {"settings": [1]}}, "change settings: got list"),
    ("branch", {"change": {"settings": {"seed": 4}}}, "expected those of the run"),
    ("branch", {"change": {"settings": {"retrieval_temperature": 3}}}, "the page offers 0.01 to 2"),
    ("branch", {"change": {"code": 1024}}, "expected less than 256 and 1024"),
    ("branch", {"change": {"code": "5"}}, "change code: got '5'"),
    ("branch", {"change": {"weights": [[1]]}}, "expected pairs of an entry and a factor"),
    ("branch", {"change": {"weights": [[10**9, 0]]}}, "which is no neighbour at 100; expected some of the 64"),
    ("branch", {"change": {"others": -1}}, "change others: got -1"),
    ("branch", {"change": {"unknown": 1}}, "change: got unknown unknown"),
    ("compare", {"prompt": " "}, "say what to draw"),
    ("compare", {"variants": []}, "variants: got [], expected a list of 2 to 4"),
    ("compare", {"variants": [{}]}, "expected a list of 2 to 4"),
    ("compare", {"variants": [{}] * 5}, "expected a list of 2 to 4"),
    ("compare", {"variants": [{}, 3]}, "variants: got 3, expected an object"),
    ("compare", {"variants": [{}, {"seed": "a"}]}, "seed: got 'a'"),
    ("provenance", {"run": "nope"}, "not kept any more"),
    ("provenance", {"run": None}, "not kept any more"),
    ("provenance", {"limit": True}, "limit: got True"),
    ("find_pictures", {"words": ""}, "words: got none; type a word of a caption"),
    ("find_pictures", {"words": "?!"}, "words: got none"),
    ("find_pictures", {"words": 3}, "words: got more than 100 letters or no text"),
    ("find_pictures", {"words": "x" * 101}, "words: got more than 100 letters"),
    ("find_pictures", {"database": "yours"}, "database: got 'yours', expected one of all"),
    ("find_pictures", {"limit": 0}, "limit: got 0"),
    ("find_patches", {"run": "nope"}, "not kept any more"),
    ("find_patches", {"run": ["x"]}, "not kept any more"),
    ("find_patches", {"run": ""}, "run, picture: got both or none of them, expected one"),
    ("find_patches", {"picture": 3}, "run, picture: got both or none of them, expected one"),
    ("find_patches", {"run": "", "picture": 12}, "image: got no. 12, expected one of 12 up to 11"),
    ("find_patches", {"run": "", "picture": True}, "image: got no. True"),
    ("find_patches", {"run": "", "picture": 10**30}, "expected one of 12 up to 11"),
    ("find_patches", {"position": 256}, "position: got 256"),
    ("find_patches", {"position": 3}, "Nothing is looked up at position 3: first row: there is nothing above."),
    ("find_patches", {"limit": 513}, "limit: got 513"),
    ("inside", {"run": "nope"}, "not kept any more"),
    ("inside", {"position": 256}, "position: got 256, expected a whole number from 0 to 255"),
    ("inside", {"layer": 4}, "layer: got 4, expected 0 to 3"),
    ("inside", {"layer": -1}, "layer: got -1"),
    ("inside", {"layer": "0"}, "layer: got '0'"),
    ("inside", {"layer": 0, "head": 2}, "head: got 2, expected 0 to 1"),
    ("inside", {"head": 0}, "head: got one without a layer"),
]  # fmt: skip


@pytest.fixture(scope="module")
def kept(session: Session) -> str:
    """Id of a run with neighbours at position 100."""
    run, _ = generate_endpoint(session)(somebody(), PROMPT, settings=STRONG)
    return str(run["run"])


def valid(run: str) -> dict[str, dict[str, Any]]:
    """Arguments of each endpoint that it takes."""
    return {
        "generate": {"prompt": PROMPT},
        "compare": {"prompt": PROMPT},
        "step": {"run": run, "position": 100},
        "branch": {"run": run, "position": 100, "change": {"code": 1}},
        "provenance": {"run": run},
        "find_pictures": {"words": "disc"},
        "find_patches": {"run": run, "position": 100},
        "inside": {"run": run, "position": 100},
    }


@pytest.mark.parametrize(("endpoint", "wrong", "said"), REFUSED)
def test_mistakes_are_told_in_one_line_and_nothing_is_lost(
    session: Session, kept: str, endpoint: str, wrong: dict[str, Any], said: str
) -> None:
    before = session.visits.runs("ann")
    with pytest.raises(gr.Error) as refused:
        MAKERS[endpoint](session)(somebody(), **{**valid(kept)[endpoint], **wrong})
    message = refused.value.message
    assert said in message
    assert "\n" not in message
    assert len(message) < 500
    assert not refused.value.print_exception
    assert session.visits.runs("ann") == before


@pytest.mark.parametrize("endpoint", MAKERS)
def test_a_client_sees_the_line(client: Client, strong: dict[str, Any], endpoint: str) -> None:
    name, value, said = {
        "generate": ("prompt", "", "say what to draw"),
        "compare": ("prompt", "", "say what to draw"),
        "find_pictures": ("words", "", "words: got none"),
    }.get(endpoint, ("run", "nope", "not kept any more"))
    with pytest.raises(AppError, match=said):
        client.predict(**{**valid(strong["run"])[endpoint], name: value}, api_name=f"/{endpoint}")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(url: str, number: str) -> None:
    """A client of Python does not send them, but others may."""
    body = f'{{"data": ["a disc", "fake", "all", {{"gate": {number}}}, false], "session_hash": "numbers"}}'
    asked = Request(f"{url}/gradio_api/call/generate", body.encode(), {"Content-Type": "application/json"})
    with urlopen(asked) as answer:
        event = json.load(answer)["event_id"]
    with urlopen(f"{url}/gradio_api/call/generate/{event}") as answer:
        told = answer.read().decode()
    assert told.startswith("event: error")
    assert "gate: got" in told
    assert "expected a number from 0 to 100" in told


def test_what_was_not_foreseen_is_logged_and_not_told(
    monkeypatch: pytest.MonkeyPatch, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    run, _ = generate_endpoint(session)(somebody(), PROMPT)

    def fail(*_: object) -> None:
        raise RuntimeError("/secret/path is broken")

    monkeypatch.setattr(FakeDecoding, "logits", fail)
    monkeypatch.setattr("app.answers.explain", fail)
    with caplog.at_level(logging.ERROR):
        for call in (
            lambda: generate_endpoint(session)(somebody(), PROMPT),
            lambda: compare_endpoint(session)(somebody(), PROMPT),
            lambda: step_endpoint(session)(somebody(), run["run"], 100),
        ):
            with pytest.raises(gr.Error, match="Something went wrong on the server") as told:
                call()
            assert "secret" not in str(told.value)
            assert not told.value.print_exception
    assert caplog.text.count("/secret/path is broken") >= 3


# ---------------------------------------------------------------------------------------------------------------------
# Several callers


def test_nobody_reaches_the_runs_of_another(url: str, strong: dict[str, Any]) -> None:
    other = Client(url, verbose=False)
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("/step", (100,)), ("/branch", (100, {"code": 1})), ("/provenance", ()),
    ]  # fmt: skip
    for endpoint, arguments in calls:
        with pytest.raises(AppError, match="not kept any more"):
            other.predict(strong["run"], *arguments, api_name=endpoint)
    mine, _ = other.predict("another disc", api_name="/generate")
    assert other.predict(mine["run"], 9, api_name="/step")["code"] == mine["codes"][9]
    other.close()


def test_what_a_client_asks_for_at_once_is_all_drawn(client: Client) -> None:
    jobs = [client.submit(f"disc {number}", api_name="/generate") for number in range(5)]
    runs = [job.result(timeout=60)[0] for job in jobs]
    assert [run["prompt"] for run in runs] == [f"disc {number}" for number in range(5)]
    assert {len(run["codes"]) for run in runs} == {256}
    alone, _ = client.predict("disc 3", api_name="/generate")
    assert alone["codes"] == runs[3]["codes"]


def test_whatever_draws_waits_for_the_model_alone(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    queues: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr("app.api.api", lambda answer, **options: queues.update({answer.__name__: options}))
    monkeypatch.setattr("app.api.describe", lambda *_: None)
    endpoints(session, cast(gr.Blocks, None))
    drawing = ("generate", "branch", "compare")
    reading = ("step", "provenance", "find_pictures", "find_patches")
    assert queues == {**dict.fromkeys(drawing, DRAWS), "inside": READS, **{name: {} for name in reading}}


@pytest.mark.parametrize("route", ["run", "api"])
def test_no_request_gets_past_the_queue(url: str, route: str) -> None:
    body = json.dumps({"data": [PROMPT, "fake", "all", None, False]}).encode()
    asked = Request(f"{url}/gradio_api/{route}/generate", body, {"Content-Type": "application/json"})
    with pytest.raises(HTTPError) as refused:
        urlopen(asked)
    refused.value.close()
    assert refused.value.code == 404


def test_runs_of_scripts_do_not_end_each_other_and_the_page_still_does(slow: Session) -> None:
    with ThreadPoolExecutor(2) as both:
        draw = [both.submit(last, slow.drawing.draw("bob", prompt, lambda: asked(slow), None)) for prompt in "ab"]
    assert [job.result().state for job in draw] == ["ready", "ready"]
    with ThreadPoolExecutor(1) as one:
        older = one.submit(list, slow.drawing.draw("bob", "sun", lambda: asked(slow), None))
        newer = slow.drawing.draw("bob", "moon", lambda: asked(slow))
        assert next(newer).state == "streaming"
        assert older.result() == []  # superseded: nothing is left of it
    slow.runs.stop("bob", "")
    assert last(newer).state == "stopped"


def asked(session: Session) -> Asked:
    return Asked(next(iter(session.library.backends)), "all", DecodeSettings())


# ---------------------------------------------------------------------------------------------------------------------
# MCP


def test_mcp_without_its_package_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.ui.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        launch(Options("127.0.0.1", 1, mcp=True))
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: --mcp: the package mcp is not installed; run pip install -r requirements-mcp.txt\n"
    )
