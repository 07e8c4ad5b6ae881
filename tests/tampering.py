"""Trace files with something changed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Tampering = Callable[[dict[str, bytes]], None]
"""Changes the members of a file."""


def rewrite(path: Path, change: Tampering) -> Path:
    """The trace with some members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def with_meta(**changes: Any) -> Tampering:
    def change(members: dict[str, bytes]) -> None:
        members["meta.json"] = json.dumps({**json.loads(members["meta.json"]), **changes}).encode()

    return change


def with_array(name: str, make: Callable[[Any], Any]) -> Tampering:
    def change(members: dict[str, bytes]) -> None:
        array = np.load(io.BytesIO(members[f"{name}.npy"]), allow_pickle=False)
        file = io.BytesIO()
        np.save(file, make(array), allow_pickle=True)
        members[f"{name}.npy"] = file.getvalue()

    return change


def set_first(value: float) -> Callable[[Any], Any]:
    def make(array: Any) -> Any:
        array.reshape(-1)[0] = value
        return array

    return make


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
