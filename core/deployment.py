"""What a server serves, from its environment: the embedded models, or Janus-Pro with a database of its own.

ARRAG_BACKEND: embedded (default) | janus. With janus: ARRAG_MODEL and ARRAG_FAID (folder or hub repository),
ARRAG_DATABASE (folder), ARRAG_DEVICE, ARRAG_DTYPE. ARRAG_THREADS: see core/threads.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from core.backends import EMBEDDED, Backend, ModelSource, load_backend
from core.catalogue import DATABASES, find_database
from core.database import Database
from core.types import ConfigError

PREFIX: Final = "ARRAG_"
CHOICES: Final = ("embedded", "janus")
_INJECTED: Final = re.compile(
    r"(?:.+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_FIELDS: Final = {"model": "MODEL", "faid": "FAID", "device": "DEVICE", "dtype": "DTYPE"}


@dataclass(frozen=True, slots=True)
class Deployment:
    """Which models and databases to load; validated when made.

    backends: names in the table of backends, the first is what a visitor finds chosen; databases: names or folders.
    """

    backends: tuple[str, ...] = EMBEDDED
    source: ModelSource = field(default_factory=ModelSource)
    databases: tuple[str, ...] = tuple(DATABASES)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], pixels_device: str = "") -> Deployment:
        """Read the variables; ConfigError for an unknown one, and for one that the chosen backend does not take.

        pixels_device: see ModelSource, for servers whose main process has no GPU.
        """
        given = {k.removeprefix(PREFIX): v.strip() for k, v in environment.items() if k.startswith(PREFIX)}
        given = {name: value for name, value in given.items() if value and not is_injected(name, value)}
        known = {"BACKEND", "DATABASE", "THREADS", *_FIELDS.values()}
        if unknown := sorted(set(given) - known):
            names = ", ".join(sorted(PREFIX + name for name in known))
            raise ConfigError(f"environment: got {PREFIX}{unknown[0]}, expected some of {names}")
        given.pop("THREADS", None)
        choice = given.pop("BACKEND", "embedded")
        if choice not in CHOICES:
            raise ConfigError(f"{PREFIX}BACKEND: got {choice!r}, expected one of {', '.join(CHOICES)}")
        if choice == "embedded":
            if given:
                raise ConfigError(f"{PREFIX}{min(given)}: got a value, which only {PREFIX}BACKEND=janus takes")
            return cls()
        database = given.pop("DATABASE", "")
        values = {field: given[name] for field, name in _FIELDS.items() if name in given}
        source = ModelSource(**values, pixels_device=pixels_device)
        return cls(("janus",), source, (database,) if database else ())

    def load(self) -> tuple[dict[str, Backend], dict[str, Database]]:
        """All models and databases by name; ArragError says what is missing and how to get it."""
        backends = {
            name: load_backend(name, None if name in EMBEDDED else self.source) for name in self.backends
        }  # fmt: skip
        first = backends[self.backends[0]]
        return backends, {name: find_database(name, first) for name in self.databases}


def is_injected(name: str, value: str) -> bool:
    """Whether a variable, without its prefix, is one of those that Kubernetes sets for a service of such a name."""
    if _INJECTED.fullmatch(name):
        return True
    return (name == "PORT" or name.endswith("_PORT")) and "://" in value
