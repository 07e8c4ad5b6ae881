"""CLIPScore: Hessel et al. 2021, arXiv 2104.08718, section 3."""

from __future__ import annotations

from typing import Final

import numpy as np

from ...types import FloatArray

SCALE: Final = 2.5
"""What a cosine is multiplied by."""


def clip_scores(pictures: FloatArray, texts: FloatArray) -> FloatArray:
    """CLIPScore [N] of unit vectors [N, D] of pictures and of their prompts: 2.5 times the cosine, 0 below it."""
    scores: FloatArray = SCALE * np.maximum((pictures * texts).sum(axis=1), 0)
    return scores
