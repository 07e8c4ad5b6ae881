"""The models that the engine can drive, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.backends.emoji import EmojiBackend, load_novice
from core.backends.protocol import Backend, Decoding
from core.types import ConfigError

__all__ = ["BACKENDS", "Backend", "Decoding", "load_backend"]

BACKENDS: Mapping[str, Callable[[], Backend]] = {"emoji": EmojiBackend.load, "novice": load_novice}
"""emoji: the embedded model; novice: the same, but never trained on one style and on some concepts."""


def load_backend(name: str) -> Backend:
    """The backend of that name, its weights loaded; ConfigError for an unknown one, CheckpointError without weights."""
    if name not in BACKENDS:
        raise ConfigError(f"backend: got {name!r}, expected one of {', '.join(BACKENDS)}")
    return BACKENDS[name]()
