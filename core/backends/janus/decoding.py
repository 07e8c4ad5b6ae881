"""One running generation of Janus-Pro."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...types import ConfigError, FloatArray, Grid, IntArray
from ..blend_pass import BlendPass
from ..blending import Blending
from ..decoding import ModelDecoding
from ..protocol import Predicted, Snapshot
from .llama import Cache
from .loading import Parts
from .memory import enough_memory, room

SPARED: Final = 4
"""A snapshot is made where at least so many of its size would be free: what is drawn next needs memory more."""


@dataclass(frozen=True, slots=True)
class CacheSnapshot:
    """Keys and values of a prompt and codes: of the conditional row and, with guidance, of the unconditional one."""

    rows: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return sum(row.nbytes for row in self.rows)


class JanusDecoding(ModelDecoding[Cache]):
    """One generation; rows are all conditional ones, then all unconditional ones. It knows no negative prompts.

    tokens, padding: what `Prompter.rows` makes of the B prompts; guided: whether the unconditional rows are there.
    """

    def __init__(
        self, parts: Parts, grid: Grid, tokens: Tensor, padding: Tensor, guided: bool, blending: Blending | None
    ) -> None:
        self._parts, self._guided, self._device = parts, guided, parts.words.device
        self._entries = F.embedding(tokens.to(self._device), parts.words)
        rows, prefix = tokens.shape
        room = prefix + grid.positions - 1
        cache = Cache(parts.llama.config, room, padding.to(self._device), parts.words)
        super().__init__(rows // 2 if guided else rows, prefix, cache, blending)

    def _run(self, cache: Cache, rows: Tensor | None, blending: BlendPass | None) -> FloatArray:
        """Logits of all rows, or of the chosen ones."""
        entries = self._entries
        if rows is not None:
            rows = rows.to(self._device)
            entries, cache = entries[rows], cache.rows(rows)
        start = self._prefix + self._position - 1 if self._position else 0
        logits: FloatArray = self._parts.head(self._parts.llama(entries, start, cache, blending)).float().cpu().numpy()
        return logits

    def _predicted(self, logits: FloatArray) -> Predicted:
        """The conditional and, with guidance, the unconditional rows."""
        return Predicted(logits[: self._prompts], logits[self._prompts :] if self._guided else None)

    def _read(self, cache: Cache, codes: IntArray, blending: BlendPass | None) -> None:
        """All rows read their prompt and the codes in one pass."""
        self._parts.llama(torch.cat([self._entries, self._features(codes[:, :-1])], dim=1), 0, cache, blending)

    @property
    def appended(self) -> int:
        """How many codes are known."""
        return self._position

    def snapshot_bytes(self) -> int:
        """Of one prompt; 0 with blenders, whose state is not kept, before there is anything, and where memory is short.

        A shorter prompt of several takes a little less.
        """
        if self._cache is None or self._blending is not None or not self._position:
            return 0
        needed = (2 if self._guided else 1) * self._known(self._position) * self._cache.row_bytes
        there = room(self._device)
        return 0 if there is not None and there.free < SPARED * needed else needed

    @torch.inference_mode()
    def snapshot(self, row: int) -> CacheSnapshot:
        """What is known of a prompt; see `Resumable.snapshot`."""
        with self._enough_memory():
            return CacheSnapshot(tuple(self._opened().taken(r, self._known(self._position)) for r in self._rows(row)))

    @torch.inference_mode()
    def resume(self, snapshots: Sequence[Snapshot], codes: IntArray, known: int) -> None:
        """Go on from snapshots; codes that they do not know are read in one pass. See `Resumable.resume`."""
        cache = self._opened()
        if self._position or self._blending is not None:
            raise ConfigError("decoding: got one that has begun, or with blenders, expected a new one without")
        stop = self._known(known)
        with self._enough_memory():
            for number, snapshot in enumerate(snapshots):
                for row, taken in zip(self._rows(number), cast(CacheSnapshot, snapshot).rows, strict=True):
                    cache.put(row, taken, stop)
            if known < codes.shape[1]:
                self._parts.llama(self._features(codes[:, known - 1 : -1]), stop, cache)
        self._position = codes.shape[1] - 1
        self.append(codes[:, -1])

    def _known(self, codes: int) -> int:
        """Entries that are read when so many codes were appended, the newest of which is read next."""
        return self._prefix + codes - 1

    def _rows(self, prompt: int) -> tuple[int, ...]:
        """The rows of a prompt."""
        return (prompt, self._prompts + prompt) if self._guided else (prompt,)

    @torch.inference_mode()
    def _enter(self, codes: IntArray) -> None:
        """The code that every row reads next, as its feature."""
        self._entries = self._features(codes[:, None])

    def _features(self, codes: IntArray) -> Tensor:
        """What enters the language model [R, n, D] for codes [B, n]."""
        chosen = torch.from_numpy(np.asarray(codes, dtype=np.int64)).to(self._device)
        return self._parts.features(chosen.repeat(2, 1) if self._guided else chosen)

    def _enough_memory(self) -> AbstractContextManager[None]:
        """Running out of it is an error that says what to do."""
        return enough_memory(self._device)
