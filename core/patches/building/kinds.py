"""Which kind of source a path is: a folder, a list, tars, Parquet, or a folder of `datasets`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path
from typing import Final

from ...types import ConfigError
from .folders import FolderSource, ListSource
from .records import TABLE_SUFFIXES
from .sources import Source, SourceChoice, has_picture_suffix, is_picture_inside, no_such, printable
from .tables import TableSource, dataset_source
from .tars import TAR_SUFFIXES, TarSource

PARQUET_SUFFIXES: Final = (".parquet", ".parq")
LIST_SUFFIXES: Final = (".txt", ".lst", ".list", *TABLE_SUFFIXES)
MOST_FILES: Final = 1_000_000
"""That a pattern in braces may stand for."""


def open_source(choice: SourceChoice) -> Source:
    """The source of a choice; ConfigError for a path where there can be none, and for an unknown kind."""
    choice = resolved(choice)
    return KINDS[choice.kind](choice)


def resolved(choice: SourceChoice) -> SourceChoice:
    """The same choice with the kind that its path is of."""
    if choice.kind not in ("auto", *KINDS):
        raise ConfigError(f"kind: got {choice.kind!r:.40}, expected auto, {', '.join(KINDS)}")
    if choice.kind != "auto":
        return choice
    return replace(choice, kind=_kind_of(choice))


def _kind_of(choice: SourceChoice) -> str:
    """The kind of source at the paths of a choice."""
    path = Path(choice.path)
    if path.is_dir() and not choice.more:
        return _kind_of_folder(path)
    files = _expanded(choice)
    kinds = sorted({_kind_of_file(Path(file)) for file in files})
    if len(kinds) > 1 or (len(files) > 1 and kinds[0] not in ("webdataset", "parquet")):
        got = f"got {len(files)} files ({', '.join(kinds)})"
        raise ConfigError(f"images: {got}, expected one folder or list, or tars or Parquet files only")
    return kinds[0]


def _kind_of_file(path: Path) -> str:
    name = path.name.lower()
    for kind, suffixes in (("webdataset", TAR_SUFFIXES), ("parquet", PARQUET_SUFFIXES), ("list", LIST_SUFFIXES)):
        if name.endswith(suffixes):
            return kind
    what = "one picture" if is_picture_inside(path) else "a file of another kind"
    expected = "expected a folder, a list (.txt, .csv, .jsonl), tars or Parquet files"
    raise ConfigError(f"images: got {printable(str(path))!r}, {what}, {expected}; or say which by --kind")


def _kind_of_folder(path: Path) -> str:
    """A folder of `datasets`, or of tars or Parquet files where it holds no pictures."""
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return "datasets"
    tables = ""
    for name in _names_below(path):
        if has_picture_suffix(name):
            return "folder"
        if name.endswith(TAR_SUFFIXES):
            tables = "webdataset"
        elif name.endswith(PARQUET_SUFFIXES):
            tables = tables or "parquet"
    return tables or "folder"


def _names_below(path: Path) -> Iterator[str]:
    """Names of files in a folder and those in it, in lower case; none that are hidden."""
    for _, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (name.lower() for name in files if not name.startswith("."))


def _tars(choice: SourceChoice) -> Source:
    root, places = _files(choice, TAR_SUFFIXES)
    return TarSource(choice, root, places)


def _parquet(choice: SourceChoice) -> Source:
    root, places = _files(choice, PARQUET_SUFFIXES)
    name = Path(places[0]).stem if len(places) == 1 else root.resolve().name
    return TableSource(choice, root, places, printable(name))


def _files(choice: SourceChoice, suffixes: tuple[str, ...]) -> tuple[Path, list[str]]:
    """The folder that files lie in, and their places in it, in order; ConfigError when there are none."""
    path = Path(choice.path)
    if path.is_dir() and not choice.more:
        found = sorted(
            Path(folder, name).relative_to(path).as_posix()
            for folder, _, names in os.walk(path) for name in names
            if name.lower().endswith(suffixes) and not name.startswith(".")
        )  # fmt: skip
        root = path
    else:
        files = [Path(file).absolute() for file in _expanded(choice)]
        root = Path(os.path.commonpath([str(file.parent) for file in files]))
        found = [file.relative_to(root).as_posix() for file in files]
    if not found:
        raise ConfigError(f"images: got {printable(str(path))!r} without any {', '.join(suffixes[:2])}, expected some")
    return root, found


def _expanded(choice: SourceChoice) -> list[str]:
    """The files that paths and patterns stand for, in their order: {000..012}, {a,b}, and *, ?, [] as in a shell.

    ConfigError for one that stands for none.
    """
    found: list[str] = []
    for text in (choice.path, *choice.more):
        if Path(text).is_file():
            found.append(text)
            continue
        before = len(found)
        for one in braces(text):
            files = sorted(glob(one, recursive=True)) if has_magic(one) else [one]
            found += [file for file in files if Path(file).is_file()]
            if len(found) > MOST_FILES:
                raise ConfigError(f"images: got a pattern of over {MOST_FILES:,} files, expected fewer; give a folder")
        if len(found) == before:
            raise no_such(text)
    return list(dict.fromkeys(found))


def braces(text: str) -> Iterator[str]:
    """What a pattern with braces stands for: {a,b} and {007..012}, which keeps its zeros."""
    match = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", text)
    if match is None:
        yield text
        return
    first, last, listed = match.groups()
    if listed is not None:
        inner = listed.split(",")
    else:
        if abs(int(last) - int(first)) > MOST_FILES:
            raise ConfigError(f"images: got {match[0]}, expected at most {MOST_FILES:,} files; mend the pattern")
        step = 1 if int(last) >= int(first) else -1
        inner = [str(n).zfill(len(first)) for n in range(int(first), int(last) + step, step)]
    for each in inner:
        yield from braces(text[: match.start()] + each + text[match.end() :])


KINDS: Final[Mapping[str, Callable[[SourceChoice], Source]]] = {
    "folder": FolderSource,
    "list": ListSource,
    "webdataset": _tars,
    "parquet": _parquet,
    "datasets": dataset_source,
}
