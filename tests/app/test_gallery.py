"""The gallery as a folder of files: what is in it, that it is the same whenever it is drawn, and what is refused."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app import packing
from app.gallery import __main__ as command
from app.gallery import folder as gallery
from app.gallery.page import Space
from app.gallery.table import SECTIONS, all_runs
from app.plans import sweep_plan
from core.types import ConfigError
from tests.gallery import RUNS, FakeShelf, write_gallery


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small gallery."""
    folder = tmp_path_factory.mktemp("gallery")
    write_gallery(folder)
    return folder


def listed(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / gallery.LIST).read_text(encoding="utf-8"))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in gallery.contents(folder)}


def test_what_is_named_is_there_and_nothing_else(written: Path) -> None:
    found = listed(written)
    cards = [card for section in found["sections"] for card in section["runs"]] + found["hidden"]
    assert [card["name"] for card in cards] == [*(run.name for run in RUNS), "weights-1", "weights-2"]
    named = {card[kind] for card in cards for kind in ("file", "atlas", "picture")}
    named |= {sweep["file"] for section in found["sections"] for sweep in section["sweeps"]}
    page = {"index.html", "gallery.js", "gallery.css", "README.md", ".gitattributes", "thumbnail.png"}
    assert set(contents(written)) == named | page | {gallery.LIST, "stage.json"}
    assert all(not name.startswith("/") and "://" not in name for name in named)


def test_figures_are_those_of_the_traces(written: Path) -> None:
    for card in listed(written)["sections"][0]["runs"]:
        packed = (written / card["file"]).read_bytes()
        drawn, pick, without = (packing.array_of(packed, name) for name in ("drawn", "pick", "without"))
        assert card["changed"] == int(((drawn == 1) & (pick != without)).sum())
        assert card["steps"] == len(drawn)
        assert 0 < card["chance"] < 1
        with Image.open(io.BytesIO((written / card["picture"]).read_bytes())) as picture:
            assert picture.size == (128, 128)
    strong, paused, branch = listed(written)["sections"][0]["runs"]
    assert (strong["inside"], paused["steps"], branch["parent"]) == (True, 90, "pizza-strong")
    before, after = (packing.array_of((written / card["file"]).read_bytes(), "code") for card in (strong, branch))
    assert np.array_equal(before[:100], after[:100])
    assert strong["changed"] > branch["changed"] > 0


def test_it_is_the_same_whenever_it_is_drawn(written: Path, tmp_path: Path) -> None:
    write_gallery(tmp_path)
    assert contents(tmp_path) == contents(written)


def test_an_interrupted_call_goes_on_and_former_files_go(written: Path, tmp_path: Path) -> None:
    write_gallery(tmp_path, version="of yesterday")
    yesterday = set(contents(tmp_path))
    write_gallery(tmp_path)
    assert contents(tmp_path) == contents(written)
    assert not {name for name in yesterday if name.startswith("runs/")} & set(contents(tmp_path))
    idle = FakeShelf()
    write_gallery(tmp_path, idle)
    assert idle.asked == 0
    next((tmp_path / "runs").glob("branch-*")).unlink()
    write_gallery(tmp_path, idle)
    assert idle.asked > 0
    assert contents(tmp_path) == contents(written)


def test_the_card_of_the_space_says_what_the_hub_reads(written: Path, tmp_path: Path) -> None:
    def front(folder: Path) -> dict[str, str]:
        text = (folder / "README.md").read_text(encoding="utf-8")
        head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
        assert head is not None
        assert "https://arxiv.org/abs/2506.06962" in text
        return dict(line.split(": ", 1) for line in head[1].splitlines() if ": " in line)

    values = front(written)
    assert values["sdk"] == "static"
    assert (written / values["app_file"]).exists()
    assert len(values["short_description"]) <= 60
    assert values["thumbnail"] == "https://huggingface.co/spaces/me/discs/resolve/main/thumbnail.png"
    write_gallery(tmp_path, space=Space())
    assert "thumbnail" not in front(tmp_path)


def test_the_page_names_no_other_host_but_in_links(written: Path) -> None:
    html = (written / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?(?:https?:)?//", html) == []
    assert not re.search(r"@import|url\((?!data:)", (written / "gallery.css").read_text(encoding="utf-8"))
    assert "<!-- " not in re.sub(r"<!-- [^-]* -->\s*$", "", html)


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small").write_bytes(b"12345")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "pack").write_bytes(bytes(2000))
    monkeypatch.setattr(gallery, "LARGEST", 4)
    with pytest.raises(ConfigError, match="small: got 5 bytes, expected 4"):
        gallery.check_size(tmp_path)
    monkeypatch.setattr(gallery, "LARGEST", 100)
    monkeypatch.setattr(gallery, "LARGEST_OF_ALL", 4)
    with pytest.raises(ConfigError, match="gallery: got 5 bytes"):
        gallery.check_size(tmp_path)


def test_other_things_are_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="got a folder of other things"):
        command.check_folder(tmp_path)
    with pytest.raises(ConfigError, match="got a file"):
        command.check_folder(tmp_path / "thesis.tex")
    command.check_folder(tmp_path / "new")
    with pytest.raises(Exception, match="expected OWNER/NAME"):
        command.space_name("https://huggingface.co/spaces/me/x")


def test_the_table_is_whole() -> None:
    runs = {run.name: run for run in all_runs(SECTIONS)}
    assert len(runs) == sum(len(section.runs) for section in SECTIONS) >= 30
    assert all(re.fullmatch(r"[a-z-]+", name) for name in runs)
    assert all((run.change is None) == (not run.parent) for run in runs.values())
    assert all(run.parent in runs for run in runs.values() if run.parent)
    for one in (beside for section in SECTIONS for beside in section.beside):
        assert {name for name, _ in one.runs} <= set(runs)
    for sweep in (swept for section in SECTIONS for swept in section.swept):
        assert len(sweep_plan(sweep.asked, *sweep.across, *sweep.down).asked) == 9
    assert {run.asked.settings.method for run in runs.values()} == {"model", "daid", "faid", "faid+daid"}
    assert {run.asked.database for run in runs.values()} == {"emoji", "seen", "unseen", "yours", "both"}
