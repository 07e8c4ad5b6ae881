"""One running generation of Janus-Pro."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...types import FloatArray, Grid, IntArray
from ..blend_pass import BlendPass
from ..blending import Blending
from ..decoding import ModelDecoding
from ..protocol import Predicted
from .llama import Cache
from .loading import Parts
from .memory import enough_memory


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
