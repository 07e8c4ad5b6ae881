"""The shape of the project: imports go down, heavy libraries stay in their place, functions and files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("app/**/*.py"), ROOT / "app.py"])
WRITTEN = sorted(
    path
    for folder in ("app", "core", "tests")
    for end in ("py", "js", "css", "html")
    for path in ROOT.glob(f"{folder}/**/*.{end}")
)
GROUND = ("types", "codebook", "context", "draw", "daid", "faid", "engine", "trace")
"""What a newcomer reads first."""

ONLY_IN = {
    "gradio": ("app/", "app.py"),
    "transformers": ("core/backends/janus/",),
    "faiss": ("core/patches/index.py",),
    "resvg_py": ("core/training/data.py",),
    "torch": ("core/backends/", "core/faid.py", "core/threads.py", "core/evaluation/", "core/training/"),
}
"""Folders and files that may import a library; core/backends/protocol.py and what stands above it do without torch."""

FLOORS = (
    ("core.__main__", "core.commands"),
    ("core.evaluation",),
    ("core.training",),
    ("core.testing",),
    ("core.picture_file", "core.trace_file"),
    ("core.trace_inside",),
    ("core.trace_arrays",),
    ("core.analysis",),
    ("core.engine",),
    ("core.trace",),
    ("core.patches",),
    ("core.backends",),
    ("core.context", "core.faid"),
    ("core.daid",),
    ("core.codebook", "core.draw"),
    ("core.inputs",),
    ("core.assets", "core.threads"),
    ("core.types",),
)
"""A module imports from its own floor and from those below; nothing imports app."""

CONVENIENCE = {("core.trace", "core.trace_file"), ("core.trace", "core.analysis")}
"""Trace.save, Trace.load and Trace.explain, whose imports wait until they are called."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Absolute names of all that a file imports, modules and what is taken from them."""
    package = module_of(path).split(".") if path.name == "__init__.py" else module_of(path).split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            stem = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*stem, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def floor(module: str) -> int | None:
    for number, names in enumerate(FLOORS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return number
    return None


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_heavy_libraries_stay_in_their_place(path: Path) -> None:
    here = path.relative_to(ROOT).as_posix()
    for library, places in ONLY_IN.items():
        if here.startswith("core/") or library != "torch":
            found = any(name.split(".")[0] == library for name in imports(path))
            assert not found or here.startswith(places), f"{here} imports {library}"


@pytest.mark.parametrize("path", [p for p in SOURCES if module_of(p).startswith("core")], ids=module_of)
def test_imports_go_down(path: Path) -> None:
    here = module_of(path)
    mine = floor(here)
    for name in imports(path):
        assert name.split(".")[0] != "app", f"{here} imports {name}"
        theirs = floor(name)
        if mine is None or theirs is None or (here, ".".join(name.split(".")[:2])) in CONVENIENCE:
            continue
        assert theirs >= mine, f"{here} imports {name}, which stands above it"


def test_core_imports_relatively() -> None:
    """So that it can be installed under another name."""
    for path in SOURCES:
        if module_of(path).startswith("core"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            absolute = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level and n.module]
            assert not [name for name in absolute if name.split(".")[0] == "core"], path


def test_every_core_module_has_a_floor() -> None:
    assert [m for m in map(module_of, SOURCES) if m.startswith("core.") and floor(m) is None] == []


def test_what_a_newcomer_reads_is_short() -> None:
    lines = {name: len((ROOT / "core" / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in GROUND}
    assert sum(lines.values()) <= 2200, lines


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 500, f"{path}: {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_functions_stay_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 60, f"{path}: {node.name} is too long"


NUMPY_ONLY = """
import importlib, sys
BLOCKED = {"torch", "faiss", "safetensors", "tokenizers", "transformers", "PIL", "gradio", "tqdm"}
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_traces_and_what_they_tell_need_numpy_alone() -> None:
    analysis = [module_of(path) for path in SOURCES if module_of(path).startswith("core.analysis.")]
    light = ["core", "core.trace", "core.trace_file", "core.daid", "core.engine", "core.patches.database", *analysis]
    assert len(analysis) >= 4
    done = subprocess.run(
        [sys.executable, "-c", NUMPY_ONLY, *light], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_app_entry_is_short() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 20


def test_no_shipped_file_is_too_large_for_a_plain_git_host() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    assert [f for f in files if f.exists() and f.stat().st_size > 9_500_000] == []
    assert sum(f.stat().st_size for f in ROOT.glob("assets/**/*") if f.is_file()) < 40_000_000
