"""The files of an index by orderings, and their arrays, mapped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...inputs.arrays import open_array
from ...types import CodeArray, DatabaseError

ABOUT: Final = "about.npy"
FORMAT: Final = 1
REMEDY: Final = "build the index again"
OWNER: Final = "patch database"

Uint32Array = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class About:
    """What an index says of itself: E entries of P positions an image, U unique contexts, V codes, orderings (1, 2),
    and by how many cells the second codes of a row are told apart in its directory."""

    format: int
    entries: int
    positions: int
    contexts: int
    codes: int
    orderings: int
    cells: int

    def write(self, folder: Path) -> None:
        """Write its numbers, in their order."""
        np.save(folder / ABOUT, np.array(list(asdict(self).values()), "<i8"))

    @classmethod
    def read(cls, folder: Path) -> About:
        """Read and check it; DatabaseError for anything that is none."""
        path, count = folder / ABOUT, len(fields(cls))
        said = open_array(path, OWNER, REMEDY)
        if said.dtype != np.int64 or said.shape != (count,) or said.min() < 1:
            raise DatabaseError(f"{path}: got {said.dtype} {said.shape}, expected {count} whole numbers; {REMEDY}")
        about = cls(*said.tolist())
        if about.format != FORMAT or about.orderings > 2:
            got = f"got format {about.format} with {about.orderings} orderings"
            raise DatabaseError(f"{path}: {got}, expected format {FORMAT} with 1 or 2; {REMEDY}")
        return about


@dataclass(frozen=True, slots=True)
class Layout:
    """Arrays of an index. A context is known by its place in the first ordering, which is by (TL, TR, T, L).

    order: [V + 1] the codes in the order that they are stored by, V standing for a missing cell; first: [U, 3] TR, T, L
    of each context; first_starts: [(V + 1) * cells + 1] where the contexts of each TL and cell of TR begin; second,
    second_starts: the same by (T, L, TL, TR), empty for one ordering; starts: [U + 1] where the list of each context
    begins among the entries [E], which stand by tie rank in it, counted from the first entry of the segment.
    """

    about: About
    order: CodeArray
    first: CodeArray
    first_starts: Uint32Array
    second: CodeArray
    second_starts: Uint32Array
    starts: Uint32Array
    entries: Uint32Array

    @classmethod
    def open(cls, folder: Path) -> Layout:
        """Map the arrays; DatabaseError when one is missing, damaged, or of another size than the index says.

        Reads nothing but their headers, ends, and the order of the codes.
        """
        about = About.read(folder)
        rows, cells = about.contexts, (about.codes + 1) * about.cells + 1
        expected: dict[str, tuple[type, tuple[int, ...]]] = {
            "order": (np.uint16, (about.codes + 1,)),
            "first": (np.uint16, (rows, 3)),
            "first_starts": (np.uint32, (cells,)),
            "starts": (np.uint32, (rows + 1,)),
            "entries": (np.uint32, (about.entries,)),
        }
        if about.orderings == 2:
            expected |= {"second": expected["first"], "second_starts": expected["first_starts"]}
        found = {name: _open(folder / f"{name}.npy", *form) for name, form in expected.items()}
        without: dict[str, Any] = {"second": np.zeros((0, 3), np.uint16), "second_starts": np.zeros(0, np.uint32)}
        layout = cls(about, **(without | found))
        layout._check(folder)
        return layout

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(getattr(self, field.name).nbytes for field in fields(self) if field.name != "about")

    def _check(self, folder: Path) -> None:
        """DatabaseError unless the order holds every code once and offsets end where they must."""
        ends = [(self.starts, self.about.entries), (self.first_starts, self.about.contexts)]
        ends += [(self.second_starts, self.about.contexts)] if self.about.orderings == 2 else []
        whole = all(len(starts) and starts[0] == 0 and starts[-1] == end for starts, end in ends)
        if not whole or not np.array_equal(np.sort(self.order), np.arange(self.about.codes + 1)):
            raise DatabaseError(
                f"{folder}: got offsets that do not fit together, expected an index by orderings; {REMEDY}"
            )


def _open(path: Path, kind: type, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Map an array of a known form."""
    array = open_array(path, OWNER, REMEDY)
    if array.dtype != kind or array.shape != shape:
        got = f"got {array.dtype} {array.shape}"
        raise DatabaseError(f"{path}: {got}, expected {np.dtype(kind)} {shape}; {REMEDY}")
    return array
