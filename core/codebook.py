"""The codebook: what the codes of a token grid stand for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from .types import CheckpointError, FloatArray


@dataclass(frozen=True, slots=True)
class Codebook:
    """V unit-length code vectors of dimension d, and the hash that databases and traces refer to them by."""

    vectors: FloatArray
    fingerprint: str

    @classmethod
    def from_vectors(cls, vectors: FloatArray) -> Codebook:
        """Normalise [V, d] vectors; CheckpointError when one is zero or not finite."""
        if vectors.ndim != 2 or not 2 <= len(vectors) <= 65536:
            raise CheckpointError(f"codebook: got shape {vectors.shape}, expected [2..65536 codes, dimension]")
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        if not np.isfinite(norms).all() or (norms == 0).any():
            raise CheckpointError("codebook: got a zero or non-finite code vector, expected directions; retrain it")
        unit = np.ascontiguousarray(vectors / norms, dtype=np.float32)
        unit.setflags(write=False)
        return cls(unit, hashlib.sha256(unit.astype("<f4").tobytes()).hexdigest()[:16])

    @property
    def size(self) -> int:
        """Number of codes V."""
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Dimension d of a code vector."""
        return int(self.vectors.shape[1])
