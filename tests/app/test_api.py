"""The public endpoints: what a stranger learns of them, what they answer, what they refuse, and to whom."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from app import controls
from app.api import (
    MOST_LISTED,
    branch_endpoint,
    compare_endpoint,
    endpoints,
    generate_endpoint,
    provenance_endpoint,
    step_endpoint,
)
from app.plans import MOST_COMPARED
from app.schemas import input_schemas
from app.session import Session
from app.tabs import CONCURRENT_RUNS, MODEL_QUEUE
from app.ui import launch
from app.views import Asked
from app.visits import RUNS_KEPT
from core.copying import copying, regions_of
from core.daid import neighbour_shares
from core.provenance import provenance
from core.trace import Trace, entropy, kl_divergence, neighbours
from core.types import MEANINGS, DecodeSettings
from tests.app.fake import FakeBackend, FakeDecoding, fake_database

ENDPOINTS = {"/generate", "/step", "/branch", "/compare", "/provenance"}
PROMPT = "a disc"
STRONG = {"seed": 3, "retrieval_weight": 0.8, "gate": 0}


@pytest.fixture(scope="module")
def client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    connected = Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def session() -> Session:
    backend = FakeBackend()
    plain = FakeBackend(name="plain", faid=None)
    return Session({"fake": backend, "plain": plain}, {"all": fake_database(backend, images=12)})


@pytest.fixture(scope="module")
def strong(client: Client) -> dict[str, Any]:
    """A run in which retrieval says a lot, with its trace."""
    run: dict[str, Any] = client.predict(PROMPT, settings=STRONG, trace=True, api_name="/generate")[0]
    return run


@pytest.fixture(scope="module")
def traced(strong: dict[str, Any]) -> Trace:
    return Trace.load(Path(strong["trace"]))


def somebody(name: str = "ann") -> gr.Request:
    return gr.Request(session_hash=name)


def a_step(trace: Trace) -> int:
    """A position with neighbours at which retrieval changed the code."""
    return int(trace.flips()[0])


# ---------------------------------------------------------------------------------------------------------------------
# What a stranger learns


@pytest.fixture(scope="module")
def info(url: str) -> dict[str, Any]:
    with urlopen(f"{url}/gradio_api/info") as answer:
        found: dict[str, Any] = json.load(answer)["named_endpoints"]
    return found


def parameter(info: dict[str, Any], endpoint: str, name: str) -> dict[str, Any]:
    return next(found for found in info[endpoint]["parameters"] if found["parameter_name"] == name)


def test_all_that_goes_in_and_out_has_a_name_a_type_and_words(info: dict[str, Any]) -> None:
    assert set(info) == ENDPOINTS
    for described in info.values():
        assert len(described["description"]) > 80
        for part in [*described["parameters"], *described["returns"]]:
            assert part["label"].isidentifier()
            assert part["python_type"]["type"] not in ("", "Any")
            assert len(part["python_type"]["description"]) > 5
        assert all(part["label"] == part["parameter_name"] for part in described["parameters"])


def test_what_must_be_given_and_what_has_defaults(info: dict[str, Any]) -> None:
    required = {
        endpoint: [part["parameter_name"] for part in described["parameters"] if not part["parameter_has_default"]]
        for endpoint, described in info.items()
    }
    assert required == {
        "/generate": ["prompt"],
        "/step": ["run", "position"],
        "/branch": ["run", "position", "change"],
        "/compare": ["prompt"],
        "/provenance": ["run"],
    }
    model = parameter(info, "/generate", "model")
    assert (model["parameter_default"], model["type"]["enum"]) == ("fake", ["fake"])
    assert parameter(info, "/compare", "database")["parameter_default"] == "all"


def test_settings_are_described_with_the_ranges_of_the_page(info: dict[str, Any]) -> None:
    settings = parameter(info, "/generate", "settings")["type"]["properties"]
    assert (
        list(settings) == [field.name for field in fields(DecodeSettings)] == sorted(MEANINGS, key=list(settings).index)
    )
    for knob in controls.KNOBS:
        assert (settings[knob.field]["minimum"], settings[knob.field]["maximum"]) == (knob.low, knob.high)
        assert f"{knob.low:g} to {knob.high:g}" in settings[knob.field]["description"]
    for name, value in asdict(DecodeSettings()).items():
        assert settings[name]["default"] == (list(value) if isinstance(value, tuple) else value)
        assert settings[name]["description"].startswith(MEANINGS[name])
    assert settings["method"]["enum"] == ["model", "daid", "faid", "faid+daid"]
    assert settings["styles"]["items"]["enum"] == ["3d", "flat"]
    change = parameter(info, "/branch", "change")["type"]["properties"]
    assert set(change) == {"settings", "weights", "others", "code"}
    assert set(change["settings"]["properties"]) == set(settings)
    variants = parameter(info, "/compare", "variants")["type"]
    assert set(variants["items"]["properties"]) == set(settings)


def test_files_are_files_and_lists_have_typed_items(info: dict[str, Any]) -> None:
    run, picture = info["/generate"]["returns"]
    assert picture["python_type"]["type"] == "filepath"
    for words in ("codes: list[int] (in raster order)", "flips: None | list[int]", "trace: None | filepath"):
        assert words in run["python_type"]["type"]
    (step,) = info["/step"]["returns"]
    assert "neighbours: list[dict(entry: int (its number in the database" in step["python_type"]["type"]


def test_the_words_name_the_limits_that_hold(info: dict[str, Any]) -> None:
    assert f"newest {RUNS_KEPT} runs" in info["/generate"]["description"]
    assert f"1 to {MOST_LISTED}" in parameter(info, "/step", "limit")["python_type"]["description"]
    assert f"2 to {MOST_COMPARED} pictures" in parameter(info, "/compare", "variants")["python_type"]["description"]


def test_a_server_offers_what_it_has() -> None:
    schemas = input_schemas(Session({"plain": FakeBackend(faid=None)}, {}))
    assert schemas["settings"]["properties"]["method"]["enum"] == ["model"]
    assert "enum" not in schemas["settings"]["properties"]["styles"]["items"]
    assert schemas["model"]["enum"] == ["plain"]
    assert "database" not in schemas


# ---------------------------------------------------------------------------------------------------------------------
# Generate


def test_a_picture_comes_with_its_codes_and_the_same_again(client: Client, strong: dict[str, Any]) -> None:
    run, picture = client.predict(PROMPT, settings=STRONG, api_name="/generate")
    assert run["codes"] == strong["codes"]
    assert run["run"] != strong["run"]
    assert (run["height"], run["width"], len(run["codes"])) == (16, 16, 256)
    assert (run["prompt"], run["model"], run["database"], run["trace"]) == (PROMPT, "fake", "all", None)
    assert run["settings"] == json.loads(json.dumps(asdict(DecodeSettings(**STRONG))))
    assert run["link"].startswith("?prompt=a+disc&model=fake")
    with Image.open(picture) as opened:
        assert (opened.format, opened.size) == ("WEBP", (128, 128))


def test_the_trace_is_the_run(strong: dict[str, Any], traced: Trace) -> None:
    assert strong["trace"].endswith("loupe-a-disc-seed3.npz")
    assert traced.codes.tolist() == strong["codes"]
    assert traced.flips().tolist() == strong["flips"]
    assert len(strong["flips"]) > 5


def test_whether_blenders_changed_codes_is_told_only_where_it_was_recorded(client: Client) -> None:
    for recorded in (False, True):
        settings = {"method": "faid", "record_unblended": recorded, "seed": 1}
        run, _ = client.predict(PROMPT, settings=settings, api_name="/generate")
        assert isinstance(run["flips"], list) == recorded


# ---------------------------------------------------------------------------------------------------------------------
# Step


def test_a_step_is_what_the_trace_says(client: Client, strong: dict[str, Any], traced: Trace) -> None:
    at = a_step(traced)
    told = client.predict(strong["run"], at, limit=512, api_name="/step")
    record, blend = traced.steps[at], traced.blend(at)
    found = neighbours(record)
    assert found is not None
    assert (told["position"], told["row"], told["column"]) == (at, at // 16, at % 16)
    assert (told["code"], told["picked"], told["drawn"], told["u"]) == (record.code, record.code, True, None)
    assert (told["shifted"], told["code_without_blenders"]) == (None, None)
    assert told["flipped"] is True
    assert told["code_without_retrieval"] == traced.explain(at).without != record.code
    assert told["retrieval_weight"] == blend.weight == 0.8
    assert told["entropy"]["without_retrieval"] == pytest.approx(entropy(blend.model))
    assert told["entropy"]["blended"] == pytest.approx(entropy(blend.blended))
    assert told["kl"] == pytest.approx(kl_divergence(blend.model, blend.blended))
    assert told["not_retrieved"] is None
    assert len(told["context"]) == 4
    for chances in told["codes"]:
        code = chances["code"]
        assert chances["model"] == pytest.approx(blend.model[code])
        assert chances["blended"] == pytest.approx(blend.blended[code])
        assert chances["nothing_retrieved"] == chances["model"]
        assert chances["no_blenders"] is None
    scores = {row["code"]: np.log(row["blended"]) + row["noise"] for row in told["codes"] if row["blended"] > 0}
    first, second = sorted(scores, key=scores.__getitem__, reverse=True)[:2]
    assert (first, second) == (record.code, told["runner_up"])
    assert told["margin"] == pytest.approx(scores[first] - scores[second])
    assert sum(chances["blended"] for chances in told["codes"]) == pytest.approx(1)
    assert told["found"] == len(told["neighbours"]) == 64
    assert [near["entry"] for near in told["neighbours"]] == found.entries.tolist()
    assert [near["distance"] for near in told["neighbours"]] == pytest.approx(found.distances.tolist())
    shares = neighbour_shares(found, 0.1, "sum")
    assert [near["share"] for near in told["neighbours"]] == pytest.approx(shares.tolist())
    images, rows, columns = traced.provenance(at)
    first = told["neighbours"][0]
    assert (first["image"], first["row"], first["column"]) == (images[0], rows[0], columns[0])
    assert first["caption"] == f"disc number {images[0]}"
    assert first["style"] == ("3d", "flat")[images[0] % 2]
    assert first["code"] == traced.sources[images[0]].codes[rows[0], columns[0]]
    assert first["compatibility"] == told["blenders"] == []


def test_the_likeliest_and_the_nearest_are_listed_unless_more_are_wanted(
    client: Client, strong: dict[str, Any]
) -> None:
    few = client.predict(strong["run"], 100, limit=5, api_name="/step")
    usual = client.predict(strong["run"], 100, api_name="/step")
    assert (len(few["codes"]), len(few["neighbours"])) == (5, 5)
    assert (len(usual["codes"]), len(usual["neighbours"])) == (16, 16)
    assert usual["neighbours"][:5] == few["neighbours"]


def test_a_step_without_neighbours_says_why(client: Client, strong: dict[str, Any]) -> None:
    told = client.predict(strong["run"], 3, api_name="/step")
    assert "row" in told["not_retrieved"]
    assert (told["neighbours"], told["context"], told["found"], told["retrieval_weight"]) == ([], [], 0, 0)
    assert told["entropy"]["retrieval"] is None
    assert told["flipped"] is False
    assert all(chances["retrieval"] is None for chances in told["codes"])


@pytest.mark.parametrize("recorded", [False, True])
def test_a_step_with_blenders_says_what_they_did(client: Client, recorded: bool) -> None:
    settings = {"method": "faid+daid", "faid_neighbours": 3, "record_unblended": recorded, "seed": 2}
    run, _ = client.predict(PROMPT, settings=settings, trace=True, api_name="/generate")
    told, trace = client.predict(run["run"], 100, api_name="/step"), Trace.load(Path(run["trace"]))
    faid = trace.steps[100].faid
    assert faid is not None
    assert [blender["layer"] for blender in told["blenders"]] == [0, 3]
    assert told["blenders"][1]["hop_weights"] == pytest.approx([0.48, 0.52])
    assert told["blenders"][1]["share"] == pytest.approx(float(faid.share[1]))
    scores = [near["compatibility"] for near in told["neighbours"]]
    assert np.array(scores[:3]) == pytest.approx(faid.compatibility.T)
    assert all(score == [] for score in scores[3:])
    assert (told["kl"] is not None) == (told["flipped"] is not None) == recorded
    for name in ("no_blenders", "nothing_retrieved"):
        assert (told["codes"][0][name] is not None) == recorded
    assert (told["shifted"] is not None) == (told["code_without_blenders"] is not None) == recorded


# ---------------------------------------------------------------------------------------------------------------------
# Branch


def branch(client: Client, run: dict[str, Any], at: int, change: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """A branch and its step at the change."""
    made, picture = client.predict(run["run"], at, change, api_name="/branch")
    with Image.open(picture) as opened:
        assert opened.size == (128, 128)
    assert made["codes"][:at] == run["codes"][:at]
    differing = [p for p, pair in enumerate(zip(made["codes"], run["codes"], strict=True)) if pair[0] != pair[1]]
    assert made["differing"] == differing
    assert (made["parent"], made["position"], made["link"]) == (run["run"], at, None)
    return made, client.predict(made["run"], at, limit=512, api_name="/step")


def test_neighbours_can_be_dropped_pinned_and_weighed(client: Client, strong: dict[str, Any]) -> None:
    before = client.predict(strong["run"], 100, limit=512, api_name="/step")
    first, second = before["neighbours"][:2]
    dropped, step = branch(client, strong, 100, {"weights": [[first["entry"], 0]]})
    assert dropped["change"] == "1 dropped"
    assert step["neighbours"][0]["share"] == 0
    pinned, step = branch(client, strong, 100, {"weights": [[second["entry"], 1]], "others": 0})
    assert pinned["change"] == "1 pinned"
    assert [near["share"] for near in step["neighbours"]] == [0, 1, *([0] * 62)]
    _, step = branch(client, strong, 100, {"weights": [[second["entry"], 3]]})
    ratio = second["share"] / first["share"]
    assert step["neighbours"][1]["share"] / step["neighbours"][0]["share"] == pytest.approx(3 * ratio)


def test_settings_change_from_the_position_on_and_a_code_can_be_forced(client: Client, strong: dict[str, Any]) -> None:
    off, _ = branch(client, strong, 60, {"settings": {"method": "model"}})
    assert off["change"] == "Model only"
    assert all(flip < 60 for flip in off["flips"])
    assert off["differing"]
    assert off["settings"] == strong["settings"]  # those of the first position
    assert client.predict(off["run"], 60, api_name="/step")["not_retrieved"] == "retrieval is off"
    forced, step = branch(client, strong, 100, {"code": 5})
    assert (forced["codes"][100], step["code"]) == (5, 5)
    assert step["picked"] == strong["codes"][100]
    again, _ = branch(client, forced, 40, {"settings": {"n_neighbours": 8}, "code": 7})
    assert again["codes"][40] == 7
    assert client.predict(again["run"], 41, api_name="/step")["found"] == 8


# ---------------------------------------------------------------------------------------------------------------------
# Compare


def test_methods_are_compared(client: Client) -> None:
    told, picture = client.predict(PROMPT, settings={"seed": 3}, api_name="/compare")
    assert [run["settings"]["method"] for run in told["runs"]] == ["model", "daid", "faid", "faid+daid"]
    assert [run["label"] for run in told["runs"]] == ["Model only", "DAiD", "FAiD", "FAiD + DAiD"]
    codes = np.array([run["codes"] for run in told["runs"]])
    assert told["differing"] == [p for p in range(256) if len(set(codes[:, p])) > 1] != []
    with Image.open(picture) as opened:
        assert opened.size == (4 * 128, 128)
    alone, _ = client.predict(PROMPT, settings={"seed": 3, "method": "daid"}, api_name="/generate")
    assert told["runs"][1]["codes"] == alone["codes"]
    assert client.predict(told["runs"][2]["run"], 100, api_name="/step")["blenders"]


def test_variants_are_compared(client: Client) -> None:
    variants = [{"retrieval_weight": 0.1}, {"retrieval_weight": 0.9}]
    told, picture = client.predict(PROMPT, settings={"gate": 0}, variants=variants, trace=True, api_name="/compare")
    assert [run["label"] for run in told["runs"]] == ["λ 0.1", "λ 0.9"]
    assert [run["settings"]["gate"] for run in told["runs"]] == [0, 0]
    assert [Trace.load(Path(run["trace"])).settings.retrieval_weight for run in told["runs"]] == [0.1, 0.9]
    with Image.open(picture) as opened:
        assert opened.size == (2 * 128, 128)


def test_only_methods_that_the_model_has_are_compared(session: Session) -> None:
    told, _ = compare_endpoint(session)(somebody(), PROMPT, model="plain")
    assert [run["settings"]["method"] for run in told["runs"]] == ["model", "daid"]


# ---------------------------------------------------------------------------------------------------------------------
# Provenance


def test_sources_are_those_of_the_trace(client: Client, strong: dict[str, Any], traced: Trace) -> None:
    told, seen = client.predict(strong["run"], limit=3, api_name="/provenance"), provenance(traced)
    assert len(told["sources"]) == 3
    assert told["count"] == int((seen.shares > 0).sum()) > 3
    assert told["retrieved_share"] == pytest.approx(seen.mass.sum() / 256)
    for place, source in enumerate(told["sources"]):
        assert source["image"] == seen.images[place]
        assert source["caption"] == f"disc number {source['image']}"
        assert source["share"] == pytest.approx(seen.mass[:, place].mean())
        assert source["credit"] == pytest.approx(seen.credit[:, place].mean())
        assert source["positions"] == np.flatnonzero(seen.owners == place).tolist()
    regions = regions_of(traced)
    assert told["copying"] == asdict(copying(regions, traced.retrieving_positions))
    assert [region["positions"] for region in told["regions"]] == [list(region.positions) for region in regions[:3]]
    assert told["references"] == []  # none were measured with a fake model


def test_a_run_without_retrieval_has_no_sources(client: Client) -> None:
    run, _ = client.predict(PROMPT, settings={"method": "model"}, api_name="/generate")
    told = client.predict(run["run"], api_name="/provenance")
    assert (told["retrieved_share"], told["effective_sources"], told["sources"], told["count"]) == (0, 0, [], 0)


def test_copying_comes_with_its_references() -> None:
    backend = FakeBackend()
    shipped = Session({"emoji": backend}, {"emoji": fake_database(backend, images=12)})
    run, _ = generate_endpoint(shipped)(somebody(), PROMPT)
    references = provenance_endpoint(shipped)(somebody(), run["run"])["references"]
    assert [row["of"] for row in references] == ["held-out real pictures", "emoji without retrieval"]
    assert all(len(row["share"]) == 3 and row["pictures"] > 0 and row["looked_up_alike"] for row in references)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals

NAN, LONG = float("nan"), "x" * 301
MAKERS: dict[str, Callable[[Session], Callable[..., Any]]] = {
    "generate": generate_endpoint,
    "step": step_endpoint,
    "branch": branch_endpoint,
    "compare": compare_endpoint,
    "provenance": provenance_endpoint,
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
    ("generate", {"settings": {"n_neighbours": 513}}, "n_neighbours: got 513, the page offers 0 to 512"),
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
    name, value = ("prompt", "") if endpoint in ("generate", "compare") else ("run", "nope")
    with pytest.raises(AppError, match="say what to draw" if name == "prompt" else "not kept any more"):
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
    monkeypatch.setattr(Trace, "explain", fail)
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


def test_whatever_runs_a_model_waits_in_one_queue(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    queues: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr("app.api.api", lambda answer, **options: queues.update({answer.__name__: options}))
    monkeypatch.setattr("app.api.describe", lambda *_: None)
    endpoints(session, cast(gr.Blocks, None))
    models = {"concurrency_id": MODEL_QUEUE, "concurrency_limit": CONCURRENT_RUNS}
    assert queues == {"generate": models, "branch": models, "compare": models, "step": {}, "provenance": {}}


@pytest.mark.parametrize("route", ["run", "api"])
def test_no_request_gets_past_the_queue(url: str, route: str) -> None:
    body = json.dumps({"data": [PROMPT, "fake", "all", None, False]}).encode()
    asked = Request(f"{url}/gradio_api/{route}/generate", body, {"Content-Type": "application/json"})
    with pytest.raises(HTTPError) as refused:
        urlopen(asked)
    refused.value.close()
    assert refused.value.code == 404


def test_runs_of_scripts_do_not_end_each_other_and_the_page_still_does(session: Session) -> None:
    beside = [session.draw("bob", prompt, lambda: asked(session), beside=True) for prompt in ("sun", "moon")]
    for run in beside:
        next(run)
    assert [list(run)[-1].state for run in beside] == ["ready", "ready"]
    older = session.draw("bob", "sun", lambda: asked(session), beside=True)
    next(older)
    newer = session.draw("bob", "moon", lambda: asked(session))
    next(newer)
    assert not list(older)  # superseded: nothing is left of it
    session.stop("bob")
    assert list(newer)[-1].state == "stopped"


def asked(session: Session) -> Asked:
    return Asked(next(iter(session.backends)), "all", DecodeSettings())


# ---------------------------------------------------------------------------------------------------------------------
# MCP


def test_mcp_without_its_package_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.ui.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        launch("127.0.0.1", 1, mcp=True)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: --mcp: the package mcp is not installed; run pip install -r requirements-mcp.txt\n"
    )
