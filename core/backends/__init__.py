"""The models that the engine can drive, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from core.backends.emoji import EmojiBackend, load_novice
from core.backends.protocol import Backend, Decoding, ModelSource
from core.types import ConfigError

__all__ = ["BACKENDS", "EMBEDDED", "Backend", "Decoding", "ModelSource", "load_backend"]


def _load_janus(source: ModelSource) -> Backend:
    """Janus-Pro; transformers is imported here and not before."""
    try:
        module = importlib.import_module("core.backends.janus")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "core":
            raise
        missing = f"got no Python package {error.name!r}, expected it"
        raise ConfigError(f"backend janus: {missing}; run pip install -r requirements-janus.txt") from None
    loaded: Backend = module.JanusBackend.load(source)
    return loaded


BACKENDS: Mapping[str, Callable[[ModelSource], Backend]] = {
    "emoji": lambda source: EmojiBackend.load(),
    "novice": lambda source: load_novice(),
    "janus": _load_janus,
}
"""emoji: the embedded model; novice: the same, but never trained on one style and on some concepts; janus: Janus-Pro,
from weights of the user's."""

EMBEDDED = ("emoji", "novice")
"""Those whose weights ship with the code."""


def load_backend(name: str, source: ModelSource | None = None) -> Backend:
    """The backend of that name, its weights loaded from `source` if they do not ship with the code.

    Raises ConfigError for an unknown name or a source that is not used, CheckpointError without weights.
    """
    source = source or ModelSource()
    if name not in BACKENDS:
        raise ConfigError(f"backend: got {name!r}, expected one of {', '.join(BACKENDS)}")
    if name in EMBEDDED and source != ModelSource():
        raise ConfigError(f"backend {name}: got a model, FAiD weights, a device or a dtype, which only janus takes")
    return BACKENDS[name](source)
