"""What the hub's client raises about a database, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...inputs.hub import why
from ...types import ArragError, DatabaseError
from .names import Repository


@contextmanager
def told(where: Repository, doing: str) -> Iterator[None]:
    """Inside, what the hub's client raises becomes a DatabaseError of one line that says why; it shows no token.

    doing: what failed then, such as "cannot be downloaded".
    """
    try:
        yield
    except ArragError:
        raise
    except Exception as error:  # the client's own, those of the libraries that it asks with, and the system's
        reason, remedy = why(error, "dataset repository", "a database")
        raise DatabaseError(f"{where}{':' * where.prefixed} {doing} ({reason}); {remedy}") from None
