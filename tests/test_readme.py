"""What the README and the pages of docs/ tell a newcomer to type works as written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.serving import served

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))}
PROGRAMS = ("README.md", "python.md")
"""Pages whose Python blocks, one after the other, are a program."""

SLOW = {"core bench": 4, "core evaluate": 5, "core.training": 3}
"""Beginnings of commands that take minutes to hours, and how many words stand before the --help that is run instead."""

ABSENT = ("--backend janus", "--images photos", "--images holiday", ".tar", "database serve", "ray://", "--prompts")
"""What needs files that nobody has here, does not end, or needs a cluster; their --help is run, too."""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def all_commands(beginning: str) -> Iterator[tuple[str, str]]:
    """Page and command of all that begin so."""
    return ((page, c) for page in PAGES for c in commands(page) if c.startswith(beginning))


def run(words: list[str], folder: Path, **environment: str) -> str:
    """What a command says; it must work."""
    everything = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        words, cwd=folder, env=everything, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all commands are typed, so that one may use what an earlier one has written."""
    return tmp_path_factory.mktemp("typed")


@pytest.mark.parametrize(("page", "command"), list(all_commands("python -m")))
def test_commands_run(page: str, command: str, folder: Path) -> None:
    words = [sys.executable, *shlex.split(command)[1:]]
    for beginning, kept in SLOW.items():
        if " ".join(words[2:4]).startswith(beginning):
            words = [*words[:kept], "--help"]
    if any(text in command for text in ABSENT):
        words = [*words[: 5 if words[3] == "database" else 4], "--help"]
    run(words, folder)


@pytest.mark.parametrize("page", PROGRAMS)
def test_python_runs(page: str, tmp_path: Path) -> None:
    """With the names that a checkout has for it; tests/installed runs the package itself."""
    code = re.sub(r"\b(from|import) arrag\b", r"\1 core", "\n".join(blocks(page, "python")))
    assert "core" in code
    run([sys.executable, "-W", "error", "-c", code], tmp_path)


def test_the_example_for_scripts_runs_against_a_served_page(tmp_path: Path) -> None:
    (example,) = (block for block in blocks("api.md", "python") if "gradio_client" in block)
    with served(pause=0.0) as url:
        code = example.replace("http://127.0.0.1:7860", url)
        assert code != example
        run([sys.executable, "-W", "error", "-c", code], tmp_path, GRADIO_TEMP_DIR=str(tmp_path))


def test_make_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    used = {word for _, c in all_commands("make") for word in c.split()[1:] if "=" not in word}
    assert {"run", "test"} <= used
    for target in used:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_what_is_installed_is_there() -> None:
    named = {word for _, c in all_commands("pip install") for word in c.split()[2:] if not word.startswith("-")}
    assert "requirements-mcp.txt" in named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_front_matter_is_what_a_space_needs() -> None:
    head = re.match(r"---\n(.*?)\n---\n", PAGES["README.md"], re.DOTALL)
    assert head is not None
    values = dict(line.split(": ", 1) for line in head.group(1).splitlines())
    required = {"title", "emoji", "sdk", "sdk_version", "python_version", "app_file", "license", "short_description"}
    assert required <= set(values)
    assert values["sdk"] == "gradio"
    assert (ROOT / values["app_file"]).exists()
    assert len(values["short_description"]) <= 60


def test_a_newcomer_reads_it_to_the_end() -> None:
    assert len(PAGES["README.md"].splitlines()) < 170
