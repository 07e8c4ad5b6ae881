"""Modules as one script: what it does, what it refuses."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.delivery import APP
from app.replay.bundle import BundleError, bundle

MAIN = """/* A module. */

import { one, two as zwei } from "./numbers.js";
import {
  Adder,
  hidden,
} from "./deep/adder.js";

const own = 3;
console.log(new Adder(one).add(zwei), hidden(), own);
"""
NUMBERS = "export const one = 1;\nexport const two = 2;\nconst own = 10;\nexport const also = own;\n"
ADDER = """import { also } from "../numbers.js";

const own = "not the others'";
export class Adder {
  constructor(first) { this.first = first; }
  add(second) { return this.first + second + also; }
}
export async function later() {}
export function hidden() { return own; }
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Three modules with names in common; the one that imports the others."""
    (tmp_path / "deep").mkdir()
    for name, text in (("main.js", MAIN), ("numbers.js", NUMBERS), ("deep/adder.js", ADDER)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / "main.js"


def test_each_module_is_there_once_after_what_it_imports(modules: Path) -> None:
    script = bundle(modules)
    places = [script.index(text) for text in ("const one = 1", "class Adder", "const own = 3")]
    assert places == sorted(places)
    assert script.count("const one = 1") == 1
    assert not re.search(r"^\s*(?:import|export)\b", script, re.MULTILINE)


@pytest.mark.skipif(shutil.which("node") is None, reason="no script is run: node is not installed")
def test_the_script_does_what_the_modules_do(modules: Path) -> None:
    script = modules.with_name("bundle.cjs")
    script.write_text(bundle(modules), encoding="utf-8")
    said = subprocess.run(["node", script], capture_output=True, text=True, check=True).stdout
    assert said == "13 not the others' 3\n"


@pytest.mark.parametrize(
    "line",
    [
        'import "./numbers.js";',
        'import one from "./numbers.js";',
        'import * as all from "./numbers.js";',
        'import { one } from "numbers";',
        "import { one } from './numbers.js';",
        'export { one } from "./numbers.js";',
        'export * from "./numbers.js";',
        "export default 3;",
        "export let changing = 3;",
        "const [own] = [1]; export { own };",
        "  export const inner = 3;",
        'const late = import("./numbers.js");',
        "const here = import.meta.url;",
    ],
)
def test_what_is_not_understood_is_refused(modules: Path, line: str) -> None:
    modules.write_text(f"{line}\n", encoding="utf-8")
    if line.startswith("const ["):
        modules.write_text(line.replace("; ", ";\n") + "\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"main\.js: got .*, expected imports and exports by name"):
        bundle(modules)


def test_modules_that_need_each_other_are_refused(modules: Path) -> None:
    modules.with_name("numbers.js").write_text(
        'import { own } from "./main.js";\nexport const one = 1;\n', encoding="utf-8"
    )
    with pytest.raises(BundleError, match=r"main\.js: got an import by numbers\.js"):
        bundle(modules)


def test_a_module_that_is_not_there_is_named(modules: Path) -> None:
    modules.with_name("numbers.js").unlink()
    with pytest.raises(BundleError, match=r"numbers\.js: got no such file"):
        bundle(modules)


def test_every_module_of_the_page_could_be_bundled() -> None:
    for module in APP.rglob("*.js"):
        assert "</script" not in bundle(module)
