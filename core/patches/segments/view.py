"""Which images of a database a view holds: all of some segments, a few by their numbers, or many by a mark each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...types import IntArray

NARROW: Final = 65_536
"""Entries of a view up to which it is searched by itself, one after the other; larger ones mark their images."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class View:
    """Some of `total` images: numbers, ascending, or marks [total]; neither for all of them."""

    total: int
    numbers: IntArray | None = None
    marks: BoolArray | None = None

    def __len__(self) -> int:
        """How many images."""
        if self.numbers is not None:
            return len(self.numbers)
        return self.total if self.marks is None else int(np.count_nonzero(self.marks))

    @property
    def whole(self) -> bool:
        """Whether it has all of them."""
        return self.numbers is None and self.marks is None

    @property
    def images(self) -> IntArray:
        """Their numbers, ascending."""
        if self.numbers is not None:
            return self.numbers
        return np.arange(self.total) if self.marks is None else np.flatnonzero(self.marks)

    def holds(self, images: IntArray) -> BoolArray:
        """Which of some images it has."""
        inside = (images >= 0) & (images < self.total)
        if self.numbers is not None:
            return np.isin(images, self.numbers)
        if self.marks is not None:
            inside[inside] = self.marks[images[inside]]
        return inside

    def rows(self, first: int, last: int) -> IntArray | slice:
        """Those of images first..last - 1, counted from the first one."""
        if self.numbers is not None:
            low, high = np.searchsorted(self.numbers, [first, last])
            return self.numbers[low:high] - first
        if self.marks is None:
            return slice(0, last - first)
        return np.flatnonzero(self.marks[first:last])

    def allowed(self, first: int, last: int) -> BoolArray | None:
        """Marks of images first..last - 1, None where it has all of them."""
        if self.numbers is not None:
            marks = np.zeros(last - first, bool)
            marks[self.rows(first, last)] = True
            return marks
        return None if self.marks is None or self.marks[first:last].all() else self.marks[first:last]

    def fingerprint(self, whole: str) -> str:
        """Hash of that of the whole database and of the images; that of the whole where it has all of them."""
        if self.marks is not None:
            chosen = np.packbits(self.marks).tobytes()
        elif self.numbers is not None:
            chosen = self.numbers.astype("<i8").tobytes()
        else:
            return whole
        return hashlib.sha256(f"{whole} {len(self)} ".encode() + chosen).hexdigest()[:16]


def view_of(marks: BoolArray, positions: int) -> View:
    """The view of marked images of P positions each; one of the same images is always of the same form."""
    count = int(np.count_nonzero(marks))
    if count == len(marks):
        return View(len(marks))
    if count * positions <= NARROW:
        return View(len(marks), numbers=np.flatnonzero(marks))
    return View(len(marks), marks=marks)


def view_of_numbers(numbers: IntArray, total: int, positions: int) -> View:
    """The same for images by their numbers, ascending and each once."""
    if len(numbers) * positions <= NARROW and len(numbers) < total:
        return View(total, numbers=numbers)
    marks = np.zeros(total, bool)
    marks[numbers] = True
    return view_of(marks, positions)
