"""Classifier-free guidance: how the rows that a model predicts become the logits that are drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .backends.protocol import Predicted
from .types import DecodeSettings, FloatArray


def guide(predicted: Predicted, settings: Sequence[DecodeSettings]) -> FloatArray:
    """Classifier-free guidance (Ho & Salimans 2022) of the logits [B, ..., V] of B rows with their settings.

    away + cfg_scale * (conditional - away), where away = unconditional + negative_share * (negative - unconditional):
    what guidance turns away from is the prediction without a prompt, mixed with that of the negative prompt (this
    project's, not the paper's).
    """
    if predicted.unconditional is None:
        plain: FloatArray = predicted.conditional.copy()
        return plain
    away = predicted.unconditional
    if predicted.negative is not None:
        away = away + _column(settings, "negative_share", away.ndim) * (predicted.negative - away)
    guided: FloatArray = away + _column(settings, "cfg_scale", away.ndim) * (predicted.conditional - away)
    return guided


def _column(settings: Sequence[DecodeSettings], name: str, axes: int) -> FloatArray:
    """One setting of every row [B, 1, ...], of so many axes."""
    column: FloatArray = np.array([getattr(row, name) for row in settings], np.float32)
    return column.reshape(-1, *[1] * (axes - 1))
