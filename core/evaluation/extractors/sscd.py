"""SSCD, a descriptor for copies: Pizzi et al. 2022, arXiv 2202.10261; above a cosine of 0.75, 90 % are copies.

That precision is of `sscd_disc_mixup` on photographs (the authors' README). Its file is TorchScript: no pickle of
Python's, as torch reads it by a reader of its own that makes no Python objects, but a program all the same, which
torch's interpreter runs. It is loaded only where somebody names it, and only theirs should be.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torch import Tensor

from ...types import CheckpointError, FloatArray
from ..suite import Pixels
from .preparing import IMAGENET, digest, in_parts, resized

OPTION: Final = "sscd"
SIDE: Final = 288
COPY: Final = 0.75
"""Cosine from which on a picture is taken for a copy."""


@dataclass(frozen=True)
class Sscd:
    """See `Extractor`; make one with `load`."""

    name: str
    program: Any

    @classmethod
    def load(cls, path: str) -> Sscd:
        """From the TorchScript file; CheckpointError for one that cannot be read or gives no descriptors."""
        known = digest(Path(path), OPTION)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", DeprecationWarning
                )  # torch would have it exported; this is how it ships
                program = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
            found = cls(f"SSCD, SHA-256 {known[:12]}", program)
            shape = found._see(torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8).numpy()).shape
        except Exception as error:  # torch raises nearly anything for damaged files
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
            got = f"got {path!r:.200}, which does not work ({reason})"
            raise CheckpointError(f"{OPTION}: {got}; expected sscd_disc_mixup.torchscript.pt, fetch it again") from None
        if len(shape) != 2:
            got = f"got {path!r:.200}, which gives {tuple(shape)}"
            raise CheckpointError(f"{OPTION}: {got}, expected a descriptor a picture; take sscd_disc_mixup")
        return found

    def features(self, pictures: Pixels) -> FloatArray:
        """Unit vectors [N, D]."""
        return in_parts(self._see, pictures)

    def _see(self, pictures: Pixels) -> Tensor:
        found: Tensor = self.program(resized(pictures, SIDE, IMAGENET, Image.Resampling.BILINEAR))
        return torch.nn.functional.normalize(found.flatten(1), dim=1)
