"""What a server serves, from its environment: the embedded models, or another one with a database of its own.

ARRAG_BACKEND: embedded (default) | janus | package.module:function | the name of an installed one, see
docs/backend.md. ARRAG_DATABASE: a folder, hf:owner/name or an address (docs/database.md); with the embedded models it
comes before those that ship; ARRAG_DATABASE_TOKEN: what a server there asks for. With another backend: ARRAG_MODEL
and ARRAG_FAID (for janus, folder or hub repository), ARRAG_DEVICE, ARRAG_DTYPE, ARRAG_LAUNCH. ARRAG_THREADS and
ARRAG_ASSETS: see core/threads.py and core/assets.py; ARRAG_METRICS and ARRAG_LOG: see app/command_line.py;
ARRAG_DRAFTS: see core/backends/emoji/pace.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from core.backends import EMBEDDED, Backend, ModelSource, installed, load_backend
from core.patches.catalogue import DATABASES, check_codebook, check_name, find_database
from core.patches.orderings.warm import warm
from core.patches.protocol import Database
from core.patches.segments.database import SegmentedDatabase
from core.types import ConfigError

PREFIX: Final = "ARRAG_"
CHOICES: Final = ("embedded", "janus")
_INJECTED: Final = re.compile(
    r"(?:.+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_FIELDS: Final = {"model": "MODEL", "faid": "FAID", "device": "DEVICE", "dtype": "DTYPE", "launch": "LAUNCH"}
_ELSEWHERE: Final = ("THREADS", "ASSETS", "METRICS", "LOG", "DATABASE_TOKEN", "DRAFTS")
"""Read by core/threads.py, core/assets.py, app/command_line.py, core/patches/remote/links.py, and
core/backends/emoji/pace.py."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Which models and databases to load; validated when made.

    backends: names in the table of backends, the first is what a visitor finds chosen; databases: names or folders.
    """

    backends: tuple[str, ...] = EMBEDDED
    source: ModelSource = field(default_factory=ModelSource)
    databases: tuple[str, ...] = tuple(DATABASES)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Deployment:
        """Read the variables; ConfigError for an unknown one, and for one that the chosen backend does not take."""
        given = {k.removeprefix(PREFIX): v.strip() for k, v in environment.items() if k.startswith(PREFIX)}
        given = {name: value for name, value in given.items() if value and not is_injected(name, value)}
        known = {"BACKEND", "DATABASE", *_ELSEWHERE, *_FIELDS.values()}
        if unknown := sorted(set(given) - known):
            names = ", ".join(sorted(PREFIX + name for name in known))
            raise ConfigError(f"environment: got {PREFIX}{unknown[0]}, expected some of {names}")
        given = {name: value for name, value in given.items() if name not in _ELSEWHERE}
        choice = given.pop("BACKEND", "embedded")
        if choice not in (*CHOICES, *installed()) and ":" not in choice:
            names = ", ".join((*CHOICES, *installed()))
            raise ConfigError(
                f"{PREFIX}BACKEND: got {choice!r:.80}, expected one of {names}, or package.module:function"
            )
        database = given.pop("DATABASE", "")
        if choice == "embedded":
            if given:
                raise ConfigError(f"{PREFIX}{min(given)}: got a value, which only {PREFIX}BACKEND=janus takes")
            return cls(databases=tuple(dict.fromkeys([database, *DATABASES])) if database else tuple(DATABASES))
        values = {field: given[name] for field, name in _FIELDS.items() if name in given}
        return cls((choice,), ModelSource(**values), (database,) if database else ())

    def load(self) -> tuple[dict[str, Backend], dict[str, Database]]:
        """All models and databases by name; ArragError says what is missing and how to get it."""
        for name in self.databases:
            check_name(name)
            check_codebook(name, self.backends[0])
        loaded = [load_backend(name, None if name in EMBEDDED else self.source) for name in self.backends]
        databases: dict[str, Database] = {name: find_database(name, loaded[0]) for name in self.databases}
        for database in databases.values():
            if isinstance(database, SegmentedDatabase):
                warm([segment.folder / "index" for segment in database.segments])
        return {backend.name: backend for backend in loaded}, databases


def is_injected(name: str, value: str) -> bool:
    """Whether a variable, without its prefix, is one of those that Kubernetes sets for a service of such a name."""
    if _INJECTED.fullmatch(name):
        return True
    return (name == "PORT" or name.endswith("_PORT")) and "://" in value
