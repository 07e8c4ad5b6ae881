"""The tiny model as a control, by the name that `--control` takes."""

from __future__ import annotations

from core.backends.emoji.backend import EmojiBackend
from core.backends.protocol import ModelSource
from tests.tiny import tiny_backend


def load(source: ModelSource | None = None) -> EmojiBackend:
    """The model itself, which blends as it does."""
    return tiny_backend()
