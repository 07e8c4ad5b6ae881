"""How all codes of a model look, as one picture that nobody waits for long: with a slow decoder it grows as codes are
shown."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable
from functools import cached_property
from threading import Event, Lock, Thread
from typing import Final

import numpy as np

from app.looks import Looks, blocks_of, looks_of
from app.painting import Painting
from app.shelf import Shelf
from app.views import Array
from core.backends.protocol import Backend
from core.patches.protocol import Database
from core.types import IntArray

AT_A_TIME: Final = 8
"""Passes of a slow decoder between two times that looks are written to the disk."""

IDLE_SECONDS: Final = 1.0
"""Between two looks at whether there is nothing else to do."""

LAST_SECONDS: Final = 8.0
"""For a pass that is under way when the server ends."""


logger = logging.getLogger(__name__)


class Atlas:
    """The looks of a model's codes in the pictures of a database.

    A quick decoder makes all of them when they are first asked for. With a slow one they come from the database's
    pictures alone; a code that is in none of these is grey until somebody has been shown it: then a block of it is
    decoded while nothing is being drawn, and kept on the disk.

    is_idle: whether nothing is being drawn; shelf: where the looks of slow decoders are kept between two starts.
    """

    def __init__(
        self, backend: Backend, database: Database | None, painting: Painting, is_idle: Callable[[], bool], shelf: Shelf
    ) -> None:
        self._backend, self._database, self._painting = backend, database, painting
        self._is_idle, self._shelf = is_idle, shelf
        self._lock, self._making = Lock(), Lock()
        self._looks: Looks | None = None
        self._made: Array = np.zeros(backend.codebook.size, np.bool_)
        self._encoded = b""
        self._wanted: list[int] = []
        self._over = Event()
        self._maker: Thread | None = None

    @property
    def looks(self) -> Looks:
        """What is known now."""
        with self._lock:
            return self._looks or Looks.unknown(self._backend.codebook.size, self._side)

    def encoded(self) -> bytes:
        """All looks as one picture. Waits for those of a quick decoder, and for nothing else."""
        if self._painting.is_quick(self._backend):
            self.make()
        looks = self.looks
        with self._lock:
            if not self._encoded:
                self._encoded = looks.encoded()
            return self._encoded

    def make(self) -> None:
        """Make what takes no slow decoder, once; who comes meanwhile waits until it is there."""
        with self._making:
            if self._looks is not None:
                return
            if self._painting.is_quick(self._backend):
                self._take(looks_of(self._backend, self._database), np.ones_like(self._made))
            elif (kept := self._shelf.read(self._name, self._made.size, self._side)) is not None:
                self._take(*kept)
            else:
                found = looks_of(self._backend, self._database, self.looks)
                self._take(found, found.seen)
                self._shelf.write(self._name, found, found.seen)

    def want(self, codes: IntArray) -> None:
        """Codes that somebody is shown: those whose looks are not known are made when there is time, in this order."""
        if self._painting.is_quick(self._backend):
            return
        with self._lock:
            missing = [code for code in codes.tolist() if not self._made[code]]
            self._wanted = list(dict.fromkeys([*self._wanted, *missing]))
            if self._wanted and self._maker is None:
                self._maker = Thread(target=self._make_wanted, name="looks", daemon=True)
                self._maker.start()
                atexit.register(self.close)

    def close(self) -> None:
        """Make no more looks. A pass under way is waited for: torch does not outlive the interpreter that it is in."""
        self._over.set()
        if (maker := self._maker) is not None:
            maker.join(LAST_SECONDS)

    def _make_wanted(self) -> None:
        """Make looks until none are wanted; where that fails, those stay grey that were wanted so far."""
        try:
            self._make_blocks()
        except Exception as error:  # whatever a decoder fails on
            logger.warning("looks of codes could not be made: %s", error)
            with self._lock:
                self._wanted, self._maker = [], None
        finally:
            with self._lock:
                if self._maker is None:  # else another one has begun
                    atexit.unregister(self.close)

    def _make_blocks(self) -> None:
        """Decode blocks of the codes that are wanted, one pass of the decoder at a time."""
        self.make()
        grid = self._backend.grid
        at_once, passes = (grid.height // 4) * (grid.width // 4), 0
        while codes := self._next(at_once):
            while not self._over.is_set() and not self._is_idle():
                self._over.wait(IDLE_SECONDS)
            if self._over.is_set():
                return
            looks, made = self.looks, self._made.copy()
            patches = looks.patches.copy()
            patches[codes] = blocks_of(self._backend, np.array(codes))
            made[codes] = True
            self._take(Looks(patches, looks.seen), made)
            passes += 1
            if passes % AT_A_TIME == 0 or not self._wanted:
                self._shelf.write(self._name, *self._known())

    def _next(self, count: int) -> list[int]:
        """The next codes to decode; without any, the thread that asks is at its end."""
        with self._lock:
            self._wanted = [code for code in self._wanted if not self._made[code]]
            codes, self._wanted = self._wanted[:count], self._wanted[count:]
            if not codes:
                self._maker = None
            return codes

    def _take(self, looks: Looks, made: Array) -> None:
        with self._lock:
            self._looks, self._made, self._encoded = looks, made, b""

    def _known(self) -> tuple[Looks, Array]:
        with self._lock:
            assert self._looks is not None
            return self._looks, self._made

    @property
    def _side(self) -> int:
        """Width of a patch in pixels."""
        return self._backend.pixels // self._backend.grid.width

    @cached_property
    def _name(self) -> str:
        """What the looks are kept under: the codes, and the pictures that they were seen in."""
        seen_in = self._database.fingerprint if self._database is not None else "nothing"
        return f"{self._backend.codebook.fingerprint} {seen_in}"
