"""The folder that a build writes: new, one that it goes on with, a database, or somebody else's, which is refused."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ... import locks
from ...types import ConfigError
from ..files import FORMAT, MANIFEST, json_bytes, read_json, replace_file
from ..segments.manifest import SEGMENTS, Manifest, read_manifest
from ..segments.writer import CODEBOOK
from .plan import BuildOptions, Plan, read_plan
from .report import REPORT, Report, options_json, read_report
from .sources import SourceChoice, printable

BUILDING: Final = "building"
"""The folder, in that of the database, in which a build works."""

_RESULT: Final = "result.json"
_OURS: Final = frozenset((BUILDING, SEGMENTS, CODEBOOK, REPORT))
_IGNORED: Final = frozenset((".DS_Store", "Thumbs.db", "desktop.ini", "lost+found"))


@dataclass(frozen=True, slots=True)
class Target:
    """What a folder holds: the plan of a build that was not finished, and a database, None each where there is none."""

    out: Path
    plan: Plan | None
    base: Manifest | None

    @property
    def folder(self) -> Path:
        """Where the build works."""
        return self.out / BUILDING

    @property
    def is_committed(self) -> bool:
        """Whether the database is what the build was to make, and only its folder is left."""
        said = read_json(self.folder / _RESULT) if (self.folder / _RESULT).exists() else {}
        return self.base is not None and said.get("fingerprint") == self.base.fingerprint

    def commit(self, fingerprint: str) -> None:
        """Say what the database will be, before it is."""
        replace_file(self.folder / _RESULT, lambda file: file.write(json_bytes({"fingerprint": fingerprint})))


def look(out: Path) -> Target:
    """What a folder holds; ConfigError for what is neither empty nor ours."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out: got {_said(out)}, a file, expected a folder; take another name")
    names = sorted(set(os.listdir(out)) - _IGNORED) if out.exists() else []
    base = _database(out) if MANIFEST in names else None
    if base is None and names and (BUILDING not in names or set(names) - _OURS):
        others = ", ".join(printable(name) for name in names if BUILDING not in names or name not in _OURS)
        raise ConfigError(f"out: got {_said(out)}, which holds {others:.80}, expected a new or empty folder")
    return Target(out, read_plan(out / BUILDING), base)


def check_same(target: Target, source: SourceChoice, options: BuildOptions, append: bool) -> None:
    """ConfigError unless a build that was not finished is the one that is wanted now."""
    plan, where = target.plan, f"{_said(target.out)} holds an unfinished build"
    assert plan is not None
    if bool(plan.base) != append:
        remedy = "give --append" if plan.base else "leave --append out"
        raise ConfigError(f"out: {where} that was begun {'with' if plan.base else 'without'} --append; {remedy}")
    if plan.base != (target.base.fingerprint if target.base else ""):
        raise ConfigError(f"out: {where}, but the database has changed since; remove {target.folder} and begin again")
    _check_equal(where, (plan.source, plan.options), (source, options))


def built_already(target: Target, source: SourceChoice, options: BuildOptions) -> Report:
    """The report of the build that made the database of a folder; ConfigError unless it is the one that is wanted."""
    where = f"{_said(target.out)} holds a database"
    report = read_report(target.out / REPORT)
    if report is None:
        raise ConfigError(f"out: {where}; give --append to add to it, or another folder")
    _check_equal(where, (report.source, report.options), (options_json(source), options_json(options)))
    return report


def changed(target: Target) -> ConfigError:
    """The source lists other pictures than those that the database was made of."""
    expected = "give --append to add what is new, or another folder"
    return ConfigError(f"out: {_said(target.out)} holds a database of this source, which has changed since; {expected}")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else builds in a folder meanwhile: ConfigError when somebody does."""
    message = f"out: {_said(folder.parent)} is being built by another process; wait for it, or end it"
    with locks.locked(folder / "lock", message):
        yield


def _database(out: Path) -> Manifest:
    """The manifest of the database in a folder; ConfigError when it is something else, or of an older version."""
    values = read_json(out / MANIFEST)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ConfigError(f"out: got {_said(out)} with a {MANIFEST} of something else, expected a new or empty folder")
    if values.get("version") == 1:
        raise ConfigError(f"out: got {_said(out)}, a database of version 1, expected a new folder; take another name")
    return read_manifest(out)


def _check_equal(where: str, old: tuple[Any, Any], new: tuple[Any, Any]) -> None:
    """ConfigError that names the first thing in which sources or options differ."""
    for before, now in zip(old, new, strict=True):
        before, now = (each if isinstance(each, dict) else options_json(each) for each in (before, now))
        for name, value in now.items():
            if before.get(name) != value:
                remedy = "give the same, or another folder"
                raise ConfigError(
                    f"out: {where} of {_name(name)} {_word(before.get(name))}, got {_word(value)}; {remedy}"
                )


def _name(field: str) -> str:
    return {"path": "--images", "more": "--images", "kind": "--kind"}.get(field, f"--{field.replace('_', '-')}")


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {each}" for name, each in value.items())
    return (", ".join(value) if isinstance(value, list) else printable(str(value))) or "nothing"


def _said(out: Path) -> str:
    return repr(printable(str(out)))
