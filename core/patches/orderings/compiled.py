"""Functions that numba compiles, when the module that holds them is imported, for all threads at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*signatures: Any) -> Callable[[Function], Function]:
    """Compile for these signatures now, and keep the machine code in a file where there is a place for it.

    The place is beside the module, else a folder of the user's own (numba looks for both; NUMBA_CACHE_DIR names
    another one). Where none can be written, each process compiles for itself. Other threads run while it runs.
    """

    def compile_now(function: Function) -> Function:
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
        try:
            made = numba.njit(list(signatures) or None, cache=True, **options)(function)
        except (RuntimeError, OSError):  # RuntimeError: numba found no folder for it; OSError: the disk is full
            made = numba.njit(list(signatures) or None, **options)(function)
        return cast(Function, made)

    return compile_now
