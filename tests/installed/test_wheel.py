"""The wheel: what is in it, and that it draws a picture from another folder, in an environment without the checkout."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from setup import relative
from tests.installed.conftest import program

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {
        "arrag",
        next(n for n in names if ".dist-info" in n).split("/")[0],
    }
    for needed in ("py.typed", "engine.py", "app/ui.py", "app/page.css", "training/sprites.txt", "assets/LICENSES.md"):
        assert f"arrag/{needed}" in names
    assert any(name.startswith("arrag/assets/models/emoji/") for name in names)
    assert not [name for name in names if name.endswith((".pyi", ".pyc"))]


def test_nothing_in_the_wheel_imports_core_or_app(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                for node in ast.walk(ast.parse(archive.read(name))):
                    if isinstance(node, ast.ImportFrom) and not node.level:
                        assert (node.module or "").split(".")[0] not in ("core", "app"), name
                    elif isinstance(node, ast.Import):
                        assert not {alias.name.split(".")[0] for alias in node.names} & {"core", "app"}, name


@pytest.mark.parametrize(
    ("package", "line", "expected"),
    [
        ("arrag.app", "from core.types import Change", "from ..types import Change"),
        ("arrag.app", "from core import threads", "from .. import threads"),
        ("arrag.app", "from app import own", "from ..app import own"),
        ("arrag.app.tabs", "from app.tabs.parts import Parts", "from ...app.tabs.parts import Parts"),
        ("arrag.app.tabs", "    from core.types import Change", "    from ...types import Change"),
        ("arrag.app", "from application import x", "from application import x"),
        ("arrag.app", "text = 'from core.types import x'", "text = 'from core.types import x'"),
    ],
)
def test_imports_become_relative(package: str, line: str, expected: str) -> None:
    assert relative(line, package) == expected


def test_a_picture_is_drawn_from_another_folder(installed: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ARRAG"))}
    command = [program(installed, "arrag"), "generate", "a red heart", "--seed", "3", "--out", "heart.png"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    here = [sys.executable, "-m", "core", "generate", "a red heart", "--seed", "3", "--out", str(tmp_path / "here.png")]
    same = subprocess.run(here, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["codes_sha256"] == json.loads(same.stdout)["codes_sha256"]
    assert (tmp_path / "heart.png").read_bytes() == (tmp_path / "here.png").read_bytes()


def test_the_page_can_be_made_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    code = "import sys, arrag.app.ui; from arrag.app.delivery import APP; print(APP); assert 'core' not in sys.modules"
    done = subprocess.run(
        [program(installed, "python"), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "site-packages" in done.stdout


def test_extras_are_those_of_the_requirements_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    extras = {"janus", "mcp", "training", "heic", "scale"}
    assert set(re.findall("^Provides-Extra: (.*)$", metadata, re.MULTILINE)) == extras
    needed = set(re.findall("^Requires-Dist: (.*)$", metadata, re.MULTILINE))
    for name in ("", *(f"-{extra}" for extra in extras)):
        text = (ROOT / f"requirements{name}.txt").read_text(encoding="utf-8")
        listed = re.findall(r"^(?!#|-r)(\S.*)$", text, re.MULTILINE)
        joined = {line: " and" if ";" in line else ";" for line in listed}
        extra = f' extra == "{name[1:]}"' if name else ""
        expected = {Requirement(f"{line}{joined[line]}{extra}" if extra else line) for line in listed}
        assert expected <= set(map(Requirement, needed))
