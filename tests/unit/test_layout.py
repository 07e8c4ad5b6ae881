"""The shape of the project: imports go down, heavy libraries stay in their place, functions and files stay small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

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
    "transformers": (
        "core/backends/janus/",
        "core/evaluation/geneval/",
        "core/evaluation/dpg/",
        "core/evaluation/extractors/",
        "core/evaluation/bench_janus.py",
    ),
    "ray": ("core/patches/remote/actors/", "core/evaluation/actors.py"),
    "faiss": ("core/patches/index.py",),
    "pyarrow": ("core/patches/segments/images.py", "core/patches/building/"),
    "numba": ("core/patches/orderings/compiled.py", "core/patches/orderings/kernel.py"),
    "resvg_py": ("core/training/data.py",),
    "torch": ("core/backends/", "core/faid.py", "core/threads.py", "core/evaluation/", "core/training/"),
}
"""Folders and files that may import a library; core/backends/protocol.py and what stands above it do without torch."""

FLOORS = (
    ("core.__main__", "core.commands", "core.evaluation.__main__"),
    ("core.evaluation",),
    ("core.training",),
    ("core.testing",),
    ("core.contact_sheet", "core.picture_file", "core.trace_file"),
    ("core.trace_inside",),
    ("core.trace_arrays",),
    ("core.analysis",),
    ("core.engine",),
    ("core.drafts", "core.lookup", "core.snapshots"),
    ("core.trace",),
    ("core.guidance", "core.patches"),
    ("core.backends",),
    ("core.context", "core.faid"),
    ("core.ties",),
    ("core.daid",),
    ("core.codebook", "core.draw"),
    ("core.inputs",),
    ("core.assets", "core.locks", "core.threads"),
    ("core.types",),
)
"""A module imports from its own floor and from those below; nothing imports app."""

CONVENIENCE = {("core.trace", "core.trace_file"), ("core.trace", "core.analysis")}
"""Trace.save, Trace.load and Trace.explain, whose imports wait until they are called."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def nodes(path: Path) -> list[ast.AST]:
    """Everything that stands in a file."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def imports(path: Path) -> set[str]:
    """Absolute names of all that a file imports, modules and what is taken from them."""
    package = module_of(path).split(".") if path.name == "__init__.py" else module_of(path).split(".")[:-1]
    found = set()
    for node in nodes(path):
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


def strays(path: Path) -> list[str]:
    """Libraries that a file imports, though their place is elsewhere."""
    here, found = path.relative_to(ROOT).as_posix(), {name.split(".")[0] for name in imports(path)}
    held = [library for library in ONLY_IN if here.startswith("core/") or library != "torch"]
    return [library for library in held if library in found and not here.startswith(ONLY_IN[library])]


def climbs(path: Path) -> list[str]:
    """What a module of core imports that stands above it."""
    here = module_of(path)
    mine, above = floor(here), []
    for name in imports(path):
        theirs = floor(name)
        allowed = (here, ".".join(name.split(".")[:2])) in CONVENIENCE
        climbing = mine is not None and theirs is not None and theirs < mine
        if name.split(".")[0] == "app" or (climbing and not allowed):
            above.append(name)
    return above


def wrong(paths: Iterable[Path], faults: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """The files that have faults, and which."""
    return {path.relative_to(ROOT).as_posix(): found for path in paths if (found := faults(path))}


def test_heavy_libraries_stay_in_their_place() -> None:
    assert wrong(SOURCES, strays) == {}


def test_imports_go_down() -> None:
    assert wrong([path for path in SOURCES if module_of(path).startswith("core")], climbs) == {}


def test_core_imports_relatively() -> None:
    """So that it can be installed under another name."""
    for path in SOURCES:
        if module_of(path).startswith("core"):
            absolute = [n.module for n in nodes(path) if isinstance(n, ast.ImportFrom) and not n.level and n.module]
            assert not [name for name in absolute if name.split(".")[0] == "core"], path


def test_every_core_module_has_a_floor() -> None:
    assert [m for m in map(module_of, SOURCES) if m.startswith("core.") and floor(m) is None] == []


def test_what_a_newcomer_reads_is_short() -> None:
    lines = {name: len((ROOT / "core" / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in GROUND}
    assert sum(lines.values()) <= 2250, lines


def length(path: Path) -> list[str]:
    """How many lines a file has, where that is too many."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    return [f"{lines} lines"] if lines > 500 else []


def long_functions(path: Path) -> list[str]:
    """Functions of a file that are too long."""
    found = [node for node in nodes(path) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [node.name for node in found if node.end_lineno is not None and node.end_lineno - node.lineno >= 60]


def test_files_stay_small() -> None:
    assert len(WRITTEN) > 500
    assert wrong(WRITTEN, length) == {}


def test_functions_stay_short() -> None:
    assert wrong(SOURCES, long_functions) == {}


NUMPY_ONLY = """
import importlib, sys
BLOCKED = {"torch", "faiss", "pyarrow", "safetensors", "tokenizers", "transformers", "numba", "PIL", "gradio", "tqdm"}
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


def test_make_test_runs_all_that_pytest_does() -> None:
    """In another order: files that take seconds come last, so that neither process waits long for the other."""
    makefile, settings = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "pyproject.toml"))
    (made,) = re.findall(r"^QUICKEST_LAST := (.*)$", makefile, re.MULTILINE)
    (plain,) = re.findall(r"^testpaths = \[(.*)\]", settings, re.MULTILINE)
    assert set(made.split()) == set(re.findall(r'"(.*?)"', plain))


def test_app_entry_is_short() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 20


def test_no_shipped_file_is_too_large_for_a_plain_git_host() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    assert [f for f in files if f.exists() and f.stat().st_size > 9_500_000] == []
    assert (
        sum(f.stat().st_size for f in ROOT.glob("assets/**/*") if f.is_file()) < 44_000_000
    )  # FAiD's control takes 3.8 MB
