"""What a run of a suite is of: everything that decides its figures, as run.json in the run's folder."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from .. import locks
from ..types import ConfigError
from .suite import Options, Subject

NAME: Final = "run.json"
LOCK: Final = ".lock"
PATIENCE: Final = 10.0
"""Seconds in which another process is to have written the record that it has begun."""

VERSION: Final = 1
PACKAGES: Final = (
    "numpy", "torch", "faiss-cpu", "numba", "pillow", "safetensors", "tokenizers", "transformers", "torchmetrics",
    "torch-fidelity", "pytorchfwd", "lpips",
)  # fmt: skip
"""Those that figures may depend on, as far as they are there."""

LARGEST: Final = 4 << 20
NONE: Final = "none"
"""The name of no database."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is measured, in JSON values; a folder holds the rows of one.

    model, database: as they were asked for; weights: where those of the model come from, where it says so; settings,
    options: all of them, defaults too; grid: height and width in codes; fingerprints: hashes of model, FAiD's weights,
    codebook and database; packages: their versions; code: hash of this package's own source. command: what repeats
    it, which decides nothing.
    """

    suite: str
    model: str
    weights: Mapping[str, str]
    database: str
    settings: Mapping[str, Any]
    options: Options
    grid: tuple[int, int]
    fingerprints: Mapping[str, str]
    packages: Mapping[str, str]
    code: str
    command: str

    @property
    def identity(self) -> str:
        """Hash of all that decides the figures."""
        return hashlib.sha256(_canonical(self.deciding).encode()).hexdigest()

    @property
    def deciding(self) -> dict[str, Any]:
        """All of it but the command."""
        return {name: value for name, value in asdict(self).items() if name != "command"}


def record_of(suite: str, subject: Subject, weights: Mapping[str, str], options: Options, command: str) -> Record:
    """The record of a run of a suite on a subject that was loaded."""
    model, database = subject.backend, subject.database
    hashes = {
        "model": model.fingerprint,
        "faid": model.faid,
        "codebook": model.codebook.fingerprint,
        "database": database.fingerprint if database is not None else None,
    }
    return Record(
        suite=suite,
        model=subject.backend_name,
        weights=dict(weights),
        database=subject.database_name,
        settings=as_json(asdict(subject.settings)),
        options=as_json(dict(options)),
        grid=(model.grid.height, model.grid.width),
        fingerprints={name: value for name, value in hashes.items() if value is not None},
        packages=packages(),
        code=code(),
        command=command,
    )


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON gives them back, tuples as lists; ConfigError for what JSON does not hold."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"options: got a value that is no JSON ({error}), expected numbers and texts") from None
    return found


def packages() -> dict[str, str]:
    """Python, and the versions of PACKAGES."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def code() -> str:
    """Hash of the Python files of this package, by which two versions of it differ."""
    root, hashed = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        if {"app", "assets"}.isdisjoint(path.relative_to(root).parts[:1]):  # which an installed package has inside
            hashed.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return hashed.hexdigest()[:16]


def begin(folder: Path, record: Record) -> None:
    """Make the folder of a run, or go on with one; ConfigError where it is of another record, saying what differs."""
    if not (folder / NAME).exists() and folder.is_dir() and any(folder.iterdir()):
        others = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
        if others:
            got = f"got {str(folder)!r:.200}, which holds {', '.join(others):.80} and no {NAME}"
            raise ConfigError(f"out: {got}; expected a new or empty folder, or that of a run")
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + PATIENCE
    while not (folder / NAME).exists():
        try:
            with locks.locked(folder / LOCK, f"out: {str(folder)!r:.200} is being begun elsewhere; start again"):
                if not (folder / NAME).exists():
                    text = json.dumps({"version": VERSION, "identity": record.identity, **asdict(record)}, indent=1)
                    write(folder / NAME, (text + "\n").encode())
        except ConfigError:  # several workers of one run begin at once: another one has it in hand
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    check_same(folder, read_record(folder), record)


def check_same(folder: Path, old: Record, new: Record) -> None:
    """ConfigError that names the first thing in which two records differ."""
    before, now = as_json(old.deciding), as_json(new.deciding)
    for name in now:
        mine, theirs = now[name], before[name]
        if mine == theirs:
            continue
        if isinstance(mine, dict) and isinstance(theirs, dict):
            inner = next(key for key in [*mine, *theirs] if mine.get(key) != theirs.get(key))
            name, mine, theirs = f"{name}: {inner}", mine.get(inner), theirs.get(inner)
        got = f"holds a run of {name} {json.dumps(theirs):.60}, got {json.dumps(mine):.60}"
        raise ConfigError(f"out: {str(folder)!r:.200} {got}; give the same, or another folder")


def read_record(folder: Path) -> Record:
    """The record of a folder; ConfigError where there is none, or it is damaged."""
    path = folder / NAME
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("too large")
        values = json.loads(path.read_bytes())
        if not isinstance(values, dict) or values.get("version") != VERSION:
            raise ValueError(f"no record of version {VERSION}")
        found = _record(values)
    except FileNotFoundError:
        got = f"got {str(folder)!r:.200}, a folder without {NAME}" if folder.is_dir() else f"got {str(folder)!r:.200}"
        raise ConfigError(f"run: {got}, expected what `evaluate run` wrote; check the path") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        got = " ".join(str(error).split())[:120]
        raise ConfigError(f"{path}: got a damaged record ({got}); expected that of a run; measure it again") from None
    if found.identity != values.get("identity"):
        raise ConfigError(f"{path}: got a record that was changed by hand, expected it as written; measure it again")
    return found


def _record(values: dict[str, Any]) -> Record:
    """A record from JSON; ValueError, TypeError or KeyError for what is none."""
    named = {field.name: values[field.name] for field in fields(Record)}
    for name, value in named.items():
        kind = str if name in ("suite", "model", "database", "code", "command") else list if name == "grid" else dict
        if not isinstance(value, kind):
            raise TypeError(f"{name} is no {kind.__name__}")
    height, width = named.pop("grid")
    return Record(grid=(int(height), int(width)), **named)


def write(path: Path, data: bytes, suffix: str = ".part") -> None:
    """Write a file beside its place, to the disk, and move it there.

    suffix: of the one beside it; what was left by a process that was killed is written over by the next with the same.
    """
    part = path.with_name(path.name + suffix)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _canonical(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=True, allow_nan=False)
