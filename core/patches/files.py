"""A database as a folder: written file by file, checked and memory-mapped when it is opened."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..context import Context
from ..inputs.arrays import open_array, unreadable
from ..types import ConfigError, DatabaseError, IntArray
from .protocol import ImageInfo
from .store import ByteArray, Store, make_store

FORMAT: Final = "ar-rag-loupe patch database"
VERSION: Final = 1
OWNER: Final = "patch database"
REMEDY: Final = "copy it again"
MANIFEST: Final = "manifest.json"

_LARGEST_JSON: Final = 64 << 20


def read_folder(folder: Path, codebook: Codebook) -> Store:
    """What a folder holds, memory-mapped; DatabaseError when damaged, of another version or another codebook."""
    manifest = _read_manifest(folder, codebook)

    def place(name: str) -> Path:
        return folder / manifest.files.get(name, name)

    grids = _read_array(place("grids.npy"), np.dtype("<u2"), (manifest.images, *manifest.grid))
    captions, pictures, offsets = None, None, np.zeros(manifest.images + 1, np.int64)
    if manifest.captions is not None:
        captions = _read_array(place("captions.npy"), np.dtype("<f2"), (manifest.images, manifest.captions))
    if manifest.pictures:
        offsets = _read_array(place("picture_offsets.npy"), np.dtype("<i8"), (manifest.images + 1,))
        pictures = _read_bytes(place("pictures.bin"))
    metadata = _read_metadata(place("images.json"))
    named = manifest.caption_encoder
    store = make_store(codebook, manifest.context, grids, metadata, captions, named, pictures, offsets)
    if manifest.entries != store.context_of.size:
        got = f"got {manifest.entries} entries, expected {store.context_of.size}"
        raise DatabaseError(f"{folder / 'manifest.json'}: {got}; build it again")
    return store


def write_folder(folder: Path, store: Store, images: IntArray) -> None:
    """Write some images of a store as a database of their own; DatabaseError for a folder that cannot be written.

    The manifest comes last: a folder without it is no database.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = {name: _write(folder / name, fill) for name, fill in _contents(store, images)}
        moved = {name: written for name, written in files.items() if name != written}
        manifest = asdict(_manifest_of(store, len(images))) | {"files": moved}
        if not moved:
            del manifest["files"]
        replace_file(folder / MANIFEST, lambda file: file.write(json_bytes(manifest)))
    except OSError as error:
        raise DatabaseError(f"{folder}: got {error}, expected a folder that can be written") from error


def _contents(store: Store, images: IntArray) -> Iterator[tuple[str, Callable[[IO[bytes]], object]]]:
    """Names of the files of a database, and what writes each of them."""
    yield "grids.npy", lambda file: _save_array(file, store.grids[images])
    rows = [asdict(store.metadata[i]) for i in images]
    yield "images.json", lambda file: file.write(json_bytes(rows))
    if store.captions is not None:
        captions = store.captions[images]
        yield "captions.npy", lambda file: _save_array(file, captions)
    if store.pictures is not None:
        pictures = [store.picture(int(i)) or b"" for i in images]
        offsets = np.cumsum([0, *map(len, pictures)], dtype=np.int64)
        yield "pictures.bin", lambda file: file.writelines(pictures)
        yield "picture_offsets.npy", lambda file: _save_array(file, offsets)


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The content of manifest.json; captions is the dimension of the caption vectors, None without them.

    caption_encoder may be missing: then it is not known. files: where a file is that has another name than usual.
    """

    format: str
    version: int
    codebook: str
    grid: tuple[int, int]
    context: Context
    images: int
    entries: int
    captions: int | None
    pictures: bool
    caption_encoder: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def _manifest_of(store: Store, images: int) -> _Manifest:
    """Manifest of a database of that many images of a store."""
    return _Manifest(
        format=FORMAT,
        version=VERSION,
        codebook=store.codebook.fingerprint,
        grid=(store.grid.height, store.grid.width),
        context=store.context,
        images=images,
        entries=images * len(store.positions),
        captions=None if store.captions is None else store.captions.shape[1],
        pictures=store.pictures is not None,
        caption_encoder=store.caption_encoder,
    )


def _write(path: Path, fill: Callable[[IO[bytes]], object]) -> str:
    """Write a file in a way that leaves an open memory map the old one; returns the name that it has.

    Windows refuses to replace a file that is mapped: then it gets a new name.
    """
    try:
        replace_file(path, fill)
    except PermissionError:
        if not path.exists():
            raise
    else:
        return path.name
    names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    other = next(name for name in names if not name.exists())
    replace_file(other, fill)
    return other.name


def replace_file(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place and move it there."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            fill(file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _save_array(file: IO[bytes], array: npt.NDArray[Any]) -> None:
    """Write a .npy file, little-endian, without pickle."""
    np.save(file, np.ascontiguousarray(array, array.dtype.newbyteorder("<")), allow_pickle=False)


def json_bytes(value: object) -> bytes:
    """JSON that stays readable in a diff."""
    return (json.dumps(value, indent=1) + "\n").encode()


_MANIFEST_CHECKS: Final[tuple[tuple[str, Callable[[Any], bool], str], ...]] = (
    ("codebook", lambda v: isinstance(v, str), "a fingerprint"),
    ("grid", lambda v: isinstance(v, list) and len(v) == 2 and all(map(is_count, v)), "[height, width]"),
    ("context", lambda v: isinstance(v, dict) and set(v) == {"radius", "border"}, "a radius and a border"),
    ("images", lambda v: is_count(v), "a number from 1 on"),
    ("entries", lambda v: is_count(v), "a number from 1 on"),
    ("captions", lambda v: v is None or is_count(v), "null or a dimension"),
    ("pictures", lambda v: isinstance(v, bool), "true or false"),
    ("caption_encoder", lambda v: isinstance(v, str), "a fingerprint"),
    ("files", lambda v: isinstance(v, dict) and all(map(_is_file_name, v.values())), "names of files in its folder"),
)


def _is_file_name(value: object) -> bool:
    """Whether a JSON value is a plain name, which leads to no other folder."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]+\.[a-z]+", value) is not None


def is_count(value: object) -> bool:
    """Whether a JSON value is a whole number from 1 to what an array can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31


def _read_manifest(folder: Path, codebook: Codebook) -> _Manifest:
    """The manifest of a database folder; DatabaseError unless it is of this version and this codebook."""
    path = folder / MANIFEST
    values = read_json(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DatabaseError(f"{path}: got something else, expected the manifest of a patch database")
    if values.get("version") != VERSION:
        raise DatabaseError(
            f"{path}: got version {values.get('version')!r:.40}, expected {VERSION} or 2; build it again"
        )
    values.setdefault("caption_encoder", "")
    values.setdefault("files", {})
    for name, valid, expected in _MANIFEST_CHECKS:
        if not valid(values.get(name)):
            raise DatabaseError(f"{path}: got {name} {values.get(name)!r:.80}, expected {expected}; build it again")
    if values["codebook"] != codebook.fingerprint:
        got = f"got a database of codebook {values['codebook']!r:.80}, expected {codebook.fingerprint}"
        raise DatabaseError(f"{path}: {got}; build it with the tokenizer of this model")
    try:
        context = Context(**values["context"])
    except ConfigError as error:
        raise DatabaseError(f"{path}: {error}; build it again") from error
    known = {f.name: values[f.name] for f in fields(_Manifest)}
    return _Manifest(**known | {"grid": tuple(values["grid"]), "context": context})


def _read_metadata(path: Path) -> tuple[ImageInfo, ...]:
    """Metadata of all images; DatabaseError unless every one has exactly the fields of ImageInfo, as text."""
    rows = read_json(path)
    names = {f.name for f in fields(ImageInfo)}
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) == names for row in rows):
        raise DatabaseError(f"{path}: got something else, expected a list of objects with {', '.join(sorted(names))}")
    for number, row in enumerate(rows):
        if not all(isinstance(value, str) and is_unicode(value) for value in row.values()):
            raise DatabaseError(f"{path}: got a value that is not text for image {number}, expected text only")
    return tuple(ImageInfo(**row) for row in rows)


def is_unicode(text: str) -> bool:
    """Whether a text can be written again: JSON may smuggle in lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def read_json(path: Path) -> Any:
    """Content of a JSON file; DatabaseError when it is missing, too large, or not JSON."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise DatabaseError(f"{path}: got more than {_LARGEST_JSON >> 20} MB, expected a small file")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error


def _read_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """Memory map of a .npy file; DatabaseError unless it has exactly that type and shape."""
    array = open_array(path, OWNER, REMEDY)
    if array.dtype != dtype or array.shape != shape:
        raise DatabaseError(f"{path}: got {array.dtype} {array.shape}, expected {dtype} {shape}; build it again")
    return array


def _read_bytes(path: Path) -> ByteArray:
    """Memory map of a file's bytes; DatabaseError when it cannot be read."""
    try:
        empty = path.stat().st_size == 0
        return np.zeros(0, np.uint8) if empty else np.asarray(np.memmap(path, np.uint8, mode="r"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> DatabaseError:
    """One line about a file that is missing or damaged."""
    return unreadable(path, error, OWNER, REMEDY)
