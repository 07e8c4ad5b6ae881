"""Databases that go to a hub and come back: on the command line, against a hub on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.analysis.card import card, known_licence, licence_of, plain
from core.analysis.stats import stats_of
from core.patches.catalogue import check_name, find_database, manifest_of
from core.patches.hub.names import Repository, named_repository, repository
from core.patches.segments.database import SegmentedDatabase
from core.types import ConfigError
from tests.databases import CODEBOOK, QUERIES, segmented
from tests.dataset_hub import TOKEN, DatasetHub, served
from tests.hub import asked

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the hub's client
NAME = "me/patches"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    there = DatasetHub()
    with served(there, tmp_path / "cache", monkeypatch):
        yield there


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    """What a command answers with."""
    assert main(["database", *map(str, arguments)]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    assert main(["database", *map(str, arguments)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ")
    return line


def test_a_database_goes_there_and_comes_back_with_the_same_answers(
    hub: DatasetHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    segmented(tmp_path / "mine", 2)
    mine = SegmentedDatabase.open(tmp_path / "mine")
    pushed = told(capsys, "push", tmp_path / "mine", NAME, "--private")
    assert pushed["removed"] == 0
    assert hub.made[0]["visibility"] == "private"
    files = hub.files(NAME)
    assert {"README.md", "manifest.json", "codebook.npy"} <= set(files)
    assert files["manifest.json"] == (tmp_path / "mine/manifest.json").read_bytes()
    pulled = told(capsys, "pull", NAME, "--out", tmp_path / "theirs")
    assert (pulled["commit"], pulled["bytes"]) == (pushed["commit"], pushed["bytes"])
    theirs = SegmentedDatabase.open(tmp_path / "theirs")
    assert theirs.fingerprint == mine.fingerprint
    for one, two in zip(mine.search(QUERIES, 9), theirs.search(QUERIES, 9), strict=True):
        assert np.array_equal(one.entries, two.entries)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mine", "theirs"]
    assert "holds something" in refused(capsys, "pull", NAME, "--out", tmp_path / "theirs")
    assert told(capsys, "info", f"hf:{NAME}")["fingerprint"] == mine.fingerprint
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked("http://127.0.0.1:9", tmp_path / "cache", monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert told(capsys, "info", NAME)["images"] == 6


def test_what_had_arrived_is_not_sent_again_and_nothing_shows_before_all_has(
    hub: DatasetHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segmented(tmp_path / "mine", 2)
    hub.fail_after = 3
    assert "cannot be pushed" in refused(capsys, "push", tmp_path / "mine", NAME)
    assert hub.files(NAME) == {}
    hub.fail_after = 1 << 30
    told(capsys, "push", tmp_path / "mine", NAME)
    assert len(hub.arrived) == len(set(hub.arrived)) > 3
    again = len(hub.arrived)
    told(capsys, "push", tmp_path / "mine", NAME, "--keep-card")
    assert len(hub.arrived) == again


def test_another_database_takes_the_place_of_one_but_not_of_other_files(
    hub: DatasetHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segmented(tmp_path / "two", 2)
    segmented(tmp_path / "one", 6)
    told(capsys, "push", tmp_path / "two", NAME)
    hub.trees[hub.heads[NAME]["main"]]["notes.txt"] = hub.keep(b"mine")
    told(capsys, "push", tmp_path / "one", NAME)
    names = set(hub.files(NAME))
    assert "notes.txt" in names
    assert {name.split("/")[1] for name in names if name.startswith("segments/")} == {"000000"}
    told(capsys, "push", tmp_path / "two", f"{NAME}@other")
    assert any(name.startswith("segments/000001/") for name in hub.files(NAME, "other"))
    assert set(hub.files(NAME)) == names


def test_mistakes_are_one_line_and_show_no_token(
    hub: DatasetHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    segmented(tmp_path / "mine", 2)
    told(capsys, "push", tmp_path / "mine", NAME)
    assert "no such dataset repository" in refused(capsys, "info", "hf:me/other")
    assert "me/other: no folder here, and cannot be downloaded" in refused(capsys, "info", "me/other")
    assert "no such revision" in refused(capsys, "pull", f"{NAME}@v9")
    assert "expected hf:owner/name" in refused(capsys, "info", "hf:nothing")
    assert "which is a part of emoji" in refused(capsys, "push", "seen", NAME)
    wrong = TOKEN.replace("a", "z")
    monkeypatch.setenv("HF_TOKEN", wrong)
    line = refused(capsys, "push", tmp_path / "mine", NAME)
    assert "run hf auth login" in line
    assert wrong not in line
    hub.trees[hub.heads[NAME]["main"]].pop("manifest.json")
    assert "check that a database was pushed there" in refused(capsys, "pull", f"{NAME}@main")


def test_a_database_is_found_by_the_name_of_its_repository(
    hub: DatasetHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Model:
        codebook = CODEBOOK

    segmented(tmp_path / "mine", 2)
    told(capsys, "push", tmp_path / "mine", NAME)
    monkeypatch.chdir(tmp_path)
    check_name(NAME)
    manifest = manifest_of(NAME)
    assert manifest is not None
    assert manifest["images"] == 6
    assert hub.sent == ["manifest.json"]
    found = find_database(NAME, Model())  # type: ignore[arg-type]
    assert found.fingerprint == SegmentedDatabase.open(tmp_path / "mine").fingerprint
    assert hub.sent.count("manifest.json") == 1
    (tmp_path / NAME).mkdir(parents=True)
    with pytest.raises(ConfigError, match="a folder with neither"):
        check_name(NAME)


def test_names_of_repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert named_repository("hf:a/b") == Repository("a/b")
    assert named_repository("a/b@v1") == Repository("a/b", "v1", prefixed=False)
    assert repository("a/b@refs/pr/1") == Repository("a/b", "refs/pr/1")
    for other in ("a", "/a/b", "a/b/c", "./a", "../a", "", "http://a/b"):
        assert named_repository(other) is None
    for wrong in ("hf:", "hf:a", "hf:a/..", "hf:a/b@", "hf:../b"):
        with pytest.raises(ConfigError, match="expected hf:owner/name"):
            named_repository(wrong)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC BY 4.0, Twitter, Inc.", "cc-by-4.0"), ("Apache-2.0, Google", "apache-2.0"), ("MIT License", "mit"),
        ("CC-BY-NC-SA 4.0", "cc-by-nc-sa-4.0"), ("CC0", "cc0-1.0"), ("all rights reserved", None), ("", None),
    ],
)  # fmt: skip
def test_licences_have_names_on_the_hub(text: str, name: str | None) -> None:
    assert known_licence(text) == name


def test_a_card_says_what_is_known_of_licences(tmp_path: Path) -> None:
    assert licence_of({"MIT, a": 2, "MIT, b": 1}) == ("mit",)
    assert licence_of({"MIT": 2, "CC0": 1}) == ("cc0-1.0", "mit")
    assert licence_of({"MIT": 2, "": 1}) == licence_of({"MIT": 1, "ask": 1}) == ("other",)
    assert licence_of({"": 3}) == ()
    segmented(tmp_path / "mine", 2)
    stats = stats_of(SegmentedDatabase.open(tmp_path / "mine"))
    text = card("me/patches", stats, ("cc0-1.0", "mit"))
    head = text.split("---")[1]
    assert 'license:\n- "cc0-1.0"\n- "mit"\n' in head
    assert "- n<1K\n" in head
    assert "data_files: segments/*/images.parquet" in head
    assert "--database hf:me/patches" in text
    assert "The licences of the images are not known" in text
    assert "license" not in card("me/patches", stats, ()).split("---")[1]


def test_words_of_images_stay_words_in_a_card() -> None:
    assert plain("<b>a|b</b>\n[x](y)") == "&#60;b&#62;a&#124;b&#60;/b&#62; &#91;x&#93;(y)"


def test_a_manifest_that_leads_elsewhere_is_refused(
    hub: DatasetHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segmented(tmp_path / "mine", 2)
    told(capsys, "push", tmp_path / "mine", NAME)
    values = json.loads(hub.files(NAME)["manifest.json"])
    values["segments"][0]["name"] = "../../elsewhere"
    hub.trees[hub.heads[NAME]["main"]]["manifest.json"] = hub.keep(json.dumps(values).encode())
    assert "expected a plain name" in refused(capsys, "pull", NAME, "--out", tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()
