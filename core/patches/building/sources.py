"""Where pictures come from: a source lists them once, cheaply, as spans, and hands them out one after another.

Nothing is held but one directory's names or one picture. What is no picture is counted, by reason and with some names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from ...inputs.formats import HEAD, PictureError, kind_of
from ...types import ConfigError

SUFFIXES: Final = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".bmp",
        ".dib",
        ".gif",
        ".tif",
        ".tiff",
        ".avif",
        ".avifs",
        ".apng",
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".jp2",
        ".j2k",
        ".svg",
        ".psd",
        ".ico",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".raf",
        ".orf",
        ".rw2",
        ".tga",
        ".pcx",
        ".ppm",
        ".pgm",
        ".pbm",
        ".exr",
        ".hdr",
        ".qoi",
        ".eps",
        ".xcf",
    ]
)
"""Names of pictures, also of kinds that are not read, so that these are listed; contents decide."""

MOST_BYTES: Final = 512 << 20
"""Of one picture's file; larger ones are refused before they are read."""

SPAN: Final = 256
"""Most pictures of a part, and so of a span: what is lost when a build is killed; a packed tar is cut less often."""

NAMED: Final = 50
"""How many names of what was left out are kept for each reason."""


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """Which pictures: everything that decides what a source lists.

    path: a folder, a file, or a pattern with * or {000..123}; more: further tars or Parquet files, or patterns of them;
    kind: a name of KINDS, or "auto"; include, exclude: patterns of names or of paths inside of the source;
    image_column, caption_column: of tables, "" to find them.
    """

    path: str
    more: tuple[str, ...] = ()
    kind: str = "auto"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    image_column: str = ""
    caption_column: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Pictures that follow one another in one file, or one that is a file.

    place: the file, inside of the source; first, count: which pictures; offset: the byte where the first begins, where
    that helps; beside: names of the files beside a picture that say something of it; record: what a table says of it.
    """

    place: str
    first: int = 0
    count: int = 1
    offset: int = 0
    beside: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What is not as usual."""
        usual = asdict(Span(self.place))
        return {name: value for name, value in asdict(self).items() if name == "place" or value != usual[name]}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Span:
        """The span that `as_json` gave."""
        return cls(**{**values, "beside": tuple(values.get("beside", ()))})


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a source; name: how it is listed, the same whenever the source is read.

    read: the bytes of its file, to be called before the next item is asked for; raises PictureError or OSError. stem:
    what a caption is made of where nothing else says one; texts: contents of caption files beside it, the better ones
    first; record: what else is said of it, by column.
    """

    name: str
    read: Callable[[], bytes]
    stem: str
    texts: Sequence[bytes] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


class LeftOut:
    """What a source holds beside its pictures, by reason: how often, and the first names."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.names: dict[str, list[str]] = {}

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """One more, or several under one name."""
        self.counts[reason] = self.counts.get(reason, 0) + count
        named = self.names.setdefault(reason, [])
        if len(named) < NAMED:
            named.append(printable(name))

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Counts and names by reason, the most frequent first."""
        reasons = sorted(self.counts, key=lambda reason: (-self.counts[reason], reason))
        return {reason: {"count": self.counts[reason], "names": self.names[reason]} for reason in reasons}


class Source(Protocol):
    """Pictures in a fixed order."""

    name: str
    """What the collection is called."""

    def spans(self, left_out: LeftOut) -> Iterator[Span]:
        """All pictures, about SPAN in each at most, read as little as can be; ConfigError where there can be none."""
        ...

    def items(self, span: Span) -> Iterator[Item]:
        """The pictures of a span, in order and as many as it counts: what is damaged fails when it is read."""
        ...


def printable(name: str) -> str:
    """A file's name as text that can be written anywhere: bytes that are no text are shown as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def plain_stem(place: str) -> str:
    """The name of a file without its folder and suffix."""
    return PurePosixPath(place.replace("\\", "/")).stem


def has_picture_suffix(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def is_picture_inside(path: Path) -> bool:
    """Whether a file's first bytes are those of a picture that is read."""
    try:
        with path.open("rb") as file:
            return bool(kind_of(file.read(HEAD)))
    except (OSError, PictureError):
        return False


def read_file(path: Path) -> bytes:
    """What is in a picture's file; PictureError when it is too large or cannot be read."""
    try:
        if not path.is_file():
            there = path.exists() or path.is_symlink()
            raise PictureError("got no such file", "not a file" if there else "not there any more")
        check_bytes(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PictureError(f"cannot be read ({reason})", f"cannot be read ({reason})") from None


def check_bytes(size: int) -> None:
    """PictureError for a file that is too large to be read at once."""
    if size > MOST_BYTES:
        message = f"got {size / 2**20:.0f} MB, expected at most {MOST_BYTES >> 20}; make it smaller"
        raise PictureError(message, "too large")


def failing(error: Exception) -> Callable[[], bytes]:
    """Reads nothing, and says why."""

    def read() -> bytes:
        raise error

    return read


def no_such(path: str) -> ConfigError:
    """Nothing is where pictures should be."""
    return ConfigError(f"images: got {printable(path)!r}, expected a folder, file or pattern; check the path")
