"""The databases that the tab shows: who may see which, and what was worked out of each, once."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from app import holdings
from app.holdings import Sampled
from app.library import Library
from core.patches.protocol import Database
from core.types import ConfigError

KEYS_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class Worked:
    """What was worked out of a database: its sample, and the overview of that."""

    sampled: Sampled
    overview: Mapping[str, Any]


class Holdings:
    """Databases by a key: its name for one of all, and something that nobody can guess for a visitor's own.

    Plain calls of the page do not say who asks, so the key has to. Only one database is worked out at a time; what came
    of it is kept for as long as the database is.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._keys: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._worked: WeakKeyDictionary[Any, Worked] = WeakKeyDictionary()
        self._lock, self._working = threading.Lock(), threading.Lock()

    def warm_up(self) -> None:
        """Work out the first database in the background, before the first visitor waits for it."""
        for database in list(self._library.databases.values())[:1]:
            threading.Thread(target=self.worked, args=(database,), daemon=True, name="background").start()

    def key(self, visitor: str, name: str) -> str:
        """The key of a database that a visitor can choose."""
        if name in self._library.databases:
            return name
        with self._lock:
            found = [key for key, whose in self._keys.items() if whose == (visitor, name)]
            key = found[0] if found else secrets.token_urlsafe(16)
            self._keys[key] = visitor, name
            self._keys.move_to_end(key)
            while len(self._keys) > KEYS_KEPT:
                self._keys.popitem(last=False)
        return key

    def find(self, key: object) -> Database:
        """The database of a key; ConfigError when there is none, or not any more."""
        if isinstance(key, str) and key in self._library.databases:
            return self._library.databases[key]
        with self._lock:
            visitor, name = self._keys.get(key, ("", "")) if isinstance(key, str) else ("", "")
        database = self._library.own.databases(visitor).get(name)
        if database is None:
            raise ConfigError("This database is not here any more: leave this tab and come back.")
        return database

    def worked(self, database: Database) -> Worked:
        """What was worked out of a database, now or before."""
        with self._working:
            found = self._worked.get(database)
            if found is None:
                sampled = Sampled.of(database)
                found = self._worked[database] = Worked(sampled, holdings.overview(database, sampled))
        return found
