"""The manifest of a version 2 database: what its segments share, and which they are. All of it is checked when read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from ...context import Context, retrieving_positions
from ...types import ConfigError, DatabaseError, Grid
from ..files import FORMAT, MANIFEST, is_unicode, json_bytes, read_json, replace_file
from .ties import LARGEST_SEGMENT

VERSION: Final = 2
SEGMENTS: Final = "segments"
COLUMN_KINDS: Final = ("text", "whole", "number", "truth")
"""What an extra column of the image table may hold; each may be missing for an image."""
NO_STYLE: Final = 0xFFFF
MOST_STYLES: Final = NO_STYLE
MODULUS: Final = 2**256

_SEGMENT_NAME: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_FILE_NAME: Final = re.compile(r"(?:index/|pictures/)?[0-9A-Za-z_-]{1,64}\.(?:npy|bin|parquet)")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_KIND: Final = re.compile(r"[a-z]{1,32}")


@dataclass(frozen=True, slots=True)
class Header:
    """What all segments of a database share.

    codebook: its fingerprint; captions: dimension of the caption vectors, None without them; caption_encoder: hash of
    what made them, "" when that is not known; pictures: whether images have theirs; columns: extra columns of the image
    table, each with one of COLUMN_KINDS.
    """

    codebook: str
    grid: Grid
    context: Context = field(default_factory=Context)
    captions: int | None = None
    caption_encoder: str = ""
    pictures: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def positions(self) -> int:
        """Number P of entries that an image has."""
        return len(retrieving_positions(self.context, self.grid))


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size in bytes and SHA-256 of a file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """What the manifest says of a segment.

    sum: 64 hexadecimal digits, its part of the fingerprint; index: the kind of its index; files: by their name in the
    folder of the segment.
    """

    name: str
    images: int
    sum: str
    index: str
    files: Mapping[str, FileRecord]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole database: styles with how many images have them, by number; index: "auto" or the kind that was asked for.

    tuned: what `database tune` measured, empty before.
    """

    header: Header
    segments: tuple[SegmentRecord, ...]
    styles: tuple[tuple[str, int], ...] = ()
    index: str = "auto"
    tuned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Number N of images in all segments."""
        return sum(segment.images for segment in self.segments)

    @property
    def entries(self) -> int:
        """Number of entries in all segments."""
        return self.images * self.header.positions

    @property
    def fingerprint(self) -> str:
        """Hash of everything that answers depend on, however the images are cut into segments; not of their pictures.

        Of the header, of the number of images, and of the sum modulo 2^256 of one SHA-256 for each image.
        """
        total = sum(int(segment.sum, 16) for segment in self.segments) % MODULUS
        h = self.header
        said = [h.codebook, asdict(h.grid), asdict(h.context), h.captions, h.caption_encoder, self.images]
        return hashlib.sha256(f"{json.dumps(said)} {total:064x}".encode()).hexdigest()[:16]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a folder in one step; whoever has the database open goes on with what it opened."""
    for name in (name for segment in manifest.segments for name in segment.files):
        if not _FILE_NAME.fullmatch(name):
            raise DatabaseError(f"{folder}: got file {name!r:.80}, which no manifest may name; give it a plain name")
    h = manifest.header
    values = {
        "format": FORMAT,
        "version": VERSION,
        "codebook": h.codebook,
        "grid": [h.grid.height, h.grid.width],
        "context": asdict(h.context),
        "images": manifest.images,
        "entries": manifest.entries,
        "captions": h.captions,
        "caption_encoder": h.caption_encoder,
        "pictures": h.pictures,
        "columns": dict(h.columns),
        "styles": [list(pair) for pair in manifest.styles],
        "index": manifest.index,
        "tuned": dict(manifest.tuned),
        "fingerprint": manifest.fingerprint,
        "segments": [asdict(segment) for segment in manifest.segments],
    }
    try:
        replace_file(folder / MANIFEST, lambda file: file.write(json_bytes(values)))
    except OSError as error:
        raise DatabaseError(f"{folder}: got {error}, expected a folder that can be written") from error


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder; DatabaseError unless it is of this version and agrees with itself."""
    path = folder / MANIFEST
    values = read_json(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DatabaseError(f"{path}: got something else, expected the manifest of a patch database")
    if values.get("version") != VERSION:
        got = f"got version {values.get('version')!r:.40}, expected 1 or {VERSION}"
        raise DatabaseError(f"{path}: {got}; it is from a later release: update the program, or build it again")
    for name, valid, expected in _CHECKS:
        if name not in values or not valid(values[name]):
            raise DatabaseError(f"{path}: got {name} {values.get(name)!r:.80}, expected {expected}; copy it again")
    manifest = Manifest(
        header=_header(path, values),
        segments=tuple(_segment(path, segment) for segment in values["segments"]),
        styles=tuple((str(name), int(count)) for name, count in values["styles"]),
        index=values["index"],
        tuned=values["tuned"],
    )
    _check_sums(path, manifest, values)
    return manifest


def needed_files(header: Header) -> tuple[str, ...]:
    """Files that every segment must have, besides those of its index and the shards of pictures."""
    captions = () if header.captions is None else ("captions.npy",)
    return ("grids.npy", "images.parquet", "styles.npy", *captions, *(("pictures.npy",) if header.pictures else ()))


def is_count(value: object, least: int = 1) -> bool:
    """Whether a JSON value is a whole number that an array may have."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**48


def _is_text(value: object) -> bool:
    return isinstance(value, str) and is_unicode(value)


def _is_columns(value: object) -> bool:
    return isinstance(value, dict) and all(_is_text(n) and n and kind in COLUMN_KINDS for n, kind in value.items())


def _is_styles(value: object) -> bool:
    """Whether a JSON value is a list of [name, count] with no name twice."""
    if not isinstance(value, list) or len(value) > MOST_STYLES:
        return False
    pairs = all(isinstance(p, list) and len(p) == 2 and _is_text(p[0]) and is_count(p[1], 0) for p in value)
    return pairs and len({pair[0] for pair in value}) == len(value)


def _is_grid(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_count, value)) and value[0] * value[1] <= 65536


_CHECKS: Final[Sequence[tuple[str, Callable[[Any], bool], str]]] = (
    ("codebook", lambda v: isinstance(v, str) and 0 < len(v) <= 64, "a fingerprint"),
    ("grid", _is_grid, "[height, width] of at most 65,536 codes"),
    ("context", lambda v: isinstance(v, dict) and set(v) == {"radius", "border"}, "a radius and a border"),
    ("images", is_count, "a number from 1 on"),
    ("entries", is_count, "a number from 1 on"),
    ("captions", lambda v: v is None or (is_count(v) and v <= 65536), "null or a dimension"),
    ("caption_encoder", lambda v: isinstance(v, str) and len(v) <= 64, "a fingerprint or nothing"),
    ("pictures", lambda v: isinstance(v, bool), "true or false"),
    ("columns", _is_columns, f"names, each with one of {', '.join(COLUMN_KINDS)}"),
    ("styles", _is_styles, "a list of [name, number of images]"),
    ("index", lambda v: isinstance(v, str) and _KIND.fullmatch(v) is not None, "auto or a kind of index"),
    ("tuned", lambda v: isinstance(v, dict), "what tune measured"),
    ("fingerprint", lambda v: isinstance(v, str), "a fingerprint"),
    ("segments", lambda v: isinstance(v, list) and 0 < len(v) <= 65536, "a list of segments"),
)


def _header(path: Path, values: Mapping[str, Any]) -> Header:
    """The header, given checked values; DatabaseError for a context that there is not."""
    try:
        context = Context(**values["context"])
    except ConfigError as error:
        raise DatabaseError(f"{path}: {error}; copy it again") from error
    grid = Grid(*values["grid"])
    shared = {name: values[name] for name in ("codebook", "captions", "caption_encoder", "pictures", "columns")}
    header = Header(grid=grid, context=context, **shared)
    if header.positions == 0:
        raise DatabaseError(f"{path}: got grid {grid.height} x {grid.width}, which has no position with a context")
    return header


def _segment(path: Path, value: Any) -> SegmentRecord:
    """One segment as the manifest names it; DatabaseError for what does not fit, also for names that lead elsewhere."""
    fits = isinstance(value, dict) and set(value) == {"name", "images", "sum", "index", "files"}
    if not fits or not isinstance(value["name"], str) or not _SEGMENT_NAME.fullmatch(value["name"]):
        got = value.get("name") if isinstance(value, dict) else value
        raise DatabaseError(f"{path}: got segment {got!r:.80}, expected a plain name, images, sum, index and files")
    texts = isinstance(value["sum"], str) and isinstance(value["index"], str)
    if not (texts and is_count(value["images"]) and _HEX.fullmatch(value["sum"]) and _KIND.fullmatch(value["index"])):
        raise DatabaseError(f"{path}: segment {value['name']}: got images, sum or index that are none; copy it again")
    if not isinstance(value["files"], dict):
        raise DatabaseError(f"{path}: segment {value['name']}: got files {value['files']!r:.40}, expected names")
    files = {name: _file(path, name, record) for name, record in value["files"].items()}
    return SegmentRecord(value["name"], value["images"], value["sum"], value["index"], files)


def _file(path: Path, name: str, value: Any) -> FileRecord:
    """Size and hash of one file of a segment."""
    if not _FILE_NAME.fullmatch(name):
        raise DatabaseError(f"{path}: got file {name!r:.80}, expected a name within its segment; copy it again")
    fits = isinstance(value, dict) and set(value) == {"size", "sha256"} and isinstance(value["sha256"], str)
    if not fits or not is_count(value["size"], 0) or not _HEX.fullmatch(value["sha256"]):
        raise DatabaseError(f"{path}: got {value!r:.80} for file {name}, expected size and sha256; copy it again")
    return FileRecord(value["size"], value["sha256"])


def _check_sums(path: Path, manifest: Manifest, values: Mapping[str, Any]) -> None:
    """DatabaseError unless the numbers of a manifest agree with each other."""
    for segment in manifest.segments:
        if segment.images * manifest.header.positions > LARGEST_SEGMENT:
            raise DatabaseError(f"{path}: segment {segment.name}: got more than 2^32 entries; build it again")
        if missing := set(needed_files(manifest.header)) - set(segment.files):
            raise DatabaseError(f"{path}: segment {segment.name}: got no {min(missing)}; build it again")
    if len({segment.name for segment in manifest.segments}) < len(manifest.segments):
        raise DatabaseError(f"{path}: got two segments of one name; build it again")
    for name in ("images", "entries", "fingerprint"):
        if values[name] != (made := getattr(manifest, name)):
            got = f"got {name} {values[name]!r:.40}, but its segments make {made}"
            raise DatabaseError(f"{path}: {got}; copy the manifest again")
    if sum(count for _, count in manifest.styles) > manifest.images:
        raise DatabaseError(f"{path}: got styles of more images than there are; copy the manifest again")
