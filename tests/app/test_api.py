"""The public endpoints: what a stranger learns of them, and what they answer."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from gradio_client import Client
from PIL import Image

from app import controls
from app.api import (
    MOST_LISTED,
    compare_endpoint,
    generate_endpoint,
    provenance_endpoint,
)
from app.library import Library
from app.plans import MOST_COMPARED
from app.schemas import input_schemas
from app.session import Session
from app.visits import Limits
from core.analysis.copying import copying, regions_of
from core.analysis.provenance import provenance
from core.daid import neighbour_shares
from core.trace import Trace, entropy, kl_divergence, neighbours
from core.types import MEANINGS, DecodeSettings
from tests.app.asking import PROMPT, STRONG, a_step, somebody
from tests.app.fake import FakeBackend, fake_database

ENDPOINTS = {
    "/generate", "/step", "/branch", "/compare", "/provenance", "/inside", "/find_pictures", "/find_patches",
}  # fmt: skip


@pytest.fixture(scope="module")
def session() -> Session:
    backend = FakeBackend()
    plain = FakeBackend(name="plain", faid=None)
    return Session.over(Library({"fake": backend, "plain": plain}, {"all": fake_database(backend, images=12)}))


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
        "/find_pictures": ["words"],
        "/find_patches": ["position"],
        "/inside": ["run", "position"],
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
    assert f"newest {Limits().runs} runs" in info["/generate"]["description"]
    assert f"1 to {MOST_LISTED}" in parameter(info, "/step", "limit")["python_type"]["description"]
    assert f"2 to {MOST_COMPARED} pictures" in parameter(info, "/compare", "variants")["python_type"]["description"]


def test_a_server_offers_what_it_has() -> None:
    schemas = input_schemas(Library({"plain": FakeBackend(faid=None)}, {}))
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
    assert strong["trace"].endswith("a-disc_seed-3.npz")
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
    shipped = Session.over(Library({"emoji": backend}, {"emoji": fake_database(backend, images=12)}))
    run, _ = generate_endpoint(shipped)(somebody(), PROMPT)
    references = provenance_endpoint(shipped)(somebody(), run["run"])["references"]
    assert [row["of"] for row in references] == ["held-out real pictures", "emoji without retrieval"]
    assert all(len(row["share"]) == 3 and row["pictures"] > 0 and row["looked_up_alike"] for row in references)
