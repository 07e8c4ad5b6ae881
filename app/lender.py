"""The package `spaces`, which lends GPUs on Hugging Face's ZeroGPU: whether it does here, and that it comes first."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec


def is_lent(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether GPUs are lent here; what counts as yes is what `spaces` takes for it."""
    return environment.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def come_first() -> None:
    """Import `spaces` where it is installed and lends: it must be there before anything asks torch for CUDA.

    Nothing but Python's own library may have been imported before. What goes wrong is told by `zerogpu.prepare`, which
    imports it again, where errors become a line. That Gradio has every handler ask for a GPU, which it does for those
    who want it once `spaces` is there, is switched off: models that draw on the CPU never ask.
    """
    if is_lent() and find_spec("spaces") is not None:
        os.environ.pop("SPACES_GRADIO_AUTO_WRAP", None)
        with suppress(Exception):
            importlib.import_module("spaces")
