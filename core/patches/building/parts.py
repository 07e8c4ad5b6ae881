"""One part of a build: some pictures of its source, read, made square and encoded; the same bytes wherever that is."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...backends.protocol import Backend
from ...inputs.formats import PictureError
from ...inputs.picture import Picture, open_picture
from ...types import CodeArray, DatabaseError, FloatArray
from ..files import json_bytes, read_json, replace_file
from ..protocol import ImageInfo
from ..segments.images import ImageRow
from .captions import Said, Value, describe
from .kinds import open_source
from .plan import TRIES, BuildOptions, Plan, Trouble, part_folder, read_plan, read_spans, read_trouble
from .sources import Item

BATCH: Final = 16
"""Pictures that are encoded together: which ones follows from the part alone."""

GIVEN_UP: Final = "ended its process again and again"
QUALITY: Final = 80
STRETCHED: Final = 2
"""How many times longer than wide a picture is of which more than half is cut off, or left empty."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture that became a part of the database; name: of its item; picture: as WebP; stretched: see STRETCHED."""

    name: str
    row: ImageRow
    pixels: Pixels
    picture: bytes
    said: Said
    stretched: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a picture that was taken, beside its codes; see `Taken` and `captions.Said`."""

    name: str
    row: ImageRow
    origin: str
    whole: bool
    stretched: bool


@dataclass(slots=True)
class Tally:
    """What happened to the pictures of a part; names are printable.

    skipped: name, reason in a few words, and in a sentence; duplicates: name, and of which; columns: the further ones,
    each with a kind of `manifest.COLUMN_KINDS`.
    """

    items: int = 0
    taken: int = 0
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)

    def take(self, taken: Taken) -> None:
        """One more that was encoded."""
        self.taken += 1
        for name, value in taken.row.extra.items():
            self.columns[name] = wider(self.columns.get(name), kind_of_value(value))


def make_part(folder: Path, number: int, backend: Backend) -> Generator[int, None, None]:
    """Make a part of the build in a folder, and yield now and then how many of its pictures are done.

    Writes beside the place of the part and moves it there when it is whole: who dies in between leaves nothing that
    counts, and of two who make the same part one throws its own away.
    """
    plan = read_plan(folder)
    if plan is None:
        raise DatabaseError(f"{folder}: got no plan, expected the folder of a build")
    final = part_folder(folder, number)
    place = final.with_name(f"making-{number:06d}-{os.getpid()}-{os.urandom(4).hex()}")
    place.mkdir()
    try:
        with Marker(marker_path(folder, number)) as marker, Writer(place, backend) as writer:
            yield from _Maker(plan, backend, read_trouble(folder, number), marker, writer).run(folder, number)
        with contextlib.suppress(OSError):  # somebody else was faster
            os.rename(place, final)
        if not final.is_dir():
            raise DatabaseError(f"{final}: cannot be written; check the folder")
    finally:
        shutil.rmtree(place, ignore_errors=True)


class _Maker:
    """Reads the pictures of a part one by one and encodes them by batches."""

    def __init__(self, plan: Plan, backend: Backend, trouble: Trouble, marker: Marker, writer: Writer) -> None:
        self._plan, self._backend, self._trouble = plan, backend, trouble
        self._marker, self._writer = marker, writer
        self._seen: dict[str, str] = {}
        self._waiting: list[tuple[int, Taken]] = []

    def run(self, folder: Path, number: int) -> Iterator[int]:
        """All of them, and the tally in the end."""
        source = open_source(self._plan.source)
        tally = self._writer.tally
        for span in read_spans(folder, number):
            for item in source.items(span):
                self._marker.set("read", tally.items)
                self._read(item, tally.items, source.name)
                tally.items += 1
                if len(self._waiting) == BATCH:
                    self._encode()
                yield tally.items
        self._encode()

    def _read(self, item: Item, ordinal: int, collection: str) -> None:
        """Take a picture, or say why not."""
        tally = self._writer.tally
        if (reason := self._trouble.given_up.get(ordinal)) is not None:
            tally.skipped.append((item.name, GIVEN_UP, f"{item.name}: ended its process {reason}, {TRIES} times"))
            return
        try:
            data = item.read()
            digest = hashlib.sha256(data).hexdigest()
            if digest in self._seen:
                tally.duplicates.append((item.name, self._seen[digest]))
                return
            said = describe(item, collection, self._plan.options.captions, self._plan.source.caption_column)
            taken = take(item.name, data, digest, said, self._plan.options, self._backend.pixels)
        except PictureError as error:
            tally.skipped.append((item.name, error.kind, _named(item.name, str(error))))
            return
        except MemoryError:
            tally.skipped.append((item.name, "too large", f"{item.name}: takes more memory than there is"))
            return
        self._seen[digest] = item.name
        self._waiting.append((ordinal, taken))

    def _encode(self) -> None:
        """Encode what waits, together, or one by one where that ended processes."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        first = waiting[0][0]
        if first not in self._trouble.alone:
            self._marker.set("encode", first)
            self._writer.add([taken for _, taken in waiting])
            return
        for ordinal, taken in waiting:
            self._marker.set("alone", ordinal)
            self._writer.add([taken])


def take(name: str, data: bytes, digest: str, said: Said, options: BuildOptions, side: int) -> Taken:
    """A picture from the bytes of its file, made square by the options; PictureError when it cannot be read."""
    found = open_picture(data, name, side)
    pixels = squared(found, side, options.shape)
    width, height = found.size
    row = ImageRow(said.info, said.licence, digest, len(data), width, height, {"file": name, **said.more})
    stretched = max(width, height) > STRETCHED * min(width, height)
    return Taken(name, row, pixels, webp(pixels), said, stretched)


def squared(picture: Picture, side: int, shape: str) -> Pixels:
    """A picture [side, side, 3], cut to its middle or fitted in."""
    return picture.padded(side) if shape == "fit" else picture.covering(side)


def webp(pixels: Pixels) -> bytes:
    """A picture in few bytes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY)
    return file.getvalue()


class Marker:
    """Says on the disk what is being done now, for whoever has to know what a process died of."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self._path, self._file = path, path.open("wb", buffering=0)

    def __enter__(self) -> Marker:
        return self

    def set(self, stage: str, number: int) -> None:
        """What is done from now on, and with which picture."""
        self._file.seek(0)
        self._file.write(f"{stage} {number}".ljust(32).encode())

    def __exit__(self, *_: object) -> None:
        self._file.close()


def marker_path(folder: Path, number: int) -> Path:
    """Where the marker of a part is."""
    return folder / "doing" / f"{number:06d}"


def read_marker(folder: Path, number: int) -> str:
    """What was done last with a part: "read 17"; "" when nothing was."""
    try:
        return marker_path(folder, number).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class Writer:
    """Encodes batches and keeps them as a part: grids, rows, caption vectors, pictures, and the tally."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        self._folder, self._backend = folder, backend
        self._grids, self._captions = list[CodeArray](), list[FloatArray]()
        self._rows = (folder / "rows.jsonl").open("w", encoding="utf-8")
        self._pictures = (folder / "pictures.bin").open("wb")
        self._lengths = list[int]()
        self._hashes = list[bytes]()
        self.tally = Tally()

    def __enter__(self) -> Writer:
        return self

    def add(self, batch: list[Taken]) -> None:
        """Encode some pictures together, and write them."""
        self._grids.append(self._backend.encode_images(np.stack([taken.pixels for taken in batch])))
        if self._backend.caption_encoder:
            vectors = self._backend.embed_captions([taken.row.info.caption for taken in batch])
            self._captions.append(vectors.astype(np.float16))
        for taken in batch:
            kept = Kept(taken.name, taken.row, taken.said.origin, taken.said.whole, taken.stretched)
            self._rows.write(json.dumps(asdict(kept)) + "\n")
            self._pictures.write(taken.picture)
            self._lengths.append(len(taken.picture))
            self._hashes.append(bytes.fromhex(taken.row.sha256))
            self.tally.take(taken)

    def __exit__(self, kind: object, *_: object) -> None:
        self._rows.close()
        self._pictures.close()
        if kind is not None:
            return
        if self._grids:
            np.save(self._folder / "grids.npy", np.concatenate(self._grids).astype("<u2"), allow_pickle=False)
            if self._captions:
                np.save(self._folder / "captions.npy", np.concatenate(self._captions), allow_pickle=False)
        np.save(self._folder / "lengths.npy", np.array(self._lengths, "<i8"), allow_pickle=False)
        hashes = np.frombuffer(b"".join(self._hashes), np.uint8).reshape(-1, 32)
        np.save(self._folder / "hashes.npy", hashes, allow_pickle=False)
        replace_file(self._folder / "tally.json", lambda file: file.write(json_bytes(asdict(self.tally))))


def read_tally(place: Path) -> Tally:
    """What happened to the pictures of a part."""
    values = read_json(place / "tally.json")
    pairs = {name: [tuple(each) for each in values[name]] for name in ("skipped", "duplicates")}
    return Tally(**{**values, **pairs})


def read_kept(place: Path) -> Iterator[Kept]:
    """What is kept of every picture of a part."""
    with (place / "rows.jsonl").open(encoding="utf-8") as file:
        for line in file:
            values = json.loads(line)
            row = values["row"]
            yield Kept(**{**values, "row": ImageRow(**{**row, "info": ImageInfo(**row["info"])})})


def kind_of_value(value: Value | None) -> str:
    """The kind of column that a value needs."""
    if isinstance(value, bool):
        return "truth"
    return "whole" if isinstance(value, int) else "number" if isinstance(value, float) else "text"


def wider(kind: str | None, other: str) -> str:
    """The kind of column that holds values of two kinds."""
    if kind is None or kind == other:
        return other
    return "number" if {kind, other} == {"whole", "number"} else "text"


def fitted(value: Value | None, kind: str) -> Value | None:
    """A value as a column of some kind holds it; None where it cannot."""
    if value is None:
        return None
    if kind == "text":
        return value if isinstance(value, str) else json.dumps(value)
    if kind == "number":
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return value if kind_of_value(value) == kind else None


def _named(name: str, message: str) -> str:
    """A sentence about a picture, which says its name once."""
    return message if message.startswith(name) else f"{name}: {message}"
