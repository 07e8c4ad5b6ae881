"""The folder of a Gradio Space: what is in it, and that it starts and draws as a Space does."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.space import folder as space
from app.space.card import REPOSITORIES, Card
from core.types import ConfigError
from tests.space.trial import embedded_draws, lent_draws

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Space for ZeroGPU."""
    folder = tmp_path_factory.mktemp("space")
    space.build(folder, Card(name="me/loupe"))
    return folder


def front(text: str) -> dict[str, str]:
    head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert head is not None
    return dict(line.split(": ", 1) for line in head[1].splitlines())


def test_it_has_what_serving_needs_and_nothing_else(written: Path) -> None:
    files = {file.relative_to(written).as_posix() for file in written.rglob("*") if file.is_file()}
    assert {"app.py", "app/ui.py", "core/engine.py", "assets/stage.json", "LICENSE", "thumbnail.png"} <= files
    assert not [name for name in files if name.startswith(("tests/", "docs/", "app/space/", "core/training/"))]
    assert not [name for name in files if name.endswith((".pyc", ".pyi"))]
    assert max((written / name).stat().st_size for name in files) <= space.LARGEST
    ends = {Path(name).suffix.removeprefix(".") for name in files if b"\0" in (written / name).read_bytes()[:8192]}
    stored = re.findall(
        r"^\*\.(\w+) filter=lfs", (written / ".gitattributes").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert ends <= set(stored)


def test_the_card_says_what_the_hub_reads(written: Path) -> None:
    text = (written / "README.md").read_text(encoding="utf-8")
    values = front(text)
    assert values["sdk"] == '"gradio"'
    assert values["suggested_hardware"] == '"zero-a10g"'
    assert values["models"] == "[]"
    assert values["thumbnail"] == '"https://huggingface.co/spaces/me/loupe/resolve/main/thumbnail.png"'
    assert len(values["short_description"]) <= 62
    assert "https://arxiv.org/abs/2506.06962" in text
    ours = front((ROOT / "README.md").read_text(encoding="utf-8"))
    assert values["sdk_version"] == f'"{ours["sdk_version"]}"'
    janus = front(Card("janus").readme())
    assert all(name in janus["models"] for name in REPOSITORIES["janus"])
    assert "thumbnail" not in janus


def test_requirements_are_bounded_to_what_the_hardware_has() -> None:
    ours = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    janus = (ROOT / "requirements-janus.txt").read_text(encoding="utf-8").splitlines()
    zero = Card().requirements(ours, janus).splitlines()
    assert "torch>=2.8,<2.12,!=2.9.0" in zero
    assert "spaces>=0.40" in zero
    assert len(zero) == len(ours) + 1
    cpu = Card(hardware="cpu").requirements(ours, janus).splitlines()
    assert cpu == ["--extra-index-url https://download.pytorch.org/whl/cpu", *ours]
    assert any(line.startswith("transformers") for line in Card("janus").requirements(ours, janus).splitlines())


def test_a_former_space_is_replaced_and_other_things_are_not(written: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("what the Hub puts there", encoding="utf-8")
    space.build(tmp_path, Card())
    (tmp_path / "app" / "old.py").write_text("", encoding="utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref", encoding="utf-8")
    space.build(tmp_path, Card())
    assert not (tmp_path / "app" / "old.py").exists()
    assert (tmp_path / ".git" / "HEAD").exists()
    with pytest.raises(ConfigError, match="got a folder of other things"):
        space.check(ROOT / "docs")
    with pytest.raises(ConfigError, match="got a file"):
        space.check(ROOT / "README.md")


def test_the_real_files_of_the_space_load_nothing_that_is_left_out(written: Path) -> None:
    script = "import app.ui, core.__main__"
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=written, check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="no Space is started: its stand-in forks")
@pytest.mark.parametrize("trial", [embedded_draws, lent_draws])
def test_it_starts_and_draws_as_a_space(
    trial: Callable[[Path, str, Path], None], written: Path, tmp_path: Path
) -> None:
    trial(written, sys.executable, tmp_path)
