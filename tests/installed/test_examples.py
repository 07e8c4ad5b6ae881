"""The examples and docs/backend.md, run as a stranger would: with the installed package, from a folder of their own."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.installed.conftest import program

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES: dict[str, tuple[str, ...]] = {
    "draw_and_step": (),
    "own_pictures": (str(ROOT / "assets/examples/pixels"),),
    "what_if": (),
    "paper_figure": (),
    "own_backend": (),
}
"""Each with what follows its name."""

SAID = {
    "draw_and_step": r"retrieval changed [1-9]\d* of them\n  row",
    "own_pictures": r"24 pictures, 5040 patches; retrieval changed \d+ codes\nlooked at: .+",
    "what_if": r"the branch takes code \d+; [1-9]\d* of the later codes differ",
    "paper_figure": "",
    "own_backend": r"\[\[\s*\d+",
}
WRITTEN = {
    "draw_and_step": ("heart.png", "heart.npz"),
    "own_pictures": ("house.png",),
    "paper_figure": ("entropy.pdf",),
}


def run(programs: Path, folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ARRAG"))}
    command = [str(program(programs, "python")), *arguments]
    done = subprocess.run(
        command, cwd=folder, env={**environment, "MPLBACKEND": "agg"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_run(name: str, installed: Path, tmp_path: Path) -> None:
    file = ROOT / "examples" / f"{name}.py"
    assert len(file.read_text(encoding="utf-8").splitlines()) < 30
    said = run(installed, tmp_path, str(file), *EXAMPLES[name])
    assert re.search(SAID[name], said)
    for written in WRITTEN.get(name, ()):
        assert (tmp_path / written).stat().st_size > 1000


def test_every_example_is_run() -> None:
    assert {file.stem for file in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


def test_the_model_of_the_docs_runs_and_draws(installed: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs/backend.md").read_text(encoding="utf-8")
    code = "\n\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    (tmp_path / "uniform.py").write_text(code, encoding="utf-8")
    said = run(installed, tmp_path, "uniform.py")
    changed, asked = map(int, re.findall(r"retrieval changed (\d+) of (\d+) codes", said)[0])
    assert 0 < changed <= asked == 7 * 6
    (command,) = re.findall(r"^arrag (.*)$", text, re.MULTILINE)
    arguments = re.findall(r'"[^"]*"|\S+', command)
    run(installed, tmp_path, "-m", "arrag", *(argument.strip('"') for argument in arguments))
    assert (tmp_path / "grey.png").exists()


NOTEBOOK = """
import ast, json, sys
cells = [cell for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
names, shown = {}, []
for cell in cells:
    tree = ast.parse("".join(cell["source"]))
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    value = last and eval(compile(last, "cell", "eval"), names)
    if value is not None:
        shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else value._repr_png_())
print(len(shown), shown[1].startswith('<iframe srcdoc='), len(shown[1]))
"""


def test_the_notebook_runs_and_shows_pictures_and_the_trace(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(NOTEBOOK, encoding="utf-8")
    said = run(installed, tmp_path, "run.py", str(ROOT / "examples/loupe.ipynb"))
    assert re.search(r"codes before and after the change: \(\d+, \d+\)", said)
    count, framed, size = said.splitlines()[-1].split()
    assert (count, framed) == ("3", "True")
    assert int(size) > 100_000
