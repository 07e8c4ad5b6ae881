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
from .captured import FixedPass, Launch
from .llama import Cache
from .loading import Parts
from .memory import enough_memory, room

DRAFTS: Final = 8
"""Codes to guess in a pass that is captured: on a GPU nine entries read the same weights as one. Not measured there."""

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
    launch: how passes of fixed shapes are run, None for passes whose shapes grow. With blenders all passes grow: what a
    blender remembers of the picture depends on the row and column, which a recorded pass would not ask for.
    """

    def __init__(
        self,
        parts: Parts,
        grid: Grid,
        tokens: Tensor,
        padding: Tensor,
        guided: bool,
        blending: Blending | None,
        launch: Launch | None = None,
    ) -> None:
        self._parts, self._guided, self._device = parts, guided, parts.words.device
        self._launch = None if blending is not None else launch
        self._prompt = F.embedding(tokens.to(self._device), parts.words)
        rows, prefix = tokens.shape
        self._last = prefix + grid.positions - 2  # the place of the last code that is read
        room = self._last + 1 + (0 if self._launch is None else DRAFTS)
        cache = Cache(parts.llama.config, room, padding.to(self._device), parts.words, self._launch is not None)
        super().__init__(rows // 2 if guided else rows, prefix, cache, blending)
        self._newest = np.zeros((self._prompts, 0), np.int64)  # the code that is read next, none before the first one
        self._passes: dict[int, FixedPass] = {}  # by how many codes they guess: none, or DRAFTS
        self._begun: int | None = None  # the position of a pass without guesses that was begun last
        self._eager = False  # whether passes are begun before they are asked for

    def _run(self, cache: Cache, rows: Tensor | None, drafts: IntArray, blending: BlendPass | None) -> FloatArray:
        """Logits of all rows, or of the chosen ones."""
        ahead = drafts.shape[1]
        self._eager = ahead == 0
        if self._launch is not None and self._position and rows is None and ahead <= DRAFTS:
            return self._run_fixed(cache, drafts)
        self._begun = None
        codes = np.concatenate([self._newest, drafts], axis=1)
        entries = self._features(codes) if self._position else self._prompted(codes)
        if rows is not None:
            rows = rows.to(self._device)
            entries, cache = entries[rows], cache.rows(rows)
        start = self._place if self._position else 0
        hidden = self._parts.llama(entries, start, cache, blending, newest=1 + ahead)
        logits: FloatArray = self._parts.head(hidden).float().cpu().numpy()
        return logits

    def _run_fixed(self, cache: Cache, drafts: IntArray) -> FloatArray:
        """As `_run` from the first code on; what is begun already is only waited for."""
        ahead = drafts.shape[1]
        if ahead or self._begun != self._position:
            self._begin(cache, drafts)
        return self._passes[DRAFTS if ahead else 0].logits()[:, : 1 + ahead]

    def _begin(self, cache: Cache, drafts: IntArray) -> None:
        """Begin a pass of a fixed shape; fewer guesses than DRAFTS are filled up by any, which nothing sees."""
        guessed = DRAFTS if drafts.shape[1] else 0
        if guessed not in self._passes:
            assert self._launch is not None
            rows = len(self._prompt)
            self._passes[guessed] = FixedPass(self._launch, self._parts, cache, rows, self._prompts, 1 + guessed)
        filled = np.pad(drafts, ((0, 0), (0, guessed - drafts.shape[1])))
        self._passes[guessed].begin(np.concatenate([self._newest, filled], axis=1), self._place)
        self._begun = None if guessed else self._position

    def append(self, codes: IntArray) -> None:
        """See `Decoding.append`; on a GPU the next pass begins now, and runs while the host searches and records."""
        super().append(codes)
        if self._cache is not None and self._begins_ahead:
            with torch.inference_mode(), self._enough_memory():
                self._begin(self._cache, np.zeros((self._prompts, 0), np.int64))

    @property
    def _begins_ahead(self) -> bool:
        """Whether the next pass is known by the codes alone: there is one, fixed, and nobody guesses."""
        fixed = self._launch is not None and self._launch.replays
        return fixed and self._eager and self._ahead is None and self._place <= self._last

    @property
    def draft_length(self) -> int:
        """Codes that are worth guessing: where passes are recorded and so cost about the same whatever they guess."""
        return DRAFTS if self._launch is not None and self._launch.replays else 0

    def outlook(self) -> None:
        """Nothing is known of positions before they are read."""

    def _predicted(self, logits: FloatArray) -> Predicted:
        """The conditional and, with guidance, the unconditional rows."""
        return Predicted(logits[: self._prompts], logits[self._prompts :] if self._guided else None)

    def _read(self, cache: Cache, codes: IntArray, blending: BlendPass | None) -> None:
        """All rows read their prompt and the codes in one pass."""
        self._parts.llama(self._prompted(codes[:, :-1]), 0, cache, blending)

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

    @property
    def _place(self) -> int:
        """Where the newest code is read."""
        return self._prefix + self._position - 1

    def _enter(self, codes: IntArray) -> None:
        """The code that every row reads next."""
        self._newest = np.array(codes, np.int64)[:, None]

    def _prompted(self, codes: IntArray) -> Tensor:
        """What enters the language model [R, T + n, D] for the prompts and codes [B, n] behind them."""
        return torch.cat([self._prompt, self._features(codes)], dim=1) if codes.shape[1] else self._prompt

    def _features(self, codes: IntArray) -> Tensor:
        """What enters the language model [R, n, D] for codes [B, n]."""
        chosen = torch.from_numpy(np.asarray(codes, dtype=np.int64)).to(self._device)
        return self._parts.features(chosen.repeat(2, 1) if self._guided else chosen)

    def close(self) -> None:
        """Drop the cache and what was recorded on it."""
        for held in self._passes.values():
            held.close()
        self._passes.clear()
        super().close()

    def _enough_memory(self) -> AbstractContextManager[None]:
        """Running out of it is an error that says what to do."""
        return enough_memory(self._device)
