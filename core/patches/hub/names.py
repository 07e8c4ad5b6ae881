"""What a repository of the hub is called; imports nothing of the hub's client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...types import ConfigError

PREFIX: Final = "hf:"
EXAMPLE: Final = "hf:owner/name, with @revision if need be"

_REPOSITORY: Final = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@(\w[\w./-]*))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Repository:
    """A dataset repository, owner/name, at a revision: a branch, a tag or a commit; None is its main branch.

    prefixed: whether it was called by hf:, and cannot have been meant as a folder.
    """

    name: str
    revision: str | None = None
    prefixed: bool = True

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{PREFIX}{self.name}{at}" if self.prefixed else f"{self.name}{at}: no folder here, and"


def named_repository(text: str) -> Repository | None:
    """The repository that a database is named by: hf:owner/name[@revision], or that alone where no such folder is.

    None for a name of another kind; ConfigError for hf: with what can be no repository behind it.
    """
    found = _REPOSITORY.fullmatch(text.removeprefix(PREFIX))
    if found is None:
        if text.startswith(PREFIX):
            raise ConfigError(f"database: got {text!r:.120}, expected {EXAMPLE}")
        return None
    if not text.startswith(PREFIX) and (Path(text).exists() or text.startswith(("./", "../"))):
        return None
    return Repository(found[1], found[2], text.startswith(PREFIX))


def repository(text: str) -> Repository:
    """The repository to send to or fetch, with hf: before it or without; ConfigError for what cannot be one."""
    found = _REPOSITORY.fullmatch(text.removeprefix(PREFIX))
    if found is None:
        raise ConfigError(f"repository: got {text!r:.120}, expected {EXAMPLE}")
    return Repository(found[1], found[2])
