"""One hash for each image, whose sum does not depend on how images are cut into segments, and is added to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ...types import CodeArray
from ..protocol import ImageInfo
from ..store import Float16Array
from .manifest import MODULUS


def sum_of(first: int, grids: CodeArray, infos: Sequence[ImageInfo], captions: Float16Array | None) -> int:
    """Sum modulo 2^256 of the hashes of images first, first + 1, ...: number, token grid, caption vector, and words."""
    codes = grids.astype("<u2", copy=False)
    total = 0
    for place, info in enumerate(infos):
        digest = hashlib.sha256((first + place).to_bytes(8, "little"))
        digest.update(codes[place].tobytes())
        if captions is not None:
            digest.update(captions[place].astype("<f2", copy=False).tobytes())
        digest.update(json.dumps([info.caption, info.style, info.concept, info.source]).encode())
        total += int.from_bytes(digest.digest(), "big")
    return total % MODULUS
