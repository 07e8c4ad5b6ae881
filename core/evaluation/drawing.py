"""Drawing for an evaluation: one prompt with several seeds, the same seeds for every method that is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..engine import decode
from ..types import ConfigError, DecodeSettings
from .suite import Drawn, Subject

PLAIN = "model"
"""The method without retrieval, which the others are compared with."""


def methods_of(text: str, subject: Subject) -> tuple[str, ...]:
    """Methods from a list such as "model,daid"; of an empty one, the model alone and the subject's own method."""
    named = tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))
    return named or tuple(dict.fromkeys((PLAIN, subject.settings.method)))


def settings_of(subject: Subject, methods: Sequence[str]) -> dict[str, DecodeSettings]:
    """The subject's settings with each method, by its name; ConfigError for one that the subject cannot draw with."""
    arms = {method: replace(subject.settings, method=method) for method in methods}
    for method, settings in arms.items():
        if settings.retrieves and subject.database is None:
            raise ConfigError(f"methods: got {method} and no database, expected one; give --database, or leave it out")
        if settings.blends and subject.backend.faid is None:
            got = f"got {method} for {subject.backend_name}, which has no FAiD weights"
            raise ConfigError(f"methods: {got}; give --faid where the model takes it, or leave {method} out")
    return arms


def draw(subject: Subject, prompt: str, settings: DecodeSettings, count: int) -> list[Drawn]:
    """`count` pictures of a prompt, in one batch; the n-th is what a run by itself draws with seed `settings.seed` + n.

    Raises ConfigError for a prompt that the model does not take.
    """
    return draw_each(subject, [prompt] * count, settings)


def draw_each(subject: Subject, prompts: Sequence[str], settings: DecodeSettings) -> list[Drawn]:
    """A picture of each of some prompts, in one batch, the n-th with seed `settings.seed` + n; errors as in `draw`."""
    database = subject.database if settings.retrieves else None
    steps = decode(subject.backend, database, prompts, settings)
    codes = np.array([[record.code for record in step] for step in steps], np.uint16)
    grid = subject.backend.grid
    grids = codes.T.reshape(len(prompts), grid.height, grid.width)
    return [
        Drawn(pixels, prompts[n], replace(settings, seed=(settings.seed + n) % 2**32), grids[n])
        for n, pixels in enumerate(subject.backend.decode_codes(grids))
    ]
