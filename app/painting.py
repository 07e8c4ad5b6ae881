"""Pictures of codes, made once: decoding may take seconds. What was made last is remembered, and how long it took."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

import numpy as np

from app.arrivals import PlainColours
from app.pictures import RGB
from core.backends.protocol import Backend
from core.types import CodeArray

KEPT_BYTES: Final = 32 * 2**20
"""Of pictures that are remembered, of all visitors together."""

QUICK_SECONDS: Final = 0.25
"""A model that decodes a picture in this time also makes pictures that nobody has asked for: patches in their place,
of sources whose database is not here, of codes alone."""

Painted = Backend | PlainColours


class Painting:
    """Makes pictures with the decoders of models. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._lock = clock, Lock()
        self._made: OrderedDict[tuple[int, bytes], RGB] = OrderedDict()
        self._seconds: dict[int, float] = {}

    def picture(self, decoder: Painted, grid: CodeArray) -> RGB:
        """The picture [S, S, 3] of a token grid [H, W]."""
        picture: RGB = self.pictures(decoder, grid[None])[0]
        return picture

    def pictures(self, decoder: Painted, grids: CodeArray) -> RGB:
        """The pictures [N, S, S, 3] of token grids [N, H, W]; each grid is decoded once."""
        if isinstance(decoder, PlainColours):  # made anew for each run, in no time
            return decoder.decode_codes(grids)
        keys = [(id(decoder), grid.tobytes()) for grid in grids]  # models stay as long as the server
        with self._lock:
            known = {key: self._made[key] for key in keys if key in self._made}
        missing = {key: grid for key, grid in zip(keys, grids, strict=True) if key not in known}
        if missing:
            begun = self._clock()
            made = decoder.decode_codes(np.stack(list(missing.values())))
            self.took(decoder, (self._clock() - begun) / len(missing))
            known |= dict(zip(missing, made, strict=True))
        self._remember(known)
        return np.stack([known[key] for key in keys])

    def _remember(self, pictures: dict[tuple[int, bytes], RGB]) -> None:
        with self._lock:
            for key, picture in pictures.items():
                self._made[key] = picture
                self._made.move_to_end(key)
            while sum(picture.nbytes for picture in self._made.values()) > KEPT_BYTES:
                self._made.popitem(last=False)

    def took(self, decoder: Backend, seconds: float) -> None:
        """A picture of a model took so long; the least counts, as others may have been at work beside the rest."""
        self._seconds[id(decoder)] = min(seconds, self._seconds.get(id(decoder), seconds))

    def seconds(self, decoder: Painted) -> float:
        """How long a picture takes, 0 while that is not known."""
        return self._seconds.get(id(decoder), 0.0)

    def is_quick(self, decoder: Painted) -> bool:
        """Whether pictures may be made that nobody has asked for; a decoder that was not measured is measured now."""
        if isinstance(decoder, PlainColours):
            return True
        if id(decoder) not in self._seconds:
            self.picture(decoder, np.zeros((decoder.grid.height, decoder.grid.width), np.uint16))
        return self._seconds[id(decoder)] < QUICK_SECONDS

    def forget(self) -> None:
        """Drop all pictures; how long they took is remembered."""
        with self._lock:
            self._made.clear()
