"""Files that ship and are damaged or missing: one line and status 2 at the start, or the page goes without them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app import examples as offered
from app.library import Library
from app.session import Session
from app.tabs.learn import recording as recorded
from app.tabs.learn import tour
from core.assets import ASSETS
from core.types import ConfigError
from tests.app.asking import somebody
from tests.app.serving import ROOT, free_port
from tests.app.stocked import stock


def test_a_damaged_database_ends_the_start_with_one_line(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    shutil.copytree(ASSETS, assets)
    grids = assets / "databases" / "emoji" / "grids.npy"
    grids.write_bytes(grids.read_bytes()[:1000])
    command = [sys.executable, "app.py", "--port", str(free_port())]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "ARRAG_ASSETS": str(assets)}, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert str(grids) in ended.stderr
    assert "copy it again" in ended.stderr


@pytest.mark.parametrize("content", [None, "{", "{}", "[]", '{"prompts": 3, "swap": [], "own": {"folder": 5}}'])
def test_damaged_examples_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    file = tmp_path / "examples.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    monkeypatch.setattr(offered, "FILE", file)
    with pytest.raises(ConfigError, match="expected what the page offers; restore it") as told:
        offered.examples()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("damaged", [recorded.STOPS, recorded.TRACE, recorded.ATLAS])
def test_without_its_recording_the_tour_says_so_and_the_rest_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    folder = tmp_path / "traces"
    shutil.copytree(recorded.FOLDER, folder)
    (folder / damaged).unlink()
    if damaged == recorded.STOPS:
        (folder / damaged).write_text("{", encoding="utf-8")
    monkeypatch.setattr(recorded, "FOLDER", folder)
    tour.recording.cache_clear()
    try:
        update, *_ = tour.on_tour(Session.over(Library(stock().backends, {})))(somebody())
    finally:
        tour.recording.cache_clear()
    assert update.state == "error"
    assert update.message == "tour: its recording is missing or damaged on this server; tell its owner"
