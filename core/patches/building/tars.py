"""Pictures in tar files, as WebDataset has them: files that follow one another and share a key are one sample."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

from ...inputs.formats import PictureError
from .captions import MOST_TEXT
from .folders import BESIDE, object_of, unwanted
from .sources import SPAN, SUFFIXES, Item, LeftOut, SourceChoice, Span, check_bytes, failing, printable

TAR_SUFFIXES: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PACKED_SPANS: Final = 8
"""How many times as long the spans of a compressed tar are: each of them has to unpack all that is before it."""

BROKEN: Final = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
"""What reading a damaged tar file raises."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar; data: its bytes where they were asked for, or why there are none."""

    name: str
    offset: int
    regular: bool
    data: bytes | PictureError

    def read(self) -> bytes:
        """Its bytes; PictureError without them."""
        if isinstance(self.data, PictureError):
            raise self.data
        return self.data


@dataclass(slots=True)
class Sample:
    """The members of one key: pictures, and the small files that tell of them; offset: where the first begins."""

    key: str
    offset: int
    pictures: list[Member] = field(default_factory=list)
    others: list[Member] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def take(self, member: Member) -> None:
        """One more member, by its name."""
        suffix = "." + member.name.rpartition(".")[2].lower()
        hidden = any(part.startswith(".") for part in member.name.removeprefix("./").split("/"))
        if hidden or not member.regular:
            self.unused.append(member.name)
        elif suffix in SUFFIXES:
            self.pictures.append(member)
        elif suffix in BESIDE:
            self.others.append(member)
        else:
            self.unused.append(member.name)


class TarSource:
    """Tar files, compressed or not, read from one end to the other."""

    def __init__(self, choice: SourceChoice, root: Path, places: Sequence[str]) -> None:
        self.root, self.places = root, places
        self.name = printable(Path(places[0]).name.partition(".")[0]) if len(places) == 1 else printable(root.name)
        self._choice = choice

    def spans(self, left_out: LeftOut) -> Iterator[Span]:
        """See `Source`: reads all headers, of a compressed file everything."""
        for place in self.places:
            yield from self._of_tar(place, left_out)

    def _of_tar(self, place: str, left_out: LeftOut) -> Iterator[Span]:
        first, count, offset = 0, 0, 0
        most = SPAN * (PACKED_SPANS if _is_packed(self.root / place) else 1)
        try:
            for sample in self._samples(place, 0, with_data=False):
                for name in sample.unused:
                    left_out.add("other files in tars", f"{place}/{name}")
                taken = len(self._wanted(place, sample, left_out))
                if not sample.pictures and sample.others:
                    left_out.add("a sample without its picture", f"{place}/{sample.key}")
                if count and count + taken > most:
                    yield Span(place, first, count, offset)
                    first, count = first + count, 0
                if not count:
                    offset = sample.offset
                count += taken
        except BROKEN as error:
            left_out.add(f"the rest of a tar file that is damaged ({_said(error)})", place)
        if count:
            yield Span(place, first, count, offset)

    def items(self, span: Span) -> Iterator[Item]:
        """See `Source`."""
        left = span.count
        try:
            for item in self._read(span):
                yield item
                left -= 1
                if not left:
                    return
        except BROKEN as error:
            said = _said(error)
            reason: Exception = PictureError(f"the tar file cannot be read ({said})", "in a damaged tar file")
        else:
            reason = PictureError("the tar file has changed since it was listed", "not there any more")
        for number in range(span.count - left, span.count):
            yield Item(f"{printable(span.place)}#{span.first + number}", failing(reason), "")

    def _read(self, span: Span) -> Iterator[Item]:
        """Pictures from a span's first on."""
        for sample in self._samples(span.place, span.offset, with_data=True):
            texts, record = _told(sample)
            for member in self._wanted(span.place, sample, LeftOut()):
                yield Item(printable(f"{span.place}/{member.name}"), member.read, member.name, texts, record)

    def _samples(self, place: str, offset: int, with_data: bool) -> Iterator[Sample]:
        with _opened(self.root / place) as stream:
            stream.seek(offset)
            yield from _samples(_members(Watched(stream), with_data))

    def _wanted(self, place: str, sample: Sample, left_out: LeftOut) -> list[Member]:
        """The pictures of a sample that are asked for."""
        wanted = []
        for member in _main(sample, place, left_out):
            if why := unwanted(member.name, self._choice):
                left_out.add(why, f"{place}/{member.name}")
            else:
                wanted.append(member)
        return wanted


def _main(sample: Sample, place: str, left_out: LeftOut) -> list[Member]:
    """The pictures that a sample is of: those called KEY.SUFFIX, or all where none is."""
    plain = [member for member in sample.pictures if _suffix(member.name).count(".") == 1]
    chosen = plain or sample.pictures
    for member in sample.pictures:
        if member not in chosen:
            left_out.add("further pictures of a sample", f"{place}/{member.name}")
    return chosen


class Watched:
    """A stream to read forwards that remembers what it read last."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.last = b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        """As of the stream."""
        self.last = self._stream.read(size)
        return self.last


def _samples(members: Iterator[Member]) -> Iterator[Sample]:
    """Samples in the order of the file; what was read before damage comes before its error."""
    sample = None
    try:
        for member in members:
            key = member.name[: len(member.name) - len(_suffix(member.name))]
            if sample is None or key != sample.key:
                if sample is not None:
                    yield sample
                sample = Sample(key, member.offset)
            sample.take(member)
    except BROKEN:
        if sample is not None:
            yield sample
        raise
    if sample is not None:
        yield sample


def _members(stream: Watched, with_data: bool) -> Iterator[Member]:
    """The files of a tar from where a stream stands on; each is looked at when it comes, and not remembered."""
    with tarfile.TarFile(fileobj=cast(IO[bytes], stream), mode="r", errorlevel=2) as tar:
        while True:
            found = tar.next()
            tar.members.clear()  # type: ignore[attr-defined]  # else it remembers them all
            if found is None:
                break
            if not found.isdir():
                data = _content(found, stream) if with_data and found.isreg() else b""
                yield Member(found.name, found.offset, found.isreg(), data)
    if stream.last.strip(b"\0"):
        raise tarfile.ReadError("a header that is none")


def _told(sample: Sample) -> tuple[list[bytes], dict[str, Any]]:
    """Caption files and columns of a sample."""
    texts, record = list[bytes](), dict[str, Any]()
    for member in sample.others:
        data = member.data if isinstance(member.data, bytes) else b""
        if not member.name.lower().endswith(".json"):
            texts.append(data[:MOST_TEXT])
            continue
        record.update(object_of(data))
    return texts, record


def _content(member: tarfile.TarInfo, stream: Watched) -> bytes | PictureError:
    """The bytes of a member, or why there are none."""
    try:
        check_bytes(member.size)
    except PictureError as error:
        return error
    stream.seek(member.offset_data)
    data = stream.read(member.size)
    if len(data) < member.size:
        return PictureError("the tar file ends before this picture does; copy it again", "in a damaged tar file")
    return data


def _suffix(name: str) -> str:
    """All after the first dot of a member's name, with the dot."""
    base = name.rpartition("/")[2]
    start = base.find(".", 1)
    return base[start:] if start > 0 else ""


def _opened(path: Path) -> IO[bytes]:
    """The bytes of a tar file, unpacked by what it starts with."""
    with path.open("rb") as file:
        head = file.read(6)
    if head[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(path))
    if head[:3] == b"BZh":
        return cast(IO[bytes], bz2.open(path))
    if head == b"\xfd7zXZ\0":
        return cast(IO[bytes], lzma.open(path))
    return path.open("rb")


def _is_packed(path: Path) -> bool:
    """Whether a tar is compressed; not one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))
    except OSError:
        return False


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__
