"""What is sent between a database and who searches it: named arrays, as a safetensors file has them.

That is a length, a JSON header with dtype, shape and place of each array, and their bytes: no pickle, checked before
anything is allocated, and made and read in some 50 microseconds. Texts travel as JSON in an array of bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ...types import ConfigError, DatabaseError, IntArray, Neighbours
from ..store import read_only

PROTOCOL: Final = 1
"""Goes up when a client and a server of two versions would not understand each other."""

Arrays = Mapping[str, npt.NDArray[Any]]
Form = Mapping[str, tuple[str, int]]
"""Of every array its dtype, such as "<i8", and its number of dimensions."""

FOUND: Final[Form] = {
    "counts": ("<i8", 1), "codes": ("<u2", 1), "distances": ("<f4", 1), "entries": ("<i8", 1), "lost": ("<f8", 1),
}  # fmt: skip


class WireError(Exception):
    """What came is not of the form that was expected; the message says what is wrong with it."""


def pack(**arrays: npt.NDArray[Any]) -> bytes:
    """Named arrays as bytes, little-endian."""
    data: bytes = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return data


def unpack(data: bytes, form: Form) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a form; WireError for anything else."""
    try:
        arrays: dict[str, npt.NDArray[Any]] = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WireError(f"got no arrays ({' '.join(str(error).split())}), expected {', '.join(form)}") from None
    if set(arrays) != set(form):
        raise WireError(f"got arrays {', '.join(sorted(arrays)) or 'none'}, expected {', '.join(form)}")
    for name, (dtype, dimensions) in form.items():
        if arrays[name].dtype != np.dtype(dtype) or arrays[name].ndim != dimensions:
            got = f"got {arrays[name].dtype} {arrays[name].shape}"
            raise WireError(f"{name}: {got}, expected {np.dtype(dtype)} of {dimensions} dimensions")
    return arrays


def text_array(value: object) -> npt.NDArray[np.uint8]:
    """JSON as an array of bytes."""
    return np.frombuffer(json.dumps(value, ensure_ascii=True).encode(), np.uint8)


def text_of(array: npt.NDArray[Any]) -> Any:
    """What such an array says; WireError unless it is JSON."""
    try:
        return json.loads(array.tobytes())
    except (ValueError, RecursionError):
        raise WireError("got no JSON, expected some") from None


# ---------------------------------------------------------------------------------------------------------------------
# Answers of a search


def pack_found(found: Sequence[Neighbours]) -> bytes:
    """The neighbours of each of B queries."""
    none = Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))
    return pack(
        counts=np.array([len(near) for near in found], "<i8"),
        codes=np.concatenate([near.codes for near in [none, *found]]).astype("<u2"),
        distances=np.concatenate([near.distances for near in [none, *found]]).astype("<f4"),
        entries=np.concatenate([near.entries for near in [none, *found]]).astype("<i8"),
        lost=np.array([near.lost for near in found], "<f8"),
    )


def unpack_found(data: bytes, queries: int) -> list[Neighbours]:
    """The same for so many queries; WireError when counts do not fit."""
    arrays = unpack(data, FOUND)
    counts, lost = arrays["counts"], arrays["lost"]
    total = int(counts.sum()) if counts.size else 0
    sizes = {len(arrays[name]) for name in ("codes", "distances", "entries")}
    if len(counts) != queries or len(lost) != queries or (counts < 0).any() or sizes != {total}:
        raise WireError(f"counts: got answers to {len(counts)} queries, expected {queries}, each with its neighbours")
    ends = np.cumsum(counts)
    parts = [slice(end - count, end) for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]
    codes = arrays["codes"].astype(np.int64)
    distances, entries = arrays["distances"].astype(np.float32), arrays["entries"].astype(np.int64)
    return [
        Neighbours(read_only(codes[part]), read_only(distances[part]), read_only(entries[part]), lost=float(share))
        for part, share in zip(parts, lost.tolist(), strict=True)
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Views


def ranges_of(numbers: IntArray) -> IntArray:
    """Ascending numbers as ranges [M, 2] from the first to behind the last."""
    if not len(numbers):
        return np.zeros((0, 2), np.int64)
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    firsts, lasts = numbers[np.concatenate([[0], cuts])], numbers[np.concatenate([cuts - 1, [len(numbers) - 1]])]
    return np.stack([firsts, lasts + 1], axis=1).astype(np.int64)


def numbers_of(ranges: IntArray) -> IntArray:
    """The numbers of ranges [M, 2], one after the other."""
    sizes = ranges[:, 1] - ranges[:, 0]
    starts = np.repeat(ranges[:, 0] - np.cumsum(sizes) + sizes, sizes)
    return starts + np.arange(int(sizes.sum()))


@dataclass(frozen=True)
class Choice:
    """Which images of a database are meant: those of some ranges, None for all, and of these those in some styles.

    Every view of a database can be said so: images are numbered in the whole database, and the styles that were chosen
    last are among those that were chosen before.
    """

    ranges: tuple[tuple[int, int], ...] | None = None
    styles: tuple[str, ...] = ()

    @classmethod
    def of(cls, images: IntArray) -> Choice:
        """That of images by their numbers, ascending and each once."""
        return cls(tuple((first, end) for first, end in ranges_of(images).tolist()))

    @classmethod
    def read(cls, data: bytes) -> Choice:
        """From what `said` makes; WireError for anything else."""
        try:
            said = json.loads(data)
            ranges, styles = said["ranges"], said["styles"]
            if not isinstance(styles, list) or not all(isinstance(style, str) for style in styles):
                raise ValueError
            if ranges is None:
                return cls(None, tuple(styles))
            numbers = np.array(ranges, np.int64).reshape(-1, 2)
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            raise WireError("view: got something else, expected ranges of images, and styles") from None
        ends = numbers.ravel()
        if len(ends) and (ends[0] < 0 or (np.diff(ends) < 0).any() or (numbers[:, 0] == numbers[:, 1]).any()):
            raise WireError("view: got ranges that are empty or out of order, expected ascending ones")
        return cls(tuple((first, end) for first, end in numbers.tolist()), tuple(styles))

    @property
    def whole(self) -> bool:
        """Whether all images are meant."""
        return self.ranges is None and not self.styles

    @cached_property
    def said(self) -> bytes:
        """As JSON, always the same for the same choice."""
        return json.dumps({"ranges": self.ranges, "styles": self.styles}, separators=(",", ":")).encode()

    @cached_property
    def id(self) -> str:
        """What it is called by: its hash, "" for all images."""
        return "" if self.whole else hashlib.sha256(self.said).hexdigest()[:32]

    @property
    def images(self) -> IntArray | None:
        """Numbers of the images that the styles are looked for in, None for all."""
        return None if self.ranges is None else numbers_of(np.array(self.ranges, np.int64).reshape(-1, 2))

    def with_styles(self, styles: Sequence[str]) -> Choice:
        """Of these images those in some styles, which are among the styles chosen before, if there were any."""
        return replace(self, styles=tuple(styles))


# ---------------------------------------------------------------------------------------------------------------------
# Errors

KINDS: Final[Mapping[str, type[ConfigError] | type[DatabaseError]]] = {
    "ConfigError": ConfigError, "DatabaseError": DatabaseError,
}  # fmt: skip
"""Mistakes that a database tells, by the name that they are sent under: a client raises the same."""


class Refused(Exception):
    """A call that comes to nothing. status: that of HTTP; kind: one of KINDS for what the database says, "view" for a
    view that is not known here (any more), "" otherwise."""

    def __init__(self, status: int, reason: str, kind: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.kind = status, " ".join(reason.split()), kind
