"""Arrays of databases, mapped from .npy files that are checked first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..types import DatabaseError

LONGEST_REASON: Final = 160


def open_array(path: Path, owner: str, remedy: str) -> npt.NDArray[Any]:
    """Memory map of a .npy file; DatabaseError for anything else, also when its size is not what its header says.

    owner: what the file is a part of; remedy: what to do about a damaged one. Never unpickles. A mapped file must not
    be changed in place: reading what was cut off ends the process.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # reads nothing but .npy
        size = path.stat().st_size
    except Exception as error:  # numpy parses the header as a Python literal: a damaged one raises nearly anything
        raise unreadable(path, error, owner, remedy) from error
    if size != (expected := array.offset + array.nbytes):
        raise DatabaseError(f"{path}: got {size} bytes, expected {expected} as its header says; {remedy}")
    return np.asarray(array)


def unreadable(path: Path, error: BaseException, owner: str, remedy: str) -> DatabaseError:
    """One line about a file that is missing, closed to this user, or damaged."""
    if isinstance(error, PermissionError):
        return DatabaseError(f"{path}: cannot be read (permission denied); let the user of this process read it")
    if isinstance(error, FileNotFoundError):
        return DatabaseError(f"{path}: got no such file, expected a part of a {owner}; {remedy}")
    if isinstance(error, OSError) and error.strerror:
        return DatabaseError(f"{path}: cannot be read ({error.strerror}); {remedy}")
    reason = str(error).split("\n")[0][:LONGEST_REASON] or type(error).__name__
    return DatabaseError(f"{path}: got {reason}, expected a part of a {owner}; {remedy}")
