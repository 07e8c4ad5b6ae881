"""How good what is retrieved for a real picture is: whether the true code is there, how near, and where anything is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..codebook import Codebook
from ..types import FloatArray, IntArray
from .likelihood import Found

KS: Final = (1, 4, 16, 64, 256)
"""K at which hits are counted, as far as so many are retrieved."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one position retrieved: codes [K], the nearest first, and the squared distance of the nearest context."""

    codes: IntArray
    distance: float


def answers(found: Found) -> list[Answer | None]:
    """Of every position; None where nothing was retrieved."""
    return [Answer(n.codes, float(n.distances[0])) if n is not None and len(n) else None for n in found]


def at_random(found: Sequence[Answer | None], pool: IntArray, rng: np.random.Generator) -> list[Answer | None]:
    """As many codes wherever there were some, of any entries; pool: codes of entries [M]."""
    return [
        None if one is None else Answer(pool[rng.integers(len(pool), size=len(one.codes))], one.distance)
        for one in found
    ]


def figures(codes: Sequence[int], found: Sequence[Answer | None], codebook: Codebook) -> dict[str, float]:
    """Means over the positions of a picture that retrieve; nothing where none does.

    hit@K: whether the true code is among the codes of the K nearest; right@K: the share of these that are the true
    code; mrr: 1 over the place of the first that is, 0 where none is; distance: mean squared L2 of the retrieved code
    vectors to the true one, 0..4; any: share of all positions that retrieve.
    """
    pairs = [(code, one) for code, one in zip(codes, found, strict=True) if one is not None]
    if not pairs:
        return {}
    right = [one.codes == code for code, one in pairs]
    most = max(map(len, right))
    said = {"any": len(pairs) / len(codes), "mrr": float(np.mean([_reciprocal(r) for r in right]))}
    for k in (k for k in KS if k <= most):
        said[f"hit@{k}"] = float(np.mean([r[:k].any() for r in right]))
        said[f"right@{k}"] = float(np.mean([r[:k].mean() for r in right]))
    said["distance"] = float(np.mean([_distance(codebook.vectors, code, one.codes) for code, one in pairs]))
    return said


def _reciprocal(right: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    """1 over the place of the first true one, 0 for none."""
    return 1 / (1 + int(right.argmax())) if right.any() else 0.0


def _distance(vectors: FloatArray, code: int, others: IntArray) -> float:
    """Mean squared L2 from a code's vector to those of others."""
    return float(np.square(vectors[others] - vectors[code]).sum(axis=1).mean())


def covered(found: Sequence[Answer | None], width: int, within: float) -> FloatArray:
    """Share [rows] of the positions of each row whose nearest context is within a squared distance."""
    near = [one is not None and one.distance < within for one in found]
    shares: FloatArray = np.array(near, np.float32).reshape(-1, width).mean(axis=1)
    return shares
