"""The shape of the project: imports go down, heavy libraries stay in their place, functions and files stay small."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("app/**/*.py"), ROOT / "app.py"])
ONLY_IN = {
    "gradio": ("app/", "app.py"),
    "transformers": ("core/backends/janus.py",),
    "faiss": ("core/index.py", "core/threads.py"),
    "resvg_py": ("core/training/data.py",),
}
# A module may import from its own layer or from one further down (to the right).
LAYERS = (
    ("core.training", "core.evaluation", "core.__main__"),
    ("core.metrics",),
    ("core.provenance", "core.copying", "core.whatif"),
    ("core.trace",),
    ("core.engine", "core.deployment"),
    ("core.catalogue", "core.collect"),
    ("core.backends",),
    ("core.released",),
    ("core.database", "core.daid"),
    ("core.index",),
    ("core.context", "core.draw"),
    ("core.transformer", "core.checkpoint"),
    ("core.faid",),
    ("core.text", "core.tokenizer"),
    ("core.prompt",),
    ("core.captions", "core.picture", "core.threads"),
    ("core.formats", "core.arrays"),
    ("core.types", "core.arguments"),
)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def layer(module: str) -> int | None:
    for number, names in enumerate(LAYERS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return number
    return None


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_heavy_libraries_stay_in_their_place(path: Path) -> None:
    here = path.relative_to(ROOT).as_posix()
    for library, places in ONLY_IN.items():
        if any(name.split(".")[0] == library for name in imports(path)):
            assert here.startswith(places), f"{here} imports {library}"


@pytest.mark.parametrize("path", [p for p in SOURCES if module_of(p).startswith("core")], ids=module_of)
def test_imports_go_down(path: Path) -> None:
    mine = layer(module_of(path))
    for name in imports(path):
        theirs = layer(name)
        # the protocol of backends is what higher layers and the codebook's users share
        if mine is None or theirs is None or module_of(path) == "core.backends.protocol":
            continue
        assert theirs >= mine, f"{module_of(path)} imports {name}, which stands above it"
        assert not name.startswith("app")


def test_every_core_module_has_a_layer() -> None:
    assert [m for m in map(module_of, SOURCES) if m.startswith("core.") and layer(m) is None] == []


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_functions_stay_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 60, f"{path}: {node.name} is too long"


def test_app_entry_is_short() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 20


def test_no_shipped_file_is_too_large_for_a_plain_git_host() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    assert [f for f in files if f.exists() and f.stat().st_size > 9_500_000] == []
    assert sum(f.stat().st_size for f in ROOT.glob("assets/**/*") if f.is_file()) < 40_000_000
