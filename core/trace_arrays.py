"""The arrays of a trace file: one table of their types, shapes and ranges, and what checks them against it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from .types import TraceError

Arrays = dict[str, npt.NDArray[Any]]

Sizes = dict[str, int]
"""Lengths of arrays and ends of ranges, by the names that ARRAYS gives them."""


@dataclass(frozen=True, slots=True)
class Form:
    """How an array of a file has to be.

    shape: lengths, or their names in the `Sizes` of a trace; low, high: the range of its numbers, None for no end; from
    -inf on are logits, where -inf excludes a code and some code is left. since: the first version of files with it.
    """

    dtype: str
    shape: tuple[str | int, ...]
    low: float
    high: float | str | None
    since: int = 2


ARRAYS: Mapping[str, Form] = {
    "logits": Form("<f4", ("steps", "codes"), -inf, None),
    "u": Form("<f8", ("uniforms",), 0, 1),
    "codes": Form("<i4", ("steps",), 0, "last code"),
    "seconds": Form("<f4", ("steps", 3), 0, 1e9),
    "queries": Form("<i4", ("steps", "context"), -1, "last code"),
    "counts": Form("<i4", ("steps",), 0, None),
    "neighbour_codes": Form("<i4", ("found",), 0, "last code"),
    "neighbour_distances": Form("<f4", ("found",), 0, None),
    "neighbour_entries": Form("<i8", ("found",), 0, None),
    "source_codes": Form("<u2", ("sources", "height", "width"), 0, "last code"),
    "faid_compatibility": Form("<f4", ("blended", "layers", "features"), 0, 1),
    "faid_hop_weights": Form("<f4", ("blended", "layers", "hops"), 0, 1),
    "faid_share": Form("<f4", ("blended", "layers"), 0, None),
    "faid_start_cosine": Form("<f4", ("blended", "layers", "features"), -1.001, 1.001),
    "faid_code_cosine": Form("<f4", ("blended", "layers", "features"), -1.001, 1.001),
    "faid_layers": Form("<i4", ("layers",), 0, None),
    "faid_hops": Form("<i4", ("hops",), 1, 3),
    "faid_present": Form("<i4", ("blended",), 0, "features"),
    "faid_unblended": Form("<f4", ("recorded", "codes"), -inf, None),
    "faid_blank": Form("<f4", ("blank", "blank codes"), -inf, None, since=4),
    "follow_candidates": Form("<i4", ("followed",), 0, None, since=4),
    "follow_way": Form("<i4", ("followed",), 0, "last way", since=4),
    "inside_attention": Form("<f2", ("inside layers", "inside heads", "steps", "inside keys"), 0, 1.001, since=4),
    "inside_codes": Form("<u2", ("inside stages", "steps", "inside likeliest"), 0, "last code", since=4),
    "inside_chances": Form("<f4", ("inside stages", "steps", "inside likeliest"), 0, 1.001, since=4),
    "inside_taken": Form("<f4", ("inside stages", "steps"), 0, 1.001, since=4),
}
"""All arrays of a file; those of FAiD are empty in each direction without it, and those of following and of the inside
of the model are not in a file that does not say that it has them. What is near the end of a range may be rounded over
it."""

FAID = tuple(name for name in ARRAYS if name.startswith("faid_"))
FOLLOW = tuple(name for name in ARRAYS if name.startswith("follow_"))
INSIDE = tuple(name for name in ARRAYS if name.startswith("inside_"))


def empty_arrays(names: Iterable[str]) -> Arrays:
    """Arrays without any numbers, as they are where nothing was recorded."""
    return {name: np.zeros((0,) * len(ARRAYS[name].shape), ARRAYS[name].dtype) for name in names}


def read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """One array, after its header was compared with the size of the member."""
    data = archive.read(f"{name}.npy")
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise TraceError(f"{name}: got npy version {version}, expected (1, 0)")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    expected = np.dtype(ARRAYS[name].dtype)
    if dtype != expected or int(np.prod(shape, dtype=object)) * expected.itemsize != len(data) - file.tell():
        raise TraceError(f"{name}: got {dtype} {shape}, expected {expected} of the member's size")
    array: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def check_arrays(arrays: Arrays, sizes: Sizes) -> None:
    """TraceError unless every array has its shape, and every number is finite and lies in its range."""
    for name, form in ARRAYS.items():
        shape = tuple(sizes[length] if isinstance(length, str) else length for length in form.shape)
        if (name in FAID and not sizes["blended"]) or (name in INSIDE and not sizes["inside stages"]):
            shape = (0,) * len(shape)
        if arrays[name].shape != shape:
            raise TraceError(f"{name}: got shape {arrays[name].shape}, expected {shape}")
    for name, form in ARRAYS.items():
        high = sizes[form.high] if isinstance(form.high, str) else form.high
        values = arrays[name]
        if form.low == -inf:
            if not np.isfinite(values.max(axis=-1, initial=-inf)).all():
                raise TraceError(f"{name}: got a number that is none, or no finite maximum, expected finite logits")
        elif not (np.isfinite(values) & (values >= form.low) & (values <= (inf if high is None else high))).all():
            raise TraceError(f"{name}: got a value outside of {form.low}..{high}, or one that is not finite")
