"""How near two computations of the same floats must be: by the size of what is compared, on every processor."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

RELATIVE = 1e-4
"""Sums in another order differ by about 1e-6 of their size, a bit more after a few layers; mistakes by far more."""

SMALLEST = 1e-6


def assert_close(got: Any, expected: Any, relative: float = RELATIVE, least: float = SMALLEST) -> None:
    """No value is farther from the expected one than `relative` times the size of all of these, their root mean square.

    Arrays, tensors or lists of one shape; a single expected number stands for all. least: the least size, for what is a
    difference of larger numbers. Whatever is not finite is not close.
    """
    ours, theirs = (np.asarray(x.detach() if isinstance(x, Tensor) else x, np.float64) for x in (got, expected))
    theirs = np.broadcast_to(theirs, ours.shape) if theirs.ndim == 0 else theirs
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all()
    assert np.isfinite(ours).all()
    if ours.size == 0:
        return
    size = max(float(np.sqrt(np.mean(theirs**2))), least)
    away = np.abs(ours - theirs)
    worst = np.unravel_index(int(away.argmax()), away.shape)
    told = f"{ours[worst]} instead of {theirs[worst]} at {tuple(map(int, worst))}: off by {away[worst] / size:.1e}"
    assert away[worst] <= relative * size, f"{told} of {size:.3g}, allowed {relative:.0e}"
