"""The models that the engine can drive, by name: those of this package, and any that is named or installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Final

from ..types import ArragError, ConfigError
from .complete import complete
from .protocol import Backend, Decoding, ModelSource, SmallBackend

__all__ = [
    "BACKENDS",
    "EMBEDDED",
    "Backend",
    "Decoding",
    "ModelSource",
    "SmallBackend",
    "check_blenders",
    "installed",
    "load_backend",
]

Maker = Callable[[ModelSource], SmallBackend]

BACKENDS: Final[Mapping[str, str]] = {
    "emoji": ".emoji.backend:load_emoji",
    "novice": ".emoji.backend:load_novice",
    "janus": ".janus.backend:load_janus",
}
"""Functions of a ModelSource, which are imported when they are asked for. emoji: the embedded model; novice: the same,
but never trained on one style and on some concepts; janus: Janus-Pro, from weights of the user's."""

EMBEDDED: Final = ("emoji", "novice")
"""Those whose weights ship with the code."""

GROUP: Final = "arrag.backends"
"""Entry points of installed packages that bring more of them."""

REMEDIES: Final[Mapping[str, str]] = {"janus": "run pip install -r requirements-janus.txt, on Python 3.11 or later"}
"""How to get what a backend needs beyond requirements.txt."""


def load_backend(name: str, source: ModelSource | None = None) -> Backend:
    """The backend of that name, its weights loaded from `source` if they do not ship with the code.

    name: of BACKENDS, of an entry point in the group "arrag.backends", or "package.module:function", where the function
    takes a ModelSource and returns a Backend. Raises ConfigError for an unknown name, a function that fails or a source
    that is not used, CheckpointError without weights.
    """
    source = source or ModelSource()
    if name in EMBEDDED and source != ModelSource():
        raise ConfigError(f"backend {name}: got a model, FAiD weights, a device or a dtype, which only janus takes")
    maker = _maker(name)
    try:
        return complete(maker(source))
    except (ArragError, OSError):
        raise
    except Exception as error:  # whatever somebody else's function raises
        if name in BACKENDS:
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise ConfigError(f"backend {name:.80}: its function failed ({reason}); mend it") from error


def check_blenders(name: str, faid: str) -> None:
    """ConfigError for FAiD with Janus-Pro and without weights for it, told before anything is loaded."""
    if name == "janus" and not faid:
        got, expected = "got a method with FAiD and no weights for it", "expected a folder or repository of some"
        raise ConfigError(f"backend janus: {got}, {expected}; give --faid, or take method model or daid")


def installed() -> dict[str, str]:
    """The backends that installed packages bring: places of their functions by name, sorted."""
    return {point.name: point.value for point in sorted(entry_points(group=GROUP))}


def _maker(name: str) -> Maker:
    """The function that makes a backend."""
    if name in BACKENDS:
        return _function(name, BACKENDS[name])
    if name in (places := installed()):
        return _function(name, places[name])
    if ":" in name:
        return _function(name, name)
    known = ", ".join((*BACKENDS, *places))
    raise ConfigError(f"backend: got {name!r:.80}, expected one of {known}, or package.module:function")


def _function(name: str, place: str) -> Maker:
    """The function at "module:function"; ConfigError when there is none."""
    module, _, function = place.partition(":")
    try:
        found = getattr(importlib.import_module(module, __package__), function, None)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == __name__.split(".")[0]:
            raise
        missing = f"got no Python module {error.name!r}, expected it"
        remedy = REMEDIES.get(name, "install it, or mend the name")
        raise ConfigError(f"backend {name:.80}: {missing}; {remedy}") from None
    except (ValueError, TypeError):  # names such as ":f" or "..:f"
        found = None
    if not callable(found):
        raise ConfigError(f"backend: got {name!r:.80}, expected package.module:function with a function that is there")
    maker: Maker = found
    return maker
