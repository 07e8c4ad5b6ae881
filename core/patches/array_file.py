"""A .npy file whose length is known only when all of it is written."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt


class ArrayFile:
    """A .npy file that grows along its first axis; `shape` is that of one row.

    Its header says how many rows there are once it is closed; as a context manager it closes at the end.
    """

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...] = ()) -> None:
        self._file, self._dtype, self._shape, self._count = path.open("wb"), np.dtype(dtype), shape, 0
        self._header()

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        """Rows so far."""
        return self._count

    def append(self, values: npt.NDArray[Any]) -> None:
        """Write more of it."""
        self._file.write(np.ascontiguousarray(values, self._dtype).data)
        self._count += len(values)

    def close(self) -> None:
        """Say how many there are; numpy leaves room for that."""
        self._file.seek(0)
        self._header()
        self._file.close()

    def _header(self) -> None:
        described = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, described)
