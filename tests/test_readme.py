"""What the README tells a newcomer to type works as written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.serving import served

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    c for block in BLOCKS for c in block.replace("\\\n", " ").splitlines() if c.strip() and not c.startswith("#")
]
SLOW = ("bench", "core.training", "core.evaluation")  # minutes to hours; their --help is run instead


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m")])
def test_python_commands_run(command: str, tmp_path: Path) -> None:
    words = [sys.executable, *shlex.split(command)[1:]]
    if any(slow in " ".join(words[2:4]) for slow in SLOW):
        words = [*words[: 4 if words[3] == "bench" else 3], "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_example_for_scripts_runs_against_a_served_page(tmp_path: Path) -> None:
    (example,) = (block for block in PYTHON if "gradio_client" in block)
    with served(pause=0.0) as url:
        code = example.replace("http://127.0.0.1:7860", url)
        assert code != example
        environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_make_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    used = {word for c in COMMANDS if c.startswith("make") for word in c.split()[1:] if "=" not in word}
    assert {"run", "test"} <= used
    for target in used:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_front_matter_is_what_a_space_needs() -> None:
    head = re.match(r"---\n(.*?)\n---\n", README, re.DOTALL)
    assert head is not None
    values = dict(line.split(": ", 1) for line in head.group(1).splitlines())
    required = {"title", "emoji", "sdk", "sdk_version", "python_version", "app_file", "license", "short_description"}
    assert required <= set(values)
    assert values["sdk"] == "gradio"
    assert (ROOT / values["app_file"]).exists()
    assert len(values["short_description"]) <= 60


def test_pictures_and_links_to_files_exist() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (ROOT / target.split("#")[0]).exists(), target
