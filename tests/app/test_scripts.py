"""The page's scripts: their own tests, their types, their sizes, and the loader that brings them in."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.delivery import APP, address, loader

ROOT = APP.parent
SCRIPTS = sorted(APP.rglob("*.js"))
HEAD = re.compile(
    r"^(\s*)(?:export )?(?:async )?(?:function \w+|(?!if|for|while|switch|catch)(?:get |set )?\w+)\(.*\{$"
)
HARNESS = """
let changed = null;
const props = { value: "made with" }, element = { textContent: "" }, said = [];
const document = { baseURI: %(base)r };
const trigger = null, server = null, watch = (name, callback) => { changed = callback; };
const change = (value) => { props.value = value; changed(); };
globalThis.hear = (...what) => said.push(what.join(" "));
%(loader)s
change("early");
change("still early");
await new Promise((done) => setTimeout(done, 300));
change("late");
console.log([...said, element.textContent].join("; "));
"""


def node(*arguments: str | Path) -> str:
    """What Node.js writes; skips without one."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("no script is run: node is not installed")
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_scripts_pass_their_own_tests() -> None:
    files = sorted((ROOT / "tests" / "js").glob("*.test.js"))
    assert re.search(r"^# fail 0$", node("--test", "--test-reporter=tap", *files), re.MULTILINE)


def test_the_types_of_the_scripts_agree() -> None:
    program = shutil.which("tsc")  # tsc.cmd on Windows
    if program is None:
        pytest.skip("types of scripts are not checked: tsc is not installed (npm install --global typescript)")
    done = subprocess.run(
        [program, "--noEmit", "--project", ROOT / "jsconfig.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def run_loader(folder: Path, module: str | None) -> str:
    """What a component hears whose module is this one, or is not there, when it is loaded as on the page."""
    if module is not None:
        file = folder / address("hint.js")
        file.parent.mkdir(parents=True)
        file.write_text(module, encoding="utf-8")
        (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    script = folder / "page.mjs"
    script.write_text(HARNESS % {"base": folder.as_uri() + "/", "loader": loader(APP / "hint.js")}, encoding="utf-8")
    return node(script).strip()


def test_no_value_is_missed_while_a_module_is_on_its_way(tmp_path: Path) -> None:
    heard = run_loader(tmp_path, "export const mount = () => (value, isNew) => hear(value, isNew);\n")
    assert heard == "made with false; early true; still early true; late true;"


def test_a_module_need_not_take_values(tmp_path: Path) -> None:
    assert run_loader(tmp_path, "export const mount = ({ element }) => { hear(typeof element); };\n") == "object;"


def test_a_part_whose_module_does_not_come_says_so(tmp_path: Path) -> None:
    assert run_loader(tmp_path, None) == "This part of the page could not be loaded. Reload the page."


def too_long(script: Path) -> list[str]:
    """The heads of functions of a script that are too long, and its own name where it is."""
    lines = script.read_text(encoding="utf-8").splitlines()
    found = [script.name] if len(lines) >= 500 else []
    for start, line in enumerate(lines):
        if head := HEAD.match(line):
            end = next(i for i in range(start, len(lines)) if i > start and lines[i].startswith(f"{head[1]}}}"))
            found += [line.strip()] if end - start >= 60 else []
    return found


def test_scripts_and_their_functions_stay_short() -> None:
    assert len(SCRIPTS) > 50
    assert {script.relative_to(APP).as_posix(): found for script in SCRIPTS if (found := too_long(script))} == {}
