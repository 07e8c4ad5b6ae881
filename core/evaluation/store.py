"""The rows of a run in its folder: written as they are measured, so that whatever kills it costs one item.

`rows-<i>-of-<n>.jsonl` has a line for each item of a shard, and one that says which run they are of; `arrays/` and
`pictures/` hold what belongs to them, and are written before the line.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from .. import locks, threads
from ..types import ConfigError, DecodeSettings
from .record import write
from .suite import Drawn, Figures, Item, Measured, Pixels

KEY: Final = re.compile("[a-z0-9-]{1,80}")
ARM: Final = re.compile(r"[A-Za-z0-9+_-][A-Za-z0-9+._-]{0,39}")
ROWS: Final = re.compile(r"rows-(\d+)-of-(\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class Shard:
    """Every n-th item, from the i-th (from 1) on."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard "i/n"; ConfigError for what is none."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ConfigError(f"--shard: got {text!r:.40}, expected I/N with I from 1 to N, such as 1/4")
        return cls(int(found[1]), int(found[2]))

    def of_items(self, items: Sequence[Item]) -> list[Item]:
        """Those that are in it."""
        return list(items[self.number - 1 :: self.of])

    def part(self, number: int, of: int) -> Shard:
        """One of `of` shards that it is split into, from 0 on."""
        return Shard(self.number + number * self.of, self.of * of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a picture that was drawn, beside its pixels; codes_sha256: "" where its codes are not known."""

    prompt: str
    settings: DecodeSettings
    linkable: bool
    codes_sha256: str


@dataclass(frozen=True, slots=True)
class StoredRow:
    """An item as it was measured, read from the folder of its run; failed: why there is nothing of it, or ""."""

    folder: Path
    key: str
    about: Mapping[str, Any]
    figures: Mapping[str, Figures] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Sequence[Kept]] = field(default_factory=dict)
    failed: str = ""

    def array(self, name: str) -> npt.NDArray[np.generic]:
        """An array; ConfigError where there is none."""
        path = self.folder / "arrays" / f"{self.key}.npz"
        try:
            with np.load(path, allow_pickle=False) as found:
                array: npt.NDArray[np.generic] = found[name]
        except (OSError, ValueError, KeyError) as error:
            raise _unreadable(path, error) from None
        return array

    def pixels(self, arm: str) -> Sequence[Pixels]:
        """The pictures of an arm; ConfigError where one is missing."""
        return [self.picture(arm, n) for n in range(len(self.kept.get(arm, ())))]

    def picture(self, arm: str, n: int) -> Pixels:
        """The n-th picture of an arm; ConfigError where it is missing."""
        return _read_picture(self.place(arm, n))

    def place(self, arm: str, n: int) -> Path:
        """The file of a picture."""
        return self.folder / "pictures" / self.key / f"{arm}-{n}.png"


@dataclass(frozen=True, slots=True)
class Head:
    """What a line says of those behind it: how many items their run has, and which machine measured them."""

    machine: str
    items: int


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a run, by key.

    done, failed: an item that failed and was measured later is done; items: how many the run has; machines: what they
    were measured on, in words; torn: files whose last line was cut off, as it is when a process is killed, or is being
    written.
    """

    done: Mapping[str, StoredRow]
    failed: Mapping[str, StoredRow]
    items: int
    machines: tuple[str, ...]
    torn: tuple[str, ...]


def read_rows(folder: Path, identity: str) -> Rows:
    """All rows of a folder, sorted by key, each once; ConfigError for a damaged line, or of another run."""
    done: dict[str, StoredRow] = {}
    failed: dict[str, StoredRow] = {}
    machines, torn, items = set[str](), list[str](), 0
    for path in sorted(path for path in folder.glob("rows-*.jsonl") if ROWS.fullmatch(path.name)):
        whole, rest = _lines(path.read_bytes())
        if rest:
            torn.append(path.name)
        for number, line in enumerate(whole, start=1):
            found = _parsed(folder, path, number, line, identity)
            if isinstance(found, Head):
                machines.add(found.machine)
                items = max(items, found.items)
            elif found.failed:
                failed[found.key] = found
            else:
                done.setdefault(found.key, found)
    left = {key: row for key, row in failed.items() if key not in done}
    return Rows(dict(sorted(done.items())), dict(sorted(left.items())), items, tuple(sorted(machines)), tuple(torn))


@contextlib.contextmanager
def writing(folder: Path, shard: Shard, identity: str, items: int) -> Iterator[Writer]:
    """What adds rows to a shard of a run with that many items in all; ConfigError while another process does.

    A last line that was cut off is dropped first.
    """
    path = folder / f"rows-{shard.number}-of-{shard.of}.jsonl"
    message = f"out: shard {shard} of {str(folder)!r:.200} is being measured by another process; wait for it, or end it"
    with locks.locked(path.with_suffix(".lock"), message), path.open("a+b") as file:
        file.seek(0)
        whole, torn = _lines(file.read())
        file.truncate(sum(len(line) + 1 for line in whole))
        heads = [line for line in whole if line.startswith(b'{"run"')]
        writer = Writer(folder, file, f".{shard.number}-of-{shard.of}.part", heads[-1] if heads else b"")
        writer.run, writer.dropped = {"run": identity, "items": items}, bool(torn)
        writer.head(threads.machine())
        yield writer


class Writer:
    """Adds rows; run: what every head says of them; dropped: whether a line that was cut off had to go."""

    def __init__(self, folder: Path, file: IO[bytes], part: str, head: bytes) -> None:
        self._folder, self._file, self._part, self._head = folder, file, part, head
        self.run: Mapping[str, Any] = {}
        self.dropped = False

    def head(self, machine: str) -> None:
        """Say which machine measures what follows, unless that was said last."""
        line = _line({**self.run, "machine": machine})
        if line != self._head:
            self._add_line(line)
        self._head = line

    def add(self, item: Item, measured: Measured) -> None:
        """Write an item that was measured; ConfigError for what a row cannot hold."""
        _check(item, measured)
        if measured.arrays:
            write(_made(self._folder / "arrays") / f"{item.key}.npz", _npz(measured.arrays), self._part)
        for arm, pictures in measured.pictures.items():
            for n, drawn in enumerate(pictures):
                write(_made(self._folder / "pictures" / item.key) / f"{arm}-{n}.png", _png(drawn.pixels), self._part)
        self._add_line(_line({
            "key": item.key,
            "about": item.about,
            "figures": {arm: {k: float(v) for k, v in figures.items()} for arm, figures in measured.figures.items()},
            "details": measured.details,
            "unavailable": measured.unavailable,
            "pictures": {arm: [_kept(drawn) for drawn in drawns] for arm, drawns in measured.pictures.items()},
        }))  # fmt: skip

    def add_failed(self, item: Item, reason: str) -> None:
        """Write why an item could not be measured."""
        said = " ".join(reason.split())[:1000] or "unknown"
        self._add_line(_line({"key": item.key, "about": item.about, "failed": said}))

    def _add_line(self, line: bytes) -> None:
        """Write one line, to the disk."""
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _line(values: Mapping[str, Any]) -> bytes:
    """A line without its end."""
    return json.dumps(values, allow_nan=False).encode()


def _lines(data: bytes) -> tuple[list[bytes], bytes]:
    """The lines of a file, and what stands behind the last line's end."""
    *whole, rest = data.split(b"\n")
    return whole, rest


def _parsed(folder: Path, path: Path, number: int, line: bytes, identity: str) -> StoredRow | Head:
    """A row, or a head; ConfigError for what is neither."""
    try:
        values = json.loads(line)
        if "run" in values:
            if values["run"] != identity:
                got = "got rows of another run, or of other settings"
                raise ConfigError(f"{path}, line {number}: {got}; expected those of this folder's; measure them again")
            return Head(str(values["machine"]), int(values["items"]))
        return _row(folder, values)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        remedy = "remove that line, and the item is measured again"
        raise ConfigError(f"{path}, line {number}: got a damaged row, expected one as written; {remedy}") from None


def _row(folder: Path, values: dict[str, Any]) -> StoredRow:
    """A row from JSON; ValueError, TypeError or KeyError for what is none."""
    key, about = values["key"], values["about"]
    if not KEY.fullmatch(key) or not isinstance(about, dict):
        raise ValueError
    if "failed" in values:
        return StoredRow(folder, key, about, failed=str(values["failed"]))
    figures, details, unavailable = (dict(values[name]) for name in ("figures", "details", "unavailable"))
    for named in figures.values():
        if not all(isinstance(value, float) and math.isfinite(value) for value in named.values()):
            raise ValueError
    kept = {arm: tuple(map(_kept_from, pictures)) for arm, pictures in values["pictures"].items() if _is_arm(arm)}
    return StoredRow(folder, key, about, figures, details, unavailable, kept)


def _kept(drawn: Drawn) -> dict[str, Any]:
    """What a row says of a picture."""
    hashed = "" if drawn.codes is None else sha256(np.asarray(drawn.codes).astype("<u2").tobytes()).hexdigest()
    settings = asdict(drawn.settings)
    return {"prompt": drawn.prompt, "settings": settings, "linkable": drawn.linkable, "codes_sha256": hashed}


def _kept_from(values: dict[str, Any]) -> Kept:
    settings = DecodeSettings.from_json(values["settings"])
    return Kept(str(values["prompt"]), settings, values["linkable"] is True, str(values["codes_sha256"]))


def _is_arm(name: str) -> bool:
    """Whether an arm's name can be that of a file; ValueError if not."""
    if not ARM.fullmatch(name):
        raise ValueError
    return True


def _check(item: Item, measured: Measured) -> None:
    """ConfigError for what no row can hold: mistakes of a suite."""
    if not KEY.fullmatch(item.key):
        raise ConfigError(f"item: got the key {item.key!r:.100}, expected 1 to 80 of a-z, 0-9 and hyphens")
    for arm in (*measured.figures, *measured.pictures):
        if not ARM.fullmatch(arm):
            raise ConfigError(f"item {item.key}: got the arm {arm!r:.60}, expected letters, digits, +, ., _ and -")
    for arm, figures in measured.figures.items():
        for name, value in figures.items():
            if not math.isfinite(value):
                raise ConfigError(f"item {item.key}: got {value} for {name} of {arm}, expected a finite number")
    for name, array in measured.arrays.items():
        if array.dtype.hasobject:
            raise ConfigError(f"item {item.key}: got an array {name!r:.60} of objects, expected numbers")


def _npz(arrays: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """Arrays as one file, the same at any time."""
    held, named = io.BytesIO(), dict[str, Any](arrays)
    np.savez_compressed(held, **named)
    return held.getvalue()


def _png(pixels: Pixels) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(held, "PNG")
    return held.getvalue()


def _read_picture(path: Path) -> Pixels:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ConfigError:
    reason = "it is missing" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())[:100]
    remedy = "measure the item again: remove its line from the rows"
    return ConfigError(f"{path}: got no file that can be read ({reason}), expected what was measured; {remedy}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
