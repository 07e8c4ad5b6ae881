"""Where the machine code of the search is, and what to do where numba is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from ...types import DatabaseError, FloatArray, IntArray

INSTALL: Final = "pip install -r requirements-scale.txt"


def is_there() -> bool:
    """Whether numba is installed; it is not imported for that."""
    return find_spec("numba") is not None


def distance_tables(vectors: FloatArray, query: IntArray) -> FloatArray:
    """As `index.distance_tables`, to the last bit, by machine code: for codebooks of thousands of codes."""
    tables: FloatArray = kernel().distance_tables(vectors, np.ascontiguousarray(query, np.int64))
    return tables


def kernel() -> Any:
    """The module `kernel`, compiled or read from where an earlier process kept it; the same for all threads.

    Raises DatabaseError, which says what to install, where numba is not there.
    """
    try:
        from . import kernel as module  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("numba", "llvmlite"):
            raise
        remedy = f"{INSTALL}, or build the index again as another kind"
        raise DatabaseError(
            f"index by orderings: got no Python package {error.name!r}, expected it; {remedy}"
        ) from None
    return module
