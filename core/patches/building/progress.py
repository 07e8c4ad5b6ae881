"""How far a build is, for whoever shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told what is being done ("find", "load", "encode", "write", "index"), and how far it is."""

    def begin(self, doing: str, total: int | None, done: int = 0) -> None:
        """Something new; total: pictures in all, None when that is not known; done: those of an earlier attempt."""
        ...

    def at(self, done: int) -> None:
        """So many pictures are done."""
        ...


class Quiet:
    """Shows nothing."""

    def begin(self, doing: str, total: int | None, done: int = 0) -> None:
        """See `Progress`."""

    def at(self, done: int) -> None:
        """See `Progress`."""
