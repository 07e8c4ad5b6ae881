"""Pictures that are files: a folder with all that is below it, or a list of paths."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ...types import ConfigError
from .captions import MOST_TEXT, text_of
from .records import TABLE_SUFFIXES, TABLES, Records, read_records
from .sources import (
    Item,
    LeftOut,
    SourceChoice,
    Span,
    has_picture_suffix,
    is_picture_inside,
    printable,
    read_file,
)

BESIDE: Final = (".txt", ".caption", ".json")
"""Suffixes, in any case, of files beside a picture that say something of it, captions first."""

SYSTEM: Final = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information"))
"""Folders that systems keep beside pictures, in lower case; those that begin with a dot are hidden anyway."""

CAPTION_ALONE: Final = "a caption without its picture"


class FolderSource:
    """A folder and all below it, in the order of names; each folder once, however it is linked."""

    def __init__(self, choice: SourceChoice) -> None:
        self.root = Path(choice.path)
        self.name = printable(self.root.resolve().name)
        self._choice = choice

    def spans(self, left_out: LeftOut) -> Iterator[Span]:
        """See `Source`; also reads tables beside the pictures."""
        seen: set[tuple[int, int]] = set()
        yield from self._below("", [], seen, left_out)

    def items(self, span: Span) -> Iterator[Item]:
        """See `Source`."""
        yield file_item(self.root, span)

    def _below(
        self, place: str, tables: list[tuple[str, Records]], seen: set[tuple[int, int]], left_out: LeftOut
    ) -> Iterator[Span]:
        """The pictures of one folder, then those of the folders in it; tables: those of the folders above."""
        folder = self.root / place
        listed = _listed(folder, place, seen, left_out)
        if listed is None:
            return
        files, folders = _sorted_out(listed, place, left_out)
        own = [Records(folder / name, left_out) for name in files if name.lower() in TABLES]
        tables = [*tables, *((place, table) for table in own)]
        yield from self._pictures(place, [name for name in files if name.lower() not in TABLES], tables, left_out)
        for name in folders:
            yield from self._below(_joined(place, name), tables, seen, left_out)
        for table in own:
            table.tell_unused(left_out)

    def _pictures(
        self, place: str, files: list[str], tables: list[tuple[str, Records]], left_out: LeftOut
    ) -> Iterator[Span]:
        """Spans of the pictures among the files of a folder; what is left is told."""
        beside = Beside(name for name in files if is_beside(name))
        others = []
        for name in files:
            inside = _joined(place, name)
            if not has_picture_suffix(name) and (is_beside(name) or not is_picture_inside(self.root / inside)):
                others.append(name)
            elif why := unwanted(inside, self._choice):
                beside.of(name)
                left_out.add(why, inside)
            else:
                record = _recorded(tables, inside)
                yield Span(inside, beside=tuple(_joined(place, each) for each in beside.of(name)), record=record)
        for name in others:
            if name not in beside.used:
                left_out.add(_reason(name), _joined(place, name))


class ListSource:
    """Paths, one a line and perhaps with a caption behind a tab, or a table (.csv, .tsv, .jsonl) with a path in each.

    Paths are counted from the folder of the list.
    """

    def __init__(self, choice: SourceChoice) -> None:
        self.path = Path(choice.path)
        self.root = self.path.parent
        self.name = printable(self.path.stem)
        self._choice = choice

    def spans(self, left_out: LeftOut) -> Iterator[Span]:
        """See `Source`."""
        for place, record in self._lines(left_out):
            if why := unwanted(place, self._choice):
                left_out.add(why, place)
                continue
            file = self.root / place
            beside = _beside_in(str(file.parent)).of(file.name)
            parent = str(PurePosixPath(place).parent)
            yield Span(place, beside=tuple(_joined("" if parent == "." else parent, n) for n in beside), record=record)

    def items(self, span: Span) -> Iterator[Item]:
        """See `Source`."""
        yield file_item(self.root, span)

    def _lines(self, left_out: LeftOut) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every path, and what is said beside it."""
        if self.path.suffix.lower() in TABLE_SUFFIXES:
            yield from read_records(self.path, left_out)
            return
        try:
            text = text_of(self.path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{printable(str(self.path))}: cannot be read ({error.strerror})") from None
        for line in text.splitlines():
            place, _, caption = line.strip().partition("\t")
            if place and not place.startswith("#"):
                yield place, {"caption": caption} if caption else {}


class Beside:
    """Which files say something of a picture: those of its name, or of its stem, with a suffix of BESIDE."""

    def __init__(self, names: Iterable[str]) -> None:
        self._of: dict[str, list[str]] = {}
        self.used: set[str] = set()
        for name in names:
            self._of.setdefault(_composed(os.path.splitext(name)[0]), []).append(name)

    def of(self, picture: str) -> list[str]:
        """Names of the files beside a picture, the better ones first."""
        stems = dict.fromkeys((_composed(os.path.splitext(picture)[0]), _composed(picture)))
        found = [name for stem in stems for name in self._of.get(stem, ()) if name != picture]
        self.used.update(found)
        return sorted(found, key=lambda name: BESIDE.index(os.path.splitext(name)[1].lower()))


def file_item(root: Path, span: Span) -> Item:
    """The picture of a span that is a file, with what is said beside it."""
    texts, record = [], dict(span.record)
    for place in span.beside:
        data = _beginning(root / place)
        if place.lower().endswith(".json"):
            record = {**object_of(data), **record}
        elif data:
            texts.append(data)
    return Item(printable(span.place), partial(read_file, root / span.place), span.place, texts, record)


def unwanted(place: str, choice: SourceChoice) -> str:
    """Why a picture is not wanted, "" when it is."""
    if choice.include and not _matches(place, choice.include):
        return "not among --include"
    return "among --exclude" if _matches(place, choice.exclude) else ""


def is_beside(name: str) -> bool:
    """Whether a file is called as those that say something of a picture."""
    return os.path.splitext(name)[1].lower() in BESIDE


def _matches(place: str, patterns: Iterable[str]) -> bool:
    """Whether a path, its name, or a folder that it lies in fits one of some patterns."""
    parts = PurePosixPath(place)
    return any(
        fnmatch(place, pattern) or fnmatch(parts.name, pattern)
        or any(fnmatch(str(parent), pattern.rstrip("/")) for parent in parts.parents)
        for pattern in patterns
    )  # fmt: skip


def _listed(folder: Path, place: str, seen: set[tuple[int, int]], left_out: LeftOut) -> list[os.DirEntry[str]] | None:
    """What is in a folder by the bytes of the names; None for one that was read before or cannot be."""
    try:
        state = folder.stat()
        if (there := (state.st_dev, state.st_ino)) in seen:
            left_out.add("a folder that is linked once more", place)
            return None
        seen.add(there)
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        if not place:
            raise
        left_out.add(f"a folder that cannot be read ({error.strerror})", place)
        return None


def _sorted_out(entries: list[os.DirEntry[str]], place: str, left_out: LeftOut) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders to look at; all else is told."""
    files, folders = [], []
    for entry in entries:
        kind = _kind(entry)
        if kind == "file":
            files.append(entry.name)
        elif kind == "folder":
            folders.append(entry.name)
            if has_picture_suffix(entry.name):
                left_out.add("a folder called as a picture", _joined(place, entry.name))
        else:
            left_out.add(kind, _joined(place, entry.name))
    return files, folders


def _kind(entry: os.DirEntry[str]) -> str:
    """ "file", "folder", or why an entry is neither."""
    if entry.name.startswith("."):
        return "hidden"
    try:
        if entry.is_dir():
            return "a folder of the system" if entry.name.lower() in SYSTEM else "folder"
        if entry.is_file():
            return "file"
        return "a link to nothing" if entry.is_symlink() else "not a file"
    except OSError as error:  # a link to itself
        return f"a link that leads nowhere ({error.strerror})"


def _recorded(tables: list[tuple[str, Records]], inside: str) -> Mapping[str, Any]:
    """What the nearest table says of a picture."""
    for place, table in reversed(tables):
        found = table.get(inside[len(place) + 1 :] if place else inside)
        if found is not None:
            return found
    return {}


def _reason(name: str) -> str:
    """Why a file is not taken that is no picture."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in (".txt", ".caption"):
        return CAPTION_ALONE
    return f"other files ({printable(suffix)})" if suffix else "other files (no suffix)"


@lru_cache(maxsize=8)
def _beside_in(folder: str) -> Beside:
    """The files of a folder that say something of pictures; none of one that cannot be read."""
    try:
        return Beside(name for name in sorted(os.listdir(folder)) if is_beside(name))
    except OSError:
        return Beside(())


def _beginning(path: Path) -> bytes:
    """The first MOST_TEXT bytes of a file, b"" when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_TEXT)
    except OSError:
        return b""


def object_of(data: bytes) -> dict[str, Any]:
    """The object of a JSON file, {} when it holds none."""
    try:
        found = json.loads(text_of(data))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _joined(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name
