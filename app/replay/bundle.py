"""Modules as one script, for a page that is a single file: there is no address that a module could be imported from.

Each module becomes a function that runs once and returns what the module exports, and an import becomes a constant with
what that function returned. So names of one module cannot meet those of another. Only what the modules here are written
in is understood, and anything else is refused: named imports and exports at the start of a line, of what never changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

IMPORT = re.compile(r'^import \{\s*((?:\w+(?: as \w+)?,?\s*)+)\} from "(\.[^"\n]*\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async function|function\*?|class|const) (\w+))", re.MULTILINE)
LEFT = re.compile(r"^\s*(?:import\b(?!\s*:)|export\b(?!\s*:)).*|\bimport\s*\(.*|\bimport\.meta.*", re.MULTILINE)
"""What is still there of imports and exports when those that are understood are gone."""


class BundleError(ValueError):
    """A module that cannot be part of one script; the message gives its name, what is there, and what is expected."""


def bundle(entry: Path) -> str:
    """A module and all that it imports as one script in strict mode; it runs as the modules would.

    Raises BundleError for what is not understood, and for modules that import each other.
    """
    names: dict[Path, str] = {}
    parts = [wrapped(module, name, names) for module, name in ordered(entry.resolve(), names, ())]
    return '"use strict";\n' + "".join(parts)


def ordered(module: Path, names: dict[Path, str], above: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    """A module after those that it imports, each once, with the name that its exports get."""
    if module in above:
        raise BundleError(
            f"{module.name}: got an import by {above[-1].name}, which it needs itself; move what both need"
        )
    if module in names:
        return
    for _, address in IMPORT.findall(read(module)):
        yield from ordered((module.parent / address).resolve(), names, (*above, module))
    names[module] = f"module{len(names)}"
    yield module, names[module]


def wrapped(module: Path, name: str, names: dict[Path, str]) -> str:
    """The script of one module."""
    text = read(module)
    exports = EXPORT.findall(text)

    def constant(found: re.Match[str]) -> str:
        taken = re.sub(r"(\w+) as (\w+)", r"\1: \2", " ".join(found[1].split()))
        return f"const {{ {taken.rstrip(', ')} }} = {names[(module.parent / found[2]).resolve()]};\n"

    body = EXPORT.sub("", IMPORT.sub(constant, text))
    if left := LEFT.search(body):
        raise BundleError(
            f"{module.name}: got {left[0].strip()!r:.80}, expected imports and exports by name at the start of a line"
        )
    return f"const {name} = (() => {{\n{body}return {{ {', '.join(exports)} }};\n}})();\n"


def read(module: Path) -> str:
    """The text of a module, which ends with a line's end."""
    try:
        return module.read_text(encoding="utf-8").rstrip() + "\n"
    except FileNotFoundError:
        raise BundleError(f"{module.name}: got no such file, expected a module at {module}") from None
