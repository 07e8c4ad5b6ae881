"""The example of LlamaGen as a stranger installs it: found by name, it draws and makes a database of pictures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from core.testing import discs
from tests.installed.conftest import program
from tests.tiny_llamagen import PIXELS, save

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def with_llamagen(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the environment that has arrag, into which the example is installed, too."""
    source = tmp_path_factory.mktemp("source") / "llamagen"
    shutil.copytree(ROOT / "examples" / "llamagen", source, ignore=shutil.ignore_patterns("__pycache__"))
    python = str(program(installed, "python"))
    options = ["--no-deps", "--no-build-isolation", "-q"]
    command = [sys.executable, "-m", "pip", "--python", python, "install", *options, str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return installed


def arrag(programs: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ARRAG"))}
    command = [str(program(programs, "arrag")), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_it_draws_and_retrieves_on_the_command_line(with_llamagen: Path, tmp_path: Path) -> None:
    save(tmp_path / "weights")
    (tmp_path / "pictures").mkdir()
    for number, disc in enumerate(discs(PIXELS)):
        Image.fromarray(disc).save(tmp_path / "pictures" / f"disc-{number}.png")
    model = ("--backend", "llamagen", "--model", "weights/c2i_tiny_24.pt", "--device", "cpu")

    plain = arrag(with_llamagen, tmp_path, "generate", "3", *model, "--method", "model", "--out", "plain.png")
    assert plain.returncode == 0, plain.stderr
    with Image.open(tmp_path / "plain.png") as picture:
        assert picture.size == (PIXELS, PIXELS)

    built = arrag(with_llamagen, tmp_path, "database", "build", *model, "--images", "pictures", "--out", "discs")
    assert built.returncode == 0, built.stderr
    assert json.loads(built.stdout)["images"] == 2

    options = ("--database", "discs", "--retrieval-weight", "0.9", "--gate", "0", "--out", "daid.png")
    retrieved = arrag(with_llamagen, tmp_path, "generate", "3", *model, *options)
    assert retrieved.returncode == 0, retrieved.stderr
    report = json.loads(retrieved.stdout)
    assert report["retrieving_positions"] == 20
    assert report["flips"] > 0

    refused = arrag(with_llamagen, tmp_path, "generate", "a red heart", *model, "--method", "model")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()[-1:]
    assert line.startswith("error: prompt: got 'a red heart', expected a class of ImageNet: a number from 0 to 11")
